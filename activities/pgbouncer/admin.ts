/** PgBouncer's admin console: SHOW, PAUSE, RELOAD, RESUME. https://www.pgbouncer.org/usage.html#admin-console */
import pg from 'pg';
import type { Milliseconds, SecretReference } from '../../spec/normal.js';
import { failure } from '../failure.js';
import { resolveSecret } from '../secrets.js';

const CONNECT_TIMEOUT_MS = 5_000;

export class PgBouncerAdmin {
  readonly #client: pg.Client;

  private constructor(
    readonly name: string,
    client: pg.Client,
  ) {
    this.#client = client;
    client.on('error', () => undefined);
  }

  /** @param url of the console, `postgres://admin:…@host:port/pgbouncer`. Fails with `EndpointFailed`. */
  static async open(name: string, url: SecretReference | string): Promise<PgBouncerAdmin> {
    const connectionString = typeof url === 'string' ? url : await resolveSecret(url);
    const client = new pg.Client({ connectionString, connectionTimeoutMillis: CONNECT_TIMEOUT_MS, keepAlive: true });
    const admin = new PgBouncerAdmin(name, client);
    try {
      await client.connect();
    } catch (error) {
      const reason = error instanceof Error ? error.message || error.name : 'unknown error';
      throw failure(
        'EndpointFailed',
        `can't reach the admin console of PgBouncer ${name} at ${client.host}:${client.port}: ${reason}`,
      );
    }
    return admin;
  }

  /** Rows of a SHOW command, for instance `show('databases')`. */
  async show(what: string): Promise<Record<string, string | null>[]> {
    return (await this.#send(`SHOW ${what}`)).rows as Record<string, string | null>[];
  }

  /** A command, in the simple query protocol: the console knows no other. */
  async command(sql: string): Promise<void> {
    await this.#send(sql);
  }

  /**
   * PAUSE of one database: true when all its server connections are released, false if that took longer than `timeout`.
   * After false this connection is of no more use, since it goes on waiting: RESUME on another one, and close this.
   */
  async pause(database: string, timeout: Milliseconds): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), timeout);
    });
    const paused = this.#send(`PAUSE ${quoted(database)}`).then(() => true as const);
    paused.catch(() => undefined);
    try {
      return await Promise.race([paused, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** RESUME of one database; fine when it isn't paused, or isn't there. */
  async resume(database: string): Promise<void> {
    try {
      await this.#client.query(`RESUME ${quoted(database)}`);
    } catch (error) {
      if (error instanceof Error && /not paused|no such database/i.test(error.message)) return;
      throw this.#failed(`RESUME ${database}`, error);
    }
  }

  async close(): Promise<void> {
    await this.#client.end().catch(() => undefined);
  }

  async #send(sql: string): Promise<pg.QueryResult> {
    try {
      return await this.#client.query(sql);
    } catch (error) {
      throw this.#failed(sql, error);
    }
  }

  #failed(sql: string, error: unknown): Error {
    const reason = error instanceof Error ? error.message : String(error);
    return failure('EndpointFailed', `PgBouncer ${this.name} refused ${sql}: ${reason}`);
  }
}

/** The console takes names in double quotes. */
function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
