/** Holds the record of a load against the database that is primary now. */
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { z } from 'zod';
import type { SwitchWindow } from './check/handovers.js';
import { judge, type Ledger, type StoredRequest, type Verdict } from './check/verdict.js';
import type { LoadRecord } from './load/record.js';

export { switchWindows, type Handover, type SwitchWindow } from './check/handovers.js';
export { handovers, unexplained } from './check/handovers.js';
export { judge, type Ledger, type StoredRequest, type Verdict } from './check/verdict.js';

export interface CheckOptions {
  record: LoadRecord;
  /** The shop's database where it is primary now; not through a pooler. */
  primary: string;
  /** When writes were moved, from before to after; or how often, where that isn't known. */
  switches: SwitchWindow[] | { count: number };
}

const STORED = z.object({
  id: z.string(),
  copies: z.number(),
  whole: z.boolean(),
  server: z.string(),
  other_server: z.string(),
  accepted_at: z.number(),
});
const LEDGER = z.object({ accounts_off: z.number(), entries_sum: z.string(), balances_sum: z.string() });

/** 2 s for 300,000 requests. The load must have been stopped. */
export async function check({ record, primary, switches }: CheckOptions): Promise<Verdict> {
  const client = new pg.Client({ connectionString: primary });
  await client.connect();
  try {
    await client.query('begin isolation level repeatable read, read only');
    const stored = await storedRequests(client, record.run);
    const ledger = await ledgerOf(client);
    await client.query('commit');
    return judge(record, stored, ledger, switches);
  } finally {
    await client.end();
  }
}

async function storedRequests(client: pg.Client, run: string): Promise<StoredRequest[]> {
  const { rows } = await client.query(await script('stored.sql'), [
    `${run}-0000-0000-0000-000000000000`,
    `${run}-ffff-ffff-ffff-ffffffffffff`,
  ]);
  return z
    .array(STORED)
    .parse(rows)
    .map((row) => ({
      id: row.id,
      copies: row.copies,
      // Rows of one request from two servers: half of it came from each.
      whole: row.whole && row.server === row.other_server,
      server: row.server,
      acceptedAt: row.accepted_at,
    }));
}

async function ledgerOf(client: pg.Client): Promise<Ledger> {
  const { rows } = await client.query(await script('balances.sql'));
  const found = LEDGER.parse(rows[0]);
  return { accountsOff: found.accounts_off, entriesSum: found.entries_sum, balancesSum: found.balances_sum };
}

const script = (name: string): Promise<string> => readFile(new URL(`./check/${name}`, import.meta.url), 'utf8');
