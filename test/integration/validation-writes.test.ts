import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { readCertificate } from '../../activities/postgres/validation/certificate.js';
import { Session } from '../../activities/postgres/session.js';
import { validate } from '../../activities/postgres/validation/validate.js';
import { underway } from '../support/underway.js';
import { connect } from '../support/clients.js';
import { fresh } from '../support/fresh-name.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { replicated, type Replicated } from '../support/replicated.js';

const DDL = `
  create table accounts (id bigint primary key, balance numeric not null default 0, note text);
  create table hot (id int primary key, hits bigint not null default 0);
  create table events (id bigint generated always as identity primary key, at timestamptz default clock_timestamp());
  create table tokens (token uuid primary key default gen_random_uuid(), at timestamptz default clock_timestamp());
  create table renamed (name text primary key, value int);
  create table log (line text);
  alter table log replica identity full;
  create table members (team int, person text, role text, primary key (team, person));
`;
const ROWS = `
  insert into accounts select i, 0, 'account ' || i from generate_series(1, 20000) i;
  insert into hot select i from generate_series(1, 5) i;
  insert into tokens select from generate_series(1, 5000);
  insert into renamed select 'name ' || i, i from generate_series(1, 2000) i;
  insert into members select i % 50, 'person ' || i, 'guest' from generate_series(1, 3000) i;
`;
/** Each one a transaction; `$n` is a random number. */
const WRITES = [
  'update accounts set balance = balance + 1 where id = 1 + $n % 20000',
  'update hot set hits = hits + 1 where id = 1 + $n % 5',
  'insert into events default values',
  'delete from events where id in (select id from events order by id limit 1)',
  'insert into tokens default values',
  'delete from tokens where token in (select token from tokens limit 1)',
  `update renamed set name = 'name ' || ($n % 100000) where name = (select name from renamed offset $n % 100 limit 1)
   and not exists (select from renamed where name = 'name ' || ($n % 100000))`,
  `insert into members values ($n % 50, 'person ' || $n % 4000, 'guest') on conflict (team, person) do update set role = 'r' || $n`,
  `delete from members where team = $n % 50 and person = 'person ' || $n % 4000`,
  `insert into log values ('line ' || $n)`,
  `insert into accounts (id) values (-1 - $n % 3) on conflict do nothing`,
  `delete from accounts where id < 0`,
];

let pair: ServerPair;
let scene: Replicated;
async function setScene(): Promise<void> {
  scene = await replicated(pair, fresh('writes'), DDL, { rows: ROWS });
}
beforeAll(async () => {
  pair = await startPair();
  await setScene();
});
afterEach(async ({ task }) => {
  if (task.result?.state !== 'fail') return;
  // It has left differences.
  await scene.close();
  await setScene();
});
afterAll(async () => {
  await scene.close();
  await pair.destroy();
});

interface Load {
  /** Transactions so far. */
  done: () => number;
  stop: () => Promise<void>;
}

/** Four clients that write as fast as they can until stopped; at most `most` transactions together. */
function writers(most = 200_000): Load {
  let going = true;
  let done = 0;
  onTestFinished(() => void (going = false));
  const write = async (): Promise<void> => {
    const client = await connect(pair.source.url(scene.move.database.name));
    await client.query('set synchronous_commit = off');
    try {
      while (going && done < most) {
        const n = Math.floor(Math.random() * 1_000_000);
        const sql = (WRITES[n % WRITES.length] ?? '').replaceAll('$n', String(n));
        await client.query(sql).catch((error: unknown) => {
          if (!(error instanceof pg.DatabaseError && error.code === '23505')) throw error;
        });
        done += 1;
      }
    } finally {
      await client.end();
    }
  };
  const clients = Array.from({ length: 4 }, () => underway(write()));
  return {
    done: () => done,
    stop: async () => {
      going = false;
      await Promise.all(clients);
    },
  };
}

/** Holds up apply for a tenth of a second again and again, as a busy standby would. */
async function lagging<T>(work: () => Promise<T>): Promise<T> {
  let going = true;
  const session = await Session.open('target', pair.target.url(scene.move.database.name), { purpose: 'test' });
  const hold = async (): Promise<void> => {
    while (going) {
      await session.transaction(async () => {
        await session.run('lock table public.accounts, public.hot in share mode');
        await sleep(100);
      });
      await sleep(50);
    }
  };
  const holding = underway(hold());
  try {
    return await work();
  } finally {
    going = false;
    await holding;
    await session.close();
  }
}

test('sides that replicate are equal at every moment of heavy writing, hot rows, deletes and changed keys included', async () => {
  const load = writers();
  const settled = { byMarker: 0, byRowLock: 0, byTableLock: 0 };
  // else the load was too light to prove anything
  const heavy = (): boolean => settled.byMarker > 20 && load.done() > 1_000;
  try {
    for (let round = 0; round < 6 || (!heavy() && round < 60); round += 1) {
      const summary = await lagging(() => validate(scene.move));
      const certificate = await readCertificate(scene.target, summary.id);
      for (const table of certificate?.tables ?? []) {
        settled.byMarker += table.settled.byMarker;
        settled.byRowLock += table.settled.byRowLock;
        settled.byTableLock += table.settled.byTableLock;
      }
      expect({
        ...summary,
        tables: certificate?.tables.filter((table) => table.differences + table.suspects > 0),
      }).toMatchObject({ verdict: 'equal', differences: 0, tables: [] });
    }
  } finally {
    await load.stop();
  }
  expect(heavy()).toBe(true);
});

test('one wrong row among all those writes is found, and only that one', async () => {
  await scene.target.run(`update accounts set note = 'wrong' where id = 7`);
  await scene.source.run('insert into accounts values (30000), (30001)');
  await scene.caughtUp();
  await scene.target.run(`delete from accounts where id = 30001`);
  await scene.target.run(`insert into members values (99, 'nobody', 'ghost')`);
  const load = writers();
  await sleep(1);
  try {
    const summary = await validate(scene.move);
    const rows = await scene.target.rows<{ row: string }>(
      `select format('%s %s %s %s', table_name, kind, array_to_string(key, '|'), state) as row
       from godwit.validation_difference where certificate = $1 order by 1`,
      [summary.id],
    );
    expect(rows.map(({ row }) => row)).toEqual([
      'accounts changed 7 confirmed',
      'accounts missing 30001 confirmed',
      'members extra 99|nobody confirmed',
    ]);
    expect(summary).toMatchObject({ verdict: 'different', differences: 3 });
  } finally {
    await load.stop();
  }
});
