/** moto's server on a loopback port: the memory behind the strict proxy. It forgets everything when it stops. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import getPort from 'get-port';
import { LabProcess } from '../process.js';

export interface MotoOptions {
  /** Python that has moto (`motoPython`). */
  python: string;
  /** Of its log; made if missing. */
  folder: string;
  port?: number;
  detached?: (pid: number) => void;
}

/** Measured 2.5 s alone on 2 cores. */
const READY_TIMEOUT_MS = 90_000;

export class MotoServer {
  private constructor(
    readonly url: string,
    readonly log: string,
    readonly port: number,
    readonly process: LabProcess,
  ) {}

  /** Answers when it does. */
  static async start(options: MotoOptions): Promise<MotoServer> {
    const server = await MotoServer.launch(options);
    await server.ready();
    return server;
  }

  /** As `start`, without waiting: for those who have other things to start. */
  static async launch(options: MotoOptions): Promise<MotoServer> {
    await mkdir(options.folder, { recursive: true });
    const port = options.port ?? (await getPort({ host: '127.0.0.1' }));
    const log = join(options.folder, 'moto.log');
    const child = LabProcess.start({
      name: 'moto',
      command: options.python,
      args: ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)],
      log,
      // It imitates metadata and services that others ask for over the network; nothing of it may leave the machine.
      env: {
        ...process.env,
        AWS_ACCESS_KEY_ID: 'lab',
        AWS_SECRET_ACCESS_KEY: 'lab',
        AWS_EC2_METADATA_DISABLED: 'true',
      },
      detached: options.detached,
    });
    return new MotoServer(`http://127.0.0.1:${port}`, log, port, child);
  }

  async ready(): Promise<void> {
    await this.process.ready(() => this.answers(), READY_TIMEOUT_MS);
  }

  get pid(): number {
    return this.process.pid;
  }

  async answers(): Promise<boolean> {
    return motoAnswers(this.url);
  }

  /** Forgets all accounts. The proxy's `reset` calls it. */
  async reset(): Promise<void> {
    await fetch(`${this.url}/moto-api/reset`, { method: 'POST' });
  }

  async stop(): Promise<void> {
    await this.process.stop('SIGTERM', 2_000);
  }
}

/** Whether a moto of this URL can be used. What is asked stays small; its `data.json` is 5 MB of every account there. */
export async function motoAnswers(url: string): Promise<boolean> {
  return (await fetch(`${url}/moto-api/config`, { signal: AbortSignal.timeout(5_000) })).ok;
}
