/** The edge in a process of its own, as seen by who started it: what it does for others doesn't wait for us. */
import { join } from 'node:path';
import getPort from 'get-port';
import { PARENT } from '../end-with-parent.js';
import { moduleCommand } from '../module-command.js';
import { LabProcess } from '../process.js';
import type { EdgeOptions, ListenerAddress } from './edge.js';
import type { TargetHealth } from './target.js';

export class EdgeProcess {
  private constructor(
    /** Of `/metrics`, and of what the strict API asks. */
    readonly controlUrl: string,
    readonly log: string,
    readonly process: LabProcess,
  ) {}

  /** @param folder of its log, which exists */
  static async start(folder: string, options: Omit<EdgeOptions, 'random' | 'onProblem'>): Promise<EdgeProcess> {
    const port = await getPort({ host: '127.0.0.1' });
    const log = join(folder, 'edge.log');
    const env = {
      ...process.env,
      [PARENT]: String(process.pid),
      EDGE_OPTIONS: JSON.stringify(options),
      EDGE_CONTROL_PORT: String(port),
    };
    const child = LabProcess.start({ name: 'the edge', ...moduleCommand(import.meta.url, './run'), log, env });
    const edge = new EdgeProcess(`http://127.0.0.1:${port}`, log, child);
    await child.ready(async () => (await fetch(`${edge.controlUrl}/listeners`)).ok);
    return edge;
  }

  /** What the API says now takes effect before this answers. */
  async refresh(): Promise<void> {
    await this.#ask('/refresh', { method: 'POST' });
  }

  async place(hosts: Record<string, string>): Promise<void> {
    await this.#ask('/hosts', { method: 'PUT', body: JSON.stringify(hosts) });
  }

  async listeners(): Promise<ListenerAddress[]> {
    return (await (await this.#ask('/listeners')).json()) as ListenerAddress[];
  }

  async targetHealth(targetGroupArn: string): Promise<TargetHealth[]> {
    const path = `/target-health?targetGroupArn=${encodeURIComponent(targetGroupArn)}`;
    return (await (await this.#ask(path)).json()) as TargetHealth[];
  }

  stop(): Promise<void> {
    return this.process.stop('SIGTERM', 5_000);
  }

  async #ask(path: string, init: RequestInit = {}): Promise<Response> {
    const response = await fetch(this.controlUrl + path, init);
    if (!response.ok) throw new Error(`the edge refused ${path}: ${await response.text()}`);
    return response;
  }
}
