/**
 * Clients that never stop writing and remember what was acknowledged: one transaction inserts an entry and counts it in a
 * hot account. On refusal or a lost connection they try the other server, as a driver with two hosts would.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import type { PostgresServer } from '../../lab/postgres.js';
import type { ServerPair } from './postgres.js';

export const WRITER_TABLES = `
  create table account (id int primary key, balance int not null);
  create table entry (id uuid primary key, account int not null references account, serial bigint generated always as identity);
  insert into account select n, 0 from generate_series(1, 3) n;
`;

/**
 * Between two writes of a client, and before it tries the other server. Without a rest four of them take a core for themselves,
 * and the switch that they are there for waits: the 24 tests of cutover-crash.test.ts took 122 s of CPU.
 */
const REST_MS = 4;
const TURN_MS = 10;

interface Acknowledged {
  id: string;
  port: number;
  /** Stamped by the server, after the fence let it pass. */
  at: number;
}

export interface WriterReport {
  acknowledged: number;
  /** Refused with another SQLSTATE than 25006; lost connections aren't counted. */
  unexpected: string[];
  /** Times that the accepting server changed, in order of the servers' stamps. */
  handovers: number;
  /** Acknowledged entries that the server given lacks. */
  lost: number;
  /** Whether balances count exactly the entries that are there. */
  balanced: boolean;
}

export interface Login {
  user: string;
  password: string;
}

/** Where their tables are, if not in `public` of databases of one name. */
export interface WriterPlace {
  schema?: string;
  targetDatabase?: string;
  login?: Login;
}

export class Writers {
  readonly #acknowledged: Acknowledged[] = [];
  readonly #unexpected: string[] = [];
  #stopping = false;
  #running: Promise<void>[] = [];

  private constructor(
    readonly pair: ServerPair,
    readonly database: string,
    readonly place: WriterPlace,
  ) {}

  static start(pair: ServerPair, database: string, clients = 4, place: WriterPlace = {}): Writers {
    const writers = new Writers(pair, database, place);
    writers.#running = Array.from({ length: clients }, (_, index) => writers.#write(index));
    // Those of a test that failed would write on beside all that follow.
    onTestFinished(() => void (writers.#stopping = true));
    return writers;
  }

  /** Waits until `count` more writes have been acknowledged. */
  async progress(count: number): Promise<void> {
    const goal = this.#acknowledged.length + count;
    while (this.#acknowledged.length < goal) await sleep(5);
  }

  async stop(primary: PostgresServer): Promise<WriterReport> {
    this.#stopping = true;
    await Promise.all(this.#running);
    const database = this.#databaseOn(primary);
    const { entry, account } = this.#tables;
    const rows = await primary.query<{ id: string }>(`select id from ${entry}`, [], database);
    const there = new Set(rows.map((row) => row.id));
    const [sum] = await primary.query<{ ok: boolean }>(
      `select (select sum(balance) from ${account}) = (select count(*) from ${entry}) as ok`,
      [],
      database,
    );
    const inOrder = [...this.#acknowledged].sort((a, b) => a.at - b.at);
    return {
      acknowledged: inOrder.length,
      unexpected: this.#unexpected,
      handovers: inOrder.filter((one, index) => index > 0 && inOrder[index - 1]?.port !== one.port).length,
      lost: inOrder.filter((one) => !there.has(one.id)).length,
      balanced: sum?.ok ?? false,
    };
  }

  get #tables(): { entry: string; account: string } {
    const schema = this.place.schema ?? 'public';
    return { entry: `${schema}.entry`, account: `${schema}.account` };
  }

  #databaseOn(server: PostgresServer): string {
    return server === this.pair.target ? (this.place.targetDatabase ?? this.database) : this.database;
  }

  async #write(index: number): Promise<void> {
    const { entry, account } = this.#tables;
    const servers = [this.pair.source, this.pair.target] as const;
    let turn = 0;
    let client: pg.Client | null = null;
    while (!this.#stopping) {
      const server = servers[turn % 2] ?? servers[0];
      try {
        client ??= await connect(
          server.url(this.#databaseOn(server), this.place.login?.user, this.place.login?.password),
        );
        const id = randomUUID();
        const { rows } = await client.query<{ at: number }>(
          `with made as (insert into ${entry} (id, account) values ($1, $2) returning account)
           update ${account} set balance = balance + 1 where id = (select account from made)
           returning extract(epoch from clock_timestamp())::float8 as at`,
          [id, 1 + (index % 3)],
        );
        this.#acknowledged.push({ id, port: server.port, at: rows[0]?.at ?? 0 });
        await sleep(REST_MS);
      } catch (error) {
        const code = error instanceof pg.DatabaseError ? error.code : undefined;
        // 25006 is the fence; 57P01 and no code at all are a server that went away.
        if (code !== undefined && code !== '25006' && code !== '57P01') {
          const reason = error instanceof Error ? error.message : '';
          this.#unexpected.push(`${code} ${reason}`);
        }
        await client?.end().catch(() => undefined);
        client = null;
        turn += 1;
        await sleep(TURN_MS);
      }
    }
    await client?.end().catch(() => undefined);
  }
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
