/**
 * Clients of a sample that never stop writing and remember what was acknowledged. They know both servers, and go to the
 * other one when this one refuses or is gone, as a driver with two hosts does.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { connected, type Sample } from './sample.js';

/** What the fence answers, and a read-only server. */
const READ_ONLY = '25006';
const ADMIN_SHUTDOWN = '57P01';

/** Between two tries while neither server accepts. */
const RETRY_MS = 5;

/** Between two transactions of one client. Without it four of them take all of two cores, and the migration gets the rest. */
const PAUSE_MS = 10;

interface Acknowledged {
  id: string;
  /** Index of the URL. */
  server: number;
  /** By the server's clock, after its fence let the transaction pass. */
  at: number;
}

export interface SampleReport {
  acknowledged: number;
  /** Acknowledged, and not there. */
  lost: string[];
  /** Promises of the sample that don't hold. */
  broken: string[];
  /** Refusals that are neither the fence's nor a server's shutdown. */
  unexpected: string[];
  /** How often the accepting server changed. */
  handovers: number;
}

export class SampleClients {
  readonly #acknowledged: Acknowledged[] = [];
  readonly #unexpected: string[] = [];
  #stopping = false;
  #running: Promise<void>[] = [];

  private constructor(
    readonly sample: Sample,
    readonly urls: readonly [string, string],
  ) {}

  static start(sample: Sample, urls: readonly [string, string], count = 4): SampleClients {
    const clients = new SampleClients(sample, urls);
    clients.#running = Array.from({ length: count }, () => clients.#work());
    return clients;
  }

  get acknowledged(): number {
    return this.#acknowledged.length;
  }

  /** Index of the URL whose server took the last write. */
  get accepting(): number | undefined {
    return this.#acknowledged.at(-1)?.server;
  }

  /** Waits until `count` more transactions have been acknowledged. Fails when a client was refused as it shouldn't be. */
  async progress(count: number): Promise<void> {
    const goal = this.acknowledged + count;
    while (this.acknowledged < goal) {
      if (this.#unexpected.length > 0) throw new Error(`clients were refused: ${this.#unexpected.join('; ')}`);
      await sleep(RETRY_MS);
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#running);
  }

  /** Holds what was acknowledged against one server. After `stop`. */
  async report(server: number): Promise<SampleReport> {
    const inOrder = [...this.#acknowledged].sort((one, other) => one.at - other.at);
    return connected(this.urls[server] ?? '', async (client) => {
      const done = await client.query<{ id: string }>(this.sample.done);
      const there = new Set(done.rows.map(({ id }) => id));
      const broken: string[] = [];
      for (const [promise, query] of Object.entries(this.sample.promises)) {
        const { rowCount } = await client.query(query);
        if (rowCount !== 0) broken.push(promise);
      }
      return {
        acknowledged: inOrder.length,
        lost: inOrder.filter(({ id }) => !there.has(id)).map(({ id }) => id),
        broken,
        unexpected: this.#unexpected,
        handovers: inOrder.filter((one, index) => index > 0 && inOrder[index - 1]?.server !== one.server).length,
      };
    });
  }

  async #work(): Promise<void> {
    const open = new Map<number, pg.Client>();
    let server = 0;
    for (let turn = 0; !this.#stopping;) {
      const id = randomBytes(11).toString('hex');
      try {
        const client = open.get(server) ?? (await connect(this.urls[server] ?? ''));
        open.set(server, client);
        const at = await this.#transaction(client, id, turn);
        this.#acknowledged.push({ id, server, at });
        turn += 1;
        await sleep(PAUSE_MS);
      } catch (error) {
        const code = error instanceof pg.DatabaseError ? error.code : undefined;
        if (code !== READ_ONLY) {
          if (code !== undefined && code !== ADMIN_SHUTDOWN) {
            this.#unexpected.push(`${code} ${error instanceof Error ? error.message : ''}`);
          }
          await open
            .get(server)
            ?.end()
            .catch(() => undefined);
          open.delete(server);
        }
        server = 1 - server;
        await sleep(RETRY_MS);
      }
    }
    await Promise.all([...open.values()].map((client) => client.end().catch(() => undefined)));
  }

  async #transaction(client: pg.Client, id: string, turn: number): Promise<number> {
    await client.query('begin');
    try {
      await this.sample.transact(client, id, turn);
      const { rows } = await client.query<{ at: number }>('select extract(epoch from clock_timestamp())::float8 as at');
      await client.query('commit');
      return rows[0]?.at ?? 0;
    } catch (error) {
      await client.query('rollback').catch(() => undefined);
      throw error;
    }
  }
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
