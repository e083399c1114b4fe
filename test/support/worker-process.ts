/**
 * Workers in processes of their own, so that SIGKILL is real: those of the build, as users run them, or ones from the
 * sources that die or stall at named points.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { moduleCommand } from '../../lab/module-command.js';

const BUILT = fileURLToPath(new URL('../../dist/clients/godwit.js', import.meta.url));

export interface WorkerProcessOptions {
  /** Its log goes there. */
  folder: string;
  address: string;
  /** Folder of the points at which it dies or stalls; absent: the worker of the build. */
  faults?: string;
  /** Task queues that it serves. @default all of Godwit's */
  queues?: string[];
}

let started = 0;

export class WorkerProcess {
  private constructor(
    readonly child: ChildProcess,
    readonly log: string,
  ) {}

  /** Answers once it polls. 2 s; from the sources 4. */
  static async start({ folder, address, faults, queues }: WorkerProcessOptions): Promise<WorkerProcess> {
    started += 1;
    const log = join(folder, `worker-${started}.log`);
    const output = openSync(log, 'a');
    const built = [BUILT, 'worker', ...(queues === undefined ? [] : ['--queues', queues.join(',')])];
    const faulty = moduleCommand(import.meta.url, './fault-worker');
    const args = faults === undefined ? built : [...faulty.args, faults, ...(queues ?? [])];
    const env = { ...process.env, TEMPORAL_ADDRESS: address };
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', output, output] });
    closeSync(output);
    const worker = new WorkerProcess(child, log);
    await worker.#ready();
    return worker;
  }

  get alive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (!this.alive) return;
    const ended = once(this.child, 'exit');
    this.child.kill(signal);
    await ended;
  }

  /** Waits for it to end by itself. */
  async died(): Promise<void> {
    if (this.alive) await once(this.child, 'exit');
  }

  async #ready(): Promise<void> {
    for (;;) {
      const said = await readFile(this.log, 'utf8');
      if (said.includes('workers started')) return;
      if (!this.alive) throw new Error(`the worker ended at its start:\n${said}`);
      await sleep(50);
    }
  }
}
