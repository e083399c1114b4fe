/** The tables of Postgres's own benchmark, made by `pgbench -i` itself, and its TPC-B-like transaction. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type pg from 'pg';
import { findPostgres } from '../postgres.js';
import { onPath } from '../setup/path.js';
import { connected, upTo, type Sample } from './sample.js';

const run = promisify(execFile);

const ACCOUNTS_PER_BRANCH = 100_000;
const TELLERS_PER_BRANCH = 10;

/** @param args without the database, which is that of `url` */
export async function runPgbench(url: string, args: string[]): Promise<string> {
  const { hostname, port, username, password, pathname } = new URL(url);
  const login = {
    PGHOST: hostname,
    PGPORT: port,
    PGUSER: decodeURIComponent(username),
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: decodeURIComponent(pathname.slice(1)),
  };
  const { stdout } = await run(pgbenchBinary(), args, { env: { ...process.env, ...login } });
  return stdout;
}

function pgbenchBinary(): string {
  const beside = join(findPostgres() ?? '', 'pgbench');
  const found = existsSync(beside) ? beside : onPath('pgbench');
  if (found === null) throw new Error('no pgbench found; Debian has it in the package postgresql, others in contrib');
  return found;
}

/** How many branches there are: asked once by each connection, since these tables never grow. */
const branches = new WeakMap<pg.Client, number>();

async function branchesOf(client: pg.Client): Promise<number> {
  const known = branches.get(client);
  if (known !== undefined) return known;
  const { rows } = await client.query<{ n: number }>('select count(*)::int as n from pgbench_branches');
  const found = rows[0]?.n ?? 1;
  branches.set(client, found);
  return found;
}

const ofHistory = (table: string, key: string, balance: string): string =>
  `select ${key} from ${table} left join (select ${key}, sum(delta) as delta from pgbench_history group by ${key}) h using (${key})
   where ${balance} <> coalesce(h.delta, 0)`;

export const PGBENCH: Sample = {
  about: 'the tables of pgbench: 100,000 accounts for each unit of scale, and a history without a key',

  async fill(url, scale) {
    await runPgbench(url, ['-i', '-q', '-s', String(Math.ceil(scale))]);
  },

  async transact(client, id) {
    const scale = await branchesOf(client);
    const [account, teller, branch] = [
      upTo(ACCOUNTS_PER_BRANCH * scale),
      upTo(TELLERS_PER_BRANCH * scale),
      upTo(scale),
    ];
    const delta = upTo(10_001) - 5_001;
    await client.query('update pgbench_accounts set abalance = abalance + $1 where aid = $2', [delta, account]);
    await client.query('select abalance from pgbench_accounts where aid = $1', [account]);
    await client.query('update pgbench_tellers set tbalance = tbalance + $1 where tid = $2', [delta, teller]);
    await client.query('update pgbench_branches set bbalance = bbalance + $1 where bid = $2', [delta, branch]);
    // pgbench leaves `filler`, of 22 characters, empty.
    await client.query(
      'insert into pgbench_history (tid, bid, aid, delta, mtime, filler) values ($1, $2, $3, $4, current_timestamp, $5)',
      [teller, branch, account, delta, id],
    );
  },

  done: 'select filler as id from pgbench_history where filler is not null',

  promises: {
    'every account is the sum of its history': ofHistory('pgbench_accounts', 'aid', 'abalance'),
    'every teller is the sum of its history': ofHistory('pgbench_tellers', 'tid', 'tbalance'),
    'every branch is the sum of its history': ofHistory('pgbench_branches', 'bid', 'bbalance'),
  },
};

/** How many transactions there ever were, by whichever client. */
export async function transactionsIn(url: string): Promise<number> {
  return connected(url, async (client) => {
    const { rows } = await client.query<{ n: number }>('select count(*)::int as n from pgbench_history');
    return rows[0]?.n ?? 0;
  });
}
