/** One child process of the lab: its log kept, its end noticed, nothing left behind. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProcessOptions {
  /** How errors name it. */
  name: string;
  command: string;
  args: string[];
  /** Output of the process; its last lines go into errors. */
  log: string;
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Numeric user to run as; servers such as Postgres refuse root. */
  user?: { uid: number; gid: number } | undefined;
  /**
   * Makes it outlive us, in a process group of its own: a Ctrl-C in the terminal reaches only us, so that the lab stops
   * its servers in order. Called at once with the pid, since from then on only who remembers it can stop it.
   */
  detached?: ((pid: number) => void) | undefined;
}

export class LabProcess {
  readonly #child: ChildProcess;
  readonly #options: ProcessOptions;

  private constructor(child: ChildProcess, options: ProcessOptions) {
    this.#child = child;
    this.#options = options;
  }

  static start(options: ProcessOptions): LabProcess {
    const log = openSync(options.log, 'a');
    const child = spawn(options.command, options.args, {
      stdio: ['ignore', log, log],
      env: options.env ?? process.env,
      detached: options.detached !== undefined,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.user ? { uid: options.user.uid, gid: options.user.gid } : {}),
    });
    child.on('error', () => undefined);
    closeSync(log);
    if (options.detached && child.pid !== undefined) {
      options.detached(child.pid);
      child.unref();
    }
    return new LabProcess(child, options);
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get running(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /**
   * Waits until `ready` answers true. If the process ends or time runs out, nothing of it is left, and the error has
   * the log's last lines.
   */
  async ready(ready: () => Promise<boolean>, timeoutMs = 30_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (Date.now() < deadline) {
      if (!this.running) throw new Error(this.#complaint('ended while starting'));
      if (await ready().catch(() => false)) return;
      await sleep(25);
    }
    await this.stop('SIGTERM', 2_000);
    throw new Error(this.#complaint(`was not ready within ${timeoutMs} ms`));
  }

  /** `signal`, then SIGKILL if it is still there after `graceMs`. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', graceMs = 10_000): Promise<void> {
    if (!this.running) return;
    this.#child.ref();
    const ended = once(this.#child, 'exit');
    this.#child.kill(signal);
    const late = setTimeout(() => this.#child.kill('SIGKILL'), graceMs);
    await ended;
    clearTimeout(late);
  }

  #complaint(what: string): string {
    let tail: string;
    try {
      tail = readFileSync(this.#options.log, 'utf8').split('\n').slice(-15).join('\n');
    } catch {
      tail = '(no log)';
    }
    return `${this.#options.name} ${what}; its log is ${this.#options.log}:\n${tail}`;
  }
}
