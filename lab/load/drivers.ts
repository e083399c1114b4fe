/**
 * Clients that write again and again, and try a refused write anew on a new connection, as an application does that knows
 * SQLSTATE 25006. A write is one row by its own id, so that trying it twice writes it once.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** Where a client connects. `turn` counts its connections. */
export type Choice = (turn: number) => Promise<pg.Client>;

/** The table that they write. */
export const DRIVER_TABLE =
  'create table driver_write (id uuid primary key, at timestamptz not null default clock_timestamp())';

export interface Written {
  /** Milliseconds of `performance.now()`: first sent, and acknowledged. */
  startedAt: number;
  endedAt: number;
  /** SQLSTATE or socket code of each refusal on the way. */
  refusals: string[];
}

/** Between two tries: a refusal while both sides are fenced comes at once, and the fence lasts for tens of milliseconds. */
const TRY_AGAIN_MS = 5;
const BETWEEN_WRITES_MS = 4;

export class Drivers {
  readonly written: Written[] = [];
  readonly #ids: string[] = [];
  #running: Promise<void>[] = [];
  #stopping = false;
  #abandoned = false;

  static start(choice: Choice, clients = 4): Drivers {
    const drivers = new Drivers();
    drivers.#running = Array.from({ length: clients }, () => drivers.#write(choice));
    return drivers;
  }

  /** Waits until `count` more writes are acknowledged. */
  async progress(count: number): Promise<void> {
    const goal = this.written.length + count;
    while (this.written.length < goal) await sleep(5);
  }

  /** Ends soon, whatever is under way. */
  abandon(): void {
    this.#stopping = true;
    this.#abandoned = true;
  }

  /** Ends once every write under way is acknowledged; answers how many of them `primary` lacks. */
  async stop(primary: string): Promise<{ acknowledged: number; lost: number }> {
    this.#stopping = true;
    await Promise.all(this.#running);
    const client = new pg.Client({ connectionString: primary });
    await client.connect();
    try {
      const { rows } = await client.query<{ id: string }>('select id from driver_write');
      const there = new Set(rows.map(({ id }) => id));
      return { acknowledged: this.#ids.length, lost: this.#ids.filter((id) => !there.has(id)).length };
    } finally {
      await client.end();
    }
  }

  async #write(choice: Choice): Promise<void> {
    let client: pg.Client | null = null;
    let turn = 0;
    while (!this.#stopping) {
      const id = randomUUID();
      const refusals: string[] = [];
      const startedAt = performance.now();
      for (;;) {
        try {
          client ??= await choice(turn);
          await client.query('insert into driver_write (id) values ($1) on conflict do nothing', [id]);
          break;
        } catch (error) {
          refusals.push(codeOf(error));
          await client?.end().catch(() => undefined);
          client = null;
          if (this.#abandoned) return;
          turn += 1;
          await sleep(TRY_AGAIN_MS);
        }
      }
      this.#ids.push(id);
      this.written.push({ startedAt, endedAt: performance.now(), refusals });
      await sleep(BETWEEN_WRITES_MS);
    }
    await client?.end().catch(() => undefined);
  }
}

function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return error instanceof Error ? error.message : 'unknown';
}

async function open(url: string, application: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: application });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** One address: a pooler, or a proxy that leads to the primary. */
export const oneHost =
  (url: string, application = 'driver'): Choice =>
  () =>
    open(url, application);

/** Both servers in turn: the other one after each refusal. */
export const inTurn =
  (urls: string[], application = 'driver'): Choice =>
  (turn) =>
    open(urls[turn % urls.length] ?? '', application);

/** The first that takes writes, asked as libpq does for target_session_attrs=read-write; node-postgres knows one host only. */
export const readWrite =
  (urls: string[], application = 'driver'): Choice =>
  async () => {
    for (const url of urls) {
      const client = await open(url, application);
      const { rows } = await client.query<{ transaction_read_only: string }>('show transaction_read_only');
      if (rows[0]?.transaction_read_only === 'off') return client;
      await client.end();
    }
    throw new Error('no host takes writes');
  };
