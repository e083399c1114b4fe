/** Entry point of a worker process or container. `--help` says what it takes. */
import { parseArgs } from 'node:util';
import { makeLog } from './log.js';
import { startWorkers } from './run.js';

const HELP = `usage: node workers/main.js [--queues a,b] [--listen HOST:PORT] [--log-level LEVEL]

  --queues      task queues to serve; all of godwit, godwit-bulk, godwit-snapshot and godwit-switch by default (GODWIT_QUEUES)
  --listen      address of /healthz and /metrics; nothing is served by default (GODWIT_LISTEN)
  --log-level   trace, debug, info, warn, error; info by default (GODWIT_LOG_LEVEL)
  --address, --namespace, --profile   as Temporal's own tools take them (TEMPORAL_ADDRESS, …)
`;

const text = { type: 'string' } as const;
const { values } = parseArgs({
  options: {
    queues: { ...text, default: process.env['GODWIT_QUEUES'] ?? '' },
    listen: { ...text, default: process.env['GODWIT_LISTEN'] ?? '' },
    'log-level': { ...text, default: process.env['GODWIT_LOG_LEVEL'] ?? 'info' },
    address: text,
    namespace: text,
    profile: text,
    help: { type: 'boolean', short: 'h', default: false },
  },
});

if (values.help) {
  process.stdout.write(HELP);
} else {
  const log = makeLog(values['log-level']);
  const queues = values.queues.split(',').filter((name) => name !== '');
  const { address, namespace, profile } = values;
  const workers = await startWorkers({
    log,
    address,
    namespace,
    profile,
    ...(queues.length === 0 ? {} : { queues }),
    ...(values.listen === '' ? {} : { listen: values.listen }),
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'stopping; a switch that runs completes first');
      workers.stop().catch(() => undefined);
    });
  }
  try {
    await workers.done;
    log.info('stopped');
  } catch {
    process.exitCode = 1;
  }
}
