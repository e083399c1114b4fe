/** A Postgres server of the lab's own: made by initdb in a folder, on a free loopback port, as an unprivileged user. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { appendFile, chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { onFreePorts } from './free-port.js';
import { LabProcess } from './process.js';
import { unprivilegedUser } from './user.js';

const run = promisify(execFile);

/** Room for many migrations at once; everything else as a careful operator would have it. fsync stays on. */
const SETTINGS: Record<string, string> = {
  listen_addresses: `'127.0.0.1'`,
  unix_socket_directories: `''`,
  wal_level: 'logical',
  max_wal_senders: '40',
  max_replication_slots: '40',
  max_logical_replication_workers: '20',
  max_worker_processes: '40',
  max_prepared_transactions: '10',
  max_connections: '200',
  // Without huge pages a backend that ends unmaps each page of it that it has touched: 6 ms at 256 MB, while the PAUSE of a
  // switch ends all those of the pool at once.
  shared_buffers: '32MB',
  max_wal_size: '2GB',
  wal_receiver_status_interval: '1s',
  log_line_prefix: `'%m [%p] %a '`,
  log_min_messages: 'warning',
};

/** A crashed server replays its WAL first, on a machine that does other things as well. */
const RECOVERY_TIMEOUT_MS = 120_000;

export interface PostgresOptions {
  name: string;
  /** Made if missing; kept by `stop`, removed by `destroy`. */
  folder: string;
  port?: number;
  settings?: Record<string, string>;
  binaries?: string;
  /** Outlives us; see `LabProcess`. */
  detached?: (pid: number) => void;
}

export class PostgresServer {
  #process: LabProcess | null = null;

  private constructor(
    readonly name: string,
    readonly folder: string,
    readonly port: number,
    readonly binaries: string,
    readonly detached: ((pid: number) => void) | undefined,
  ) {}

  /** Superuser of the server; authentication by scram with this password. */
  static readonly user = 'postgres';
  static readonly password = 'lab-postgres';

  static async start(options: PostgresOptions): Promise<PostgresServer> {
    const binaries = options.binaries ?? findPostgres();
    if (binaries === null) throw new Error('no Postgres server binaries found; `godwit lab up` installs them');
    return onFreePorts(async (pick) => {
      const port = await pick(options.port);
      const server = new PostgresServer(options.name, options.folder, port, binaries, options.detached);
      if (!existsSync(server.data)) await server.#initialize(options.settings ?? {});
      await server.restart();
      return server;
    });
  }

  get data(): string {
    return join(this.folder, 'data');
  }

  get log(): string {
    return join(this.folder, 'postgres.log');
  }

  get pid(): number {
    return this.#process?.pid ?? -1;
  }

  /** False once it was stopped, or has ended by itself. */
  get running(): boolean {
    return this.#process?.running ?? false;
  }

  /** URL of one database for the superuser, or for the user given. */
  url(database = 'postgres', user = PostgresServer.user, password = PostgresServer.password): string {
    return `postgres://${user}:${password}@127.0.0.1:${this.port}/${encodeURIComponent(database)}`;
  }

  async restart(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    await this.stop(mode);
    const user = await unprivilegedUser();
    this.#process = LabProcess.start({
      name: `Postgres ${this.name}`,
      command: join(this.binaries, 'postgres'),
      args: ['-D', this.data, '-p', String(this.port)],
      log: this.log,
      cwd: this.folder,
      // A server that connects to another looks for certificates there, and fails on one that it may not read.
      env: { ...process.env, HOME: this.folder },
      user,
      detached: this.detached,
    });
    await this.#process.ready(async () => {
      await this.query('select 1');
      return true;
    }, RECOVERY_TIMEOUT_MS);
  }

  /** `immediate` is a crash: no checkpoint, recovery at the next start. */
  async stop(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    await this.#process?.stop(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
    this.#process = null;
  }

  async destroy(): Promise<void> {
    await this.stop('immediate');
    await rm(this.folder, { recursive: true, force: true });
  }

  /** One statement on a connection of its own. */
  async query<R extends pg.QueryResultRow = pg.QueryResultRow>(
    sql: string,
    values: unknown[] = [],
    database = 'postgres',
  ): Promise<R[]> {
    // Not by URL: the parser of node-postgres leaves some characters of a database's name encoded.
    const { user, password } = PostgresServer;
    const client = new pg.Client({ host: '127.0.0.1', port: this.port, user, password, database });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return values.length > 0 ? (await client.query<R>(sql, values)).rows : (await client.query<R>(sql)).rows;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  async createDatabase(name: string): Promise<void> {
    await this.query(`create database ${pg.escapeIdentifier(name)}`);
  }

  async #initialize(settings: Record<string, string>): Promise<void> {
    const user = await unprivilegedUser();
    await mkdir(this.folder, { recursive: true });
    const passwordFile = join(this.folder, 'password');
    await writeFile(passwordFile, PostgresServer.password, { mode: 0o600 });
    if (user) {
      await chown(this.folder, user.uid, user.gid);
      await chown(passwordFile, user.uid, user.gid);
    }
    const args = ['-D', this.data, '-U', PostgresServer.user, '--auth=scram-sha-256', `--pwfile=${passwordFile}`];
    await run(join(this.binaries, 'initdb'), [...args, '--no-sync', '-E', 'UTF8', '--locale=C.UTF-8'], {
      cwd: this.folder,
      ...(user ?? {}),
    });
    await rm(passwordFile);
    const lines = Object.entries({ ...SETTINGS, ...settings }).map(([name, value]) => `${name} = ${value}`);
    await appendFile(join(this.data, 'postgresql.conf'), `\n${lines.join('\n')}\n`);
  }
}

/** Folder with `initdb` and `postgres`: the newest where Debian puts them, else that on PATH. Null: none. */
export function findPostgres(): string | null {
  const debian = '/usr/lib/postgresql';
  if (existsSync(debian)) {
    const versions = readdirSync(debian).sort((a, b) => Number(b) - Number(a));
    for (const version of versions) {
      const folder = join(debian, version, 'bin');
      if (existsSync(join(folder, 'initdb'))) return folder;
    }
  }
  return (process.env['PATH'] ?? '').split(':').find((folder) => existsSync(join(folder, 'initdb'))) ?? null;
}
