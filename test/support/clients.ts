/** Clients as an application has them, and how a server refused them. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { onTestFinished, TestRunner } from 'vitest';
import type { PostgresServer } from '../../lab/postgres.js';

/** A connection that stays open until `end`, or until the test is over that made it; its loss doesn't end the test run. */
export async function connect(url: string, applicationName = 'app'): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: applicationName });
  client.on('error', () => undefined);
  await client.connect();
  // One that a failed test leaves may hold a lock, and the test would fail again when it is tried again.
  if (TestRunner.getCurrentTest() !== undefined) onTestFinished(() => client.end());
  return client;
}

/** SQLSTATE of the refusal; the error's text if it has none; undefined when the work was done. */
export async function refusalOf(work: Promise<unknown>): Promise<string | undefined> {
  return work.then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof pg.DatabaseError) return error.code;
      return error instanceof Error ? error.message : String(error);
    },
  );
}

/** What a fence answers, and a read-only server. */
export const READ_ONLY = '25006';

/** Asks until `sql` answers a row. */
export async function until(server: PostgresServer, database: string, sql: string, timeoutMs = 60_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while ((await server.query(sql, [], database)).length === 0) {
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${sql}`);
    await sleep(10);
  }
}
