/** What a sample database is: made by a script, written to by clients, and with promises of its own that can be asked for. */
import { readFile } from 'node:fs/promises';
import pg from 'pg';

export interface Sample {
  /** One sentence for people. */
  about: string;
  /** Tables and rows, in an empty database. @param scale 1 is what `about` says */
  fill(url: string, scale: number): Promise<void>;
  /**
   * What one client does in one transaction, which the caller begins and commits.
   * @param id 22 characters, written with the rest: who finds them later knows that the transaction is there
   * @param turn counts the transactions of this client
   */
  transact(client: pg.Client, id: string, turn: number): Promise<void>;
  /** Answers the `id` of all that clients have done. */
  done: string;
  /** Promises that hold whenever nobody writes, each with a query that answers what breaks it. */
  promises: Record<string, string>;
}

/** Connects, works, and ends the connection. */
export async function connected<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/**
 * Runs `schema.sql` and `data.sql` of a folder beside this file.
 * @param settings of the session that makes the rows
 */
export async function fillFrom(
  folder: 'rental' | 'telemetry',
  url: string,
  scale: number,
  settings: Record<string, string> = {},
): Promise<void> {
  await connected(url, async (client) => {
    await client.query(await script(`${folder}/schema.sql`));
    for (const [name, value] of Object.entries({ 'sample.scale': scale, synchronous_commit: 'off', ...settings })) {
      await client.query('select set_config($1, $2, false)', [name, String(value)]);
    }
    await client.query(await script(`${folder}/data.sql`));
  });
}

/** From 1 to `limit`, both included. */
export const upTo = (limit: number): number => 1 + Math.floor(Math.random() * limit);

const script = (name: string): Promise<string> => readFile(new URL(`./${name}`, import.meta.url), 'utf8');
