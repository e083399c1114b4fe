/** The application in a process of its own, as seen by who started it. */
import { join } from 'node:path';
import getPort from 'get-port';
import { PARENT } from '../end-with-parent.js';
import { moduleCommand } from '../module-command.js';
import { LabProcess } from '../process.js';
import type { AppOptions } from './app.js';
import type { BehaviourChange } from './behaviour.js';

export class AppProcess {
  private constructor(
    readonly version: string,
    readonly port: number,
    readonly controlUrl: string,
    readonly log: string,
    readonly process: LabProcess,
  ) {}

  /** @param folder of its log, which exists */
  static async start(folder: string, options: AppOptions): Promise<AppProcess> {
    const { version } = options;
    const port = options.port ?? (await getPort({ host: '127.0.0.1' }));
    const controlPort = options.controlPort ?? (await getPort({ host: '127.0.0.1' }));
    const log = join(folder, `app-${version}.log`);
    const env = {
      ...process.env,
      [PARENT]: String(process.pid),
      APP_OPTIONS: JSON.stringify({ ...options, port, controlPort }),
    };
    const child = LabProcess.start({ name: version, ...moduleCommand(import.meta.url, './run'), log, env });
    const app = new AppProcess(version, port, `http://127.0.0.1:${controlPort}`, log, child);
    await child.ready(async () => (await fetch(`${app.controlUrl}/metrics`)).ok);
    return app;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** From now on; what isn't named stays. */
  async behave(change: BehaviourChange): Promise<void> {
    const response = await fetch(`${this.controlUrl}/behaviour`, { method: 'PUT', body: JSON.stringify(change) });
    if (!response.ok) throw new Error(`${this.version} refused: ${await response.text()}`);
  }

  stop(): Promise<void> {
    return this.process.stop('SIGTERM', 5_000);
  }
}
