/** A PgBouncer of the lab's own: its configuration written by us, on a free loopback port, as an unprivileged user. */
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { onFreePorts } from './free-port.js';
import { PostgresServer } from './postgres.js';
import { LabProcess } from './process.js';
import { onPath } from './setup/path.js';
import { unprivilegedUser } from './user.js';

export interface PgBouncerOptions {
  name?: string;
  /** Made if missing. */
  folder: string;
  /** Entries of `[databases]` by the name that clients ask for; `*` stands for any other. */
  databases: Record<string, PgBouncerEntry>;
  /** Passwords by user, or their SCRAM secrets; the superuser of the lab's Postgres is always there. */
  users?: Record<string, string>;
  /** @default 'transaction' */
  poolMode?: 'transaction' | 'session' | 'statement';
  /** On top of ours, in `[pgbouncer]`. */
  settings?: Record<string, string>;
  port?: number;
  binary?: string;
  detached?: (pid: number) => void;
  /** A configuration that is there already stays: a cutover wrote into it where the primary is. */
  keepConfiguration?: boolean;
}

export interface PgBouncerEntry {
  host: string;
  port: number;
  dbname: string;
}

const SETTINGS: Record<string, string> = {
  listen_addr: '127.0.0.1',
  unix_socket_dir: '',
  auth_type: 'scram-sha-256',
  default_pool_size: '20',
  max_client_conn: '200',
  // Clients held by a PAUSE get an error after this; far above every budget of a cutover.
  query_wait_timeout: '60',
  // After a refused connection PgBouncer lets nobody try again for this long; its default of 15 s hides a restart.
  server_login_retry: '1',
  // With it on, an admin connection lands on whichever process the kernel picks.
  so_reuseport: '0',
  ignore_startup_parameters: 'extra_float_digits',
  log_connections: '0',
  log_disconnections: '0',
};

export class PgBouncer {
  #process: LabProcess | null = null;

  private constructor(
    readonly options: PgBouncerOptions,
    readonly port: number,
    readonly binary: string,
  ) {}

  /** User of the admin console, and its password. */
  static readonly admin = 'pgbouncer';
  static readonly adminPassword = 'lab-pgbouncer';

  static async start(options: PgBouncerOptions): Promise<PgBouncer> {
    const binary = options.binary ?? onPath('pgbouncer');
    if (binary === null) throw new Error('no pgbouncer found; `godwit lab up` installs it');
    return onFreePorts(async (pick) => {
      const bouncer = new PgBouncer(options, await pick(options.port), binary);
      const kept = options.keepConfiguration === true && existsSync(bouncer.configFile);
      if (!kept) await bouncer.#configure();
      try {
        await bouncer.restart();
      } catch (error) {
        // It names the port: the next try must not take it for one that an administrator or a cutover has written.
        if (!kept) await rm(bouncer.configFile, { force: true });
        throw error;
      }
      return bouncer;
    });
  }

  get name(): string {
    return this.options.name ?? 'pgbouncer';
  }

  /** What an endpoint's `configFile` names: readable by PgBouncer, writable by us. */
  get configFile(): string {
    return join(this.options.folder, 'pgbouncer.ini');
  }

  get log(): string {
    return join(this.options.folder, 'pgbouncer.log');
  }

  get pid(): number {
    return this.#process?.pid ?? -1;
  }

  /** URL for a client of one entry. */
  url(database: string, user = PostgresServer.user, password = PostgresServer.password): string {
    return `postgres://${user}:${password}@127.0.0.1:${this.port}/${database}`;
  }

  /** URL of the admin console. */
  get adminUrl(): string {
    return this.url('pgbouncer', PgBouncer.admin, PgBouncer.adminPassword);
  }

  /** One command of the admin console (`SHOW DATABASES`, `PAUSE app`), on a connection of its own. */
  async command<R extends pg.QueryResultRow = pg.QueryResultRow>(sql: string): Promise<R[]> {
    const client = new pg.Client({ connectionString: this.adminUrl });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query<R>(sql)).rows;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** Reads its configuration as it is now; what an admin wrote into it since the start counts. */
  async restart(): Promise<void> {
    await this.stop();
    this.#process = LabProcess.start({
      name: `PgBouncer ${this.name}`,
      command: this.binary,
      args: [this.configFile],
      log: this.log,
      cwd: this.options.folder,
      user: await unprivilegedUser(),
      detached: this.options.detached,
    });
    await this.#process.ready(async () => (await this.command('show version')).length > 0);
  }

  /** At once: clients and their transactions are cut. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    await this.#process?.stop(signal);
    this.#process = null;
  }

  async destroy(): Promise<void> {
    await this.stop();
    await rm(this.options.folder, { recursive: true, force: true });
  }

  async #configure(): Promise<void> {
    const { folder } = this.options;
    const user = await unprivilegedUser();
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o755);
    const authFile = join(folder, 'users.txt');
    const users = {
      [PostgresServer.user]: PostgresServer.password,
      [PgBouncer.admin]: PgBouncer.adminPassword,
      ...this.options.users,
    };
    // In clear text: PgBouncer needs the password itself to log in to a server that asks for SCRAM.
    const lines = Object.entries(users).map(([name, password]) => `"${name}" "${password}"`);
    await writeFile(authFile, `${lines.join('\n')}\n`, { mode: 0o600 });
    if (user) await chown(authFile, user.uid, user.gid);
    await writeFile(this.configFile, this.#configuration(authFile), { mode: 0o644 });
  }

  #configuration(authFile: string): string {
    const entries = Object.entries(this.options.databases).map(
      ([name, { host, port, dbname }]) => `${name} = host=${host} port=${port} dbname=${dbname}`,
    );
    const settings = Object.entries({
      ...SETTINGS,
      listen_port: String(this.port),
      auth_file: authFile,
      admin_users: PgBouncer.admin,
      pool_mode: this.options.poolMode ?? 'transaction',
      ...this.options.settings,
    });
    const lines = settings.map(([name, value]) => `${name} = ${value}`);
    return ['[databases]', ...entries, '', '[pgbouncer]', ...lines, ''].join('\n');
  }
}
