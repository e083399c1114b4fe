/** Where worker processes die or stall: files that they look for at each point. Any number of workers share them. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const PATIENCE_MS = 120_000;

export class Faults {
  private constructor(
    readonly folder: string,
    /** What is seen instead of a worker that doesn't come. */
    readonly seen: () => Promise<string>,
  ) {}

  static async make(seen = () => Promise.resolve('nothing more is known')): Promise<Faults> {
    return new Faults(await mkdtemp(join(tmpdir(), 'godwit-faults-')), seen);
  }

  /** The next worker that reaches the point dies, or stalls until `release`. */
  async at(point: string, kind: 'kill' | 'stall'): Promise<void> {
    await rm(this.#reached(point), { force: true });
    await writeFile(join(this.folder, point), kind);
  }

  /** Waits until a worker is there, and answers its process. */
  async reached(point: string): Promise<number> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const text = await readFile(this.#reached(point), 'utf8').catch(() => '');
      if (/^\d+$/.test(text)) return Number(text);
      if (Date.now() > deadline) throw new Error(`no worker came to ${point}; ${await this.seen()}`);
      await sleep(10);
    }
  }

  /** Takes the wish back, and lets whoever stalls go on. */
  async release(point: string): Promise<void> {
    await rm(join(this.folder, point), { force: true });
    await rm(this.#reached(point), { force: true });
  }

  /** No point is any longer one at which somebody dies or stalls. */
  async clear(): Promise<void> {
    for (const name of await readdir(this.folder)) await rm(join(this.folder, name), { force: true });
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  #reached(point: string): string {
    return join(this.folder, `${point}.reached`);
  }
}
