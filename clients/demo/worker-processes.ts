/** Workers in processes of their own, as in production: a lone one would be the first thing that preflight complains of. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ENTRY = fileURLToPath(new URL('../godwit.js', import.meta.url));

export class WorkerProcesses {
  readonly #children: ChildProcess[];

  private constructor(children: ChildProcess[]) {
    this.#children = children;
  }

  /** @param folder where their logs go */
  static start(count: number, folder: string, env: NodeJS.ProcessEnv): WorkerProcesses {
    const children = Array.from({ length: count }, (_, index) => {
      const log = openSync(join(folder, `worker-${index + 1}.log`), 'a');
      const child = spawn(process.execPath, [ENTRY, 'worker'], { env, stdio: ['ignore', log, log] });
      closeSync(log);
      return child;
    });
    return new WorkerProcesses(children);
  }

  /** At once, for an exit that can't wait. */
  cut(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const ended = once(child, 'exit');
        child.kill('SIGTERM');
        await ended;
      }),
    );
  }
}
