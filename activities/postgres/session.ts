/**
 * One connection to one database, with settings that an application's defaults can't disturb.
 * It never reconnects: what holds a lock, a snapshot or an advisory lock must notice that it is gone.
 */
import pg from 'pg';
import type { SecretReference } from '../../spec/normal.js';
import { failure } from '../failure.js';
import { resolveSecret } from '../secrets.js';
import { postgresFailure } from './errors.js';
import { clientConfig } from './url.js';

/**
 * Time-outs are 0 in Godwit's own sessions: idle_in_transaction_session_timeout would kill the holder of a
 * snapshot. Read-only defaults are off: one made CREATE SUBSCRIPTION fail. The rest pins how values are written.
 */
const SETTINGS = [
  'statement_timeout=0',
  'lock_timeout=0',
  'idle_in_transaction_session_timeout=0',
  'default_transaction_read_only=off',
  'default_transaction_isolation=read\\ committed',
  'client_min_messages=warning',
  'search_path=pg_catalog',
  'datestyle=ISO,YMD',
  'intervalstyle=postgres',
  'timezone=UTC',
  'bytea_output=hex',
  'extra_float_digits=1',
  'synchronous_commit=on',
  'row_security=off',
  // The fence's function is replaced while clients wait; its body is tested, and compiling it here once more costs 1 ms.
  'check_function_bodies=off',
];

/** Time-outs since versions 14 and 17: named at the connection's start, one that a server doesn't know would refuse it. */
const LATER_TIMEOUTS_OFF = `
  select set_config(name, '0', false) from unnest(array['idle_session_timeout', 'transaction_timeout']) as name
  where current_setting(name, true) <> '0'`;

/** Longest wait for a TCP connection and authentication. */
const CONNECT_TIMEOUT_MS = 10_000;

export interface SessionOptions {
  /** Shown in pg_stat_activity as `godwit KEY PURPOSE`. */
  purpose: string;
  /** Opens a walsender instead (`replication=database`): for CREATE_REPLICATION_SLOT with its snapshot. */
  replication?: boolean;
  /** Leaves every setting as the database gives it to this role: to look at them. */
  asGiven?: boolean;
}

export class Session {
  readonly #client: pg.Client;
  #lost: Error | null = null;
  #closed = false;
  #transactions = 0;

  private constructor(
    client: pg.Client,
    readonly side: string,
  ) {
    this.#client = client;
    // The first says why; what follows says only that the connection is gone.
    client.on('error', (error) => {
      this.#lost ??= error;
    });
  }

