import { CliError } from '../errors.js';
import { connectionSettings, unreachable } from '../connection.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { GlobalFlags } from '../flags.js';
import type { Terminal } from '../terminal.js';

export interface WorkerOptions extends GlobalFlags {
  /** With commas between. */
  queues?: string;
  workflowQueue?: string;
  metricsPort?: string;
  logLevel: string;
}

/** Runs until it is told to stop, or fails. */
export async function worker(terminal: Terminal, options: WorkerOptions): Promise<ExitCode> {
  const [{ startWorkers }, { makeLog }] = await Promise.all([
    import('../../workers/run.js'),
    import('../../workers/log.js'),
  ]);
  const { address, namespace } = connectionSettings(options, terminal.env);
  const queues = options.queues
    ?.split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  const workers = await startWorkers({
    log: makeLog(options.logLevel),
    ...{ address, namespace, profile: options.profile, listen: options.metricsPort },
    ...(queues === undefined || queues.length === 0 ? {} : { queues }),
    ...(options.workflowQueue === undefined ? {} : { workflowQueue: options.workflowQueue }),
  }).catch((error: unknown) => {
    throw isTransport(error) ? unreachable(address, error) : error;
  });
  terminal.interrupt().addEventListener('abort', () => {
    terminal.note('Stopping; a switch that runs completes first.');
    workers.stop().catch(() => undefined);
  });
  try {
    await workers.done;
    return EXIT.done;
  } catch (error) {
    throw new CliError(`a worker failed: ${error instanceof Error ? error.message : String(error)}`, {
      next: ['what it did is taken over by other workers, and goes on when one starts again'],
      cause: error,
    });
  }
}

/** Of the SDK's native side, which has its own errors. */
function isTransport(error: unknown): boolean {
  return error instanceof Error && error.name === 'TransportError';
}
