/** pgbench at a fixed rate, each transaction on record. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresServer } from '../lab/postgres.js';
import { onPath } from '../lab/setup/path.js';
import { spread, type Spread } from './figures.js';

/** The record is written in blocks of 4 KB: at these rates what is in memory is a second old at most. */
const FLUSH_MS = 2_500;
const FOREVER_S = 86_400;

export interface Window {
  /** Milliseconds since the epoch. */
  from: number;
  to: number;
}

export class PgBench {
  private constructor(
    readonly child: ChildProcess,
    readonly folder: string,
    readonly prefix: string,
  ) {}

  /** @param folder where the record is kept, named for the script */
  static async start(
    server: PostgresServer,
    database: string,
    folder: string,
    script: string,
    { rate, clients }: { rate: number; clients: number },
  ): Promise<PgBench> {
    const beside = join(server.binaries, 'pgbench');
    const command = existsSync(beside) ? beside : onPath('pgbench');
    if (command === null) throw new Error('pgbench is missing; Debian has it in the package postgresql');
    const prefix = basename(script, '.sql');
    const args = [
      '-n',
      '-f',
      script,
      '-R',
      rate,
      '-c',
      clients,
      '-j',
      1,
      '-T',
      FOREVER_S,
      '-l',
      `--log-prefix=${prefix}`,
    ];
    const child = spawn(command, [...args.map(String), server.url(database)], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    await sleep(1_000);
    if (child.exitCode !== null) throw new Error(`pgbench ended with ${child.exitCode}`);
    return new PgBench(child, folder, prefix);
  }

  /** Latencies in milliseconds, from when a transaction should have begun, of those that ended in one of the windows. */
  async within(windows: Window[]): Promise<Spread> {
    await sleep(FLUSH_MS);
    const files = (await readdir(this.folder)).filter(
      (name) => name.startsWith(`${this.prefix}.`) && !name.endsWith('.sql'),
    );
    const latencies: number[] = [];
    for (const file of files) {
      for (const line of (await readFile(join(this.folder, file), 'utf8')).split('\n')) {
        // client, number, µs, script, seconds and µs of its end, µs that it began too late (which are in its time, too)
        const [, , took, , seconds, micros] = line.split(' ').map(Number);
        if (took === undefined || seconds === undefined || micros === undefined) continue;
        const at = seconds * 1_000 + micros / 1_000;
        if (windows.some(({ from, to }) => from <= at && at <= to)) latencies.push(took / 1_000);
      }
    }
    return spread(latencies);
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }
}