  /**
   * Fails with `DatabaseUnreachable`, `AuthenticationFailed` or `SecretUnavailable`.
   * @param side how errors name it: `source`, `target`, `pgbouncer …`
   */
  static async open(side: string, url: SecretReference | string, options: SessionOptions): Promise<Session> {
    const connectionString = typeof url === 'string' ? url : await resolveSecret(url);
    let client: pg.Client;
    try {
      const config = clientConfig(connectionString);
      const settings = options.asGiven ? [] : SETTINGS.map((setting) => `-c ${setting}`);
      client = new pg.Client({
        ...config,
        application_name: `godwit ${options.purpose}`,
        connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
        keepAlive: true,
        // The last one of two counts.
        options: [...(config.options === undefined ? [] : [config.options]), ...settings].join(' '),
        ...(options.replication ? { replication: 'database' } : {}),
      });
    } catch {
      throw failure(
        'InvalidSpec',
        `the URL of the ${side} isn't a Postgres URL; expected postgres://user:password@host:port/database`,
      );
    }
    const session = new Session(client, side);
    try {
      await client.connect();
      if (!options.asGiven) await client.query(LATER_TIMEOUTS_OFF);
    } catch (error) {
      throw postgresFailure(session.#reason(error), `connect to the ${side}`, { host: client.host, port: client.port });
    }
    return session;
  }

  /** The connection itself, for COPY streams. */
  get raw(): pg.Client {
    return this.#client;
  }

  /** That have ended here; a statement outside of BEGIN is one. */
  get transactions(): number {
    return this.#transactions;
  }

  get lost(): boolean {
    return this.#lost !== null || this.#closed;
  }

  /** Rows of one statement. Errors come scrubbed: no `detail`, no `where`, since Postgres puts rows into them. */
  async rows<R extends pg.QueryResultRow = pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<R[]> {
    return (await this.#query<R>(sql, values)).rows;
  }

  /** The first row; undefined when there is none. */
  async row<R extends pg.QueryResultRow = pg.QueryResultRow>(
    sql: string,
    values: unknown[] = [],
  ): Promise<R | undefined> {
    return (await this.rows<R>(sql, values))[0];
  }

  /** For statements without rows; answers the number of rows they touched. */
  async run(sql: string, values: unknown[] = []): Promise<number> {
    return (await this.#query(sql, values)).rowCount ?? 0;
  }

  /** Statements without parameters and rows in one round trip, where each of them costs clients that wait. */
  async batch(statements: string[]): Promise<void> {
    if (statements.length > 0) await this.#query(statements.join(';\n'), []);
  }

  /**
   * `work` between BEGIN and COMMIT. If COMMIT's answer is lost, the caller gets `DatabaseUnreachable` and must find
   * out what happened; any other failure has rolled back.
   */
  async transaction<T>(work: () => Promise<T>, begin = 'begin'): Promise<T> {
    return this.#orRollBack(async () => {
      await this.run(begin);
      const result = await work();
      await this.run('commit');
      return result;
    });
  }

  /** A transaction whose `statements` begin it, in one round trip; `work` gets the rows of the last of them. */
  async transactionAfter<R extends pg.QueryResultRow, T>(
    statements: string[],
    work: (rows: R[]) => Promise<T>,
  ): Promise<T> {
    return this.#orRollBack(async () => {
      const results = await this.#results<R>(['begin', ...statements]);
      const result = await work(results.at(-1)?.rows ?? []);
      await this.run('commit');
      return result;
    });
  }

  /**
   * A transaction in one round trip, where each of them costs clients that wait. Failures as those of `transaction`.
   * @param end `rollback`: only tried
   */
  async transact(statements: string[], end: 'commit' | 'rollback' = 'commit'): Promise<void> {
    await this.#orRollBack(() => this.batch(['begin', ...statements, end]));
  }

  /**
   * A transaction in two round trips: `look` begins it, and what it found becomes the statements that end it. A throw rolls
   * back. Those of `look` that answer rows answer one; `act` gets the columns of all of them.
   */
  async lookAndAct<F extends pg.QueryResultRow>(look: string[], act: (found: Partial<F>) => string[]): Promise<void> {
    await this.#orRollBack(async () => {
      const results = await this.#results<F>(['begin', ...look]);
      const found = Object.assign({}, ...results.flatMap(({ rows }) => rows)) as Partial<F>;
      await this.batch([...act(found), 'commit']);
    });
  }

  /** In one round trip. One result for one statement, a list of them for several; the types of pg know only the first. */
  async #results<R extends pg.QueryResultRow>(statements: string[]): Promise<pg.QueryResult<R>[]> {
    const results: unknown = await this.#query<R>(statements.join(';\n'), []);
    return (Array.isArray(results) ? results : [results]) as pg.QueryResult<R>[];
  }

  async #orRollBack<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!this.lost) await this.#client.query('rollback').catch(() => undefined);
      throw error;
    }
  }

  /** What Postgres said when it ended the connection between two statements, instead of `not queryable`. */
  #reason(error: unknown): unknown {
    return error instanceof pg.DatabaseError ? error : (this.#lost ?? error);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#client.end().catch(() => undefined);
  }

  async #query<R extends pg.QueryResultRow>(sql: string, values: unknown[]): Promise<pg.QueryResult<R>> {
    try {
      return values.length > 0 ? await this.#client.query<R>(sql, values) : await this.#client.query<R>(sql);
    } catch (error) {
      throw postgresFailure(this.#reason(error), `run a statement on the ${this.side}`);
    } finally {
      if (this.#client.getTransactionStatus() === 'I') this.#transactions += 1;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
