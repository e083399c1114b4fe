/** The database of `table-kinds.sql`: made, written to all the time, and looked at by means that aren't Godwit's. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import type { PostgresServer } from '../../lab/postgres.js';
import { underway } from './underway.js';
import { connect, READ_ONLY } from './clients.js';
import type { ServerPair } from './postgres.js';

const run = promisify(execFile);

export const TABLE_KINDS = readFileSync(new URL('./table-kinds.sql', import.meta.url), 'utf8');

/** Roles are the server's, not the database's: both sides have them before a migration. */
export const ROLES = 'create role app; create role reader; create role "Owner ""quoted"""';

/** Columns of `kinds.every_type`, in their order; each is called by its type. */
export const TYPES = [...TABLE_KINDS.matchAll(/^call pg_temp\.add_type\('((?:[^']|'')+)'/gm)].map(
  (call) => call[1] ?? '',
);

const TEXT_SETTINGS = [
  `set datestyle = 'ISO, YMD'`,
  `set intervalstyle = 'iso_8601'`,
  `set timezone = 'UTC'`,
  `set bytea_output = 'hex'`,
  'set extra_float_digits = 3',
  'set search_path = pg_catalog',
];

/** Rows of every table and the md5 of their sorted texts, by `schema.table`. */
export async function rowsOf(server: PostgresServer, database: string): Promise<Map<string, string>> {
  const client = await connect(server.url(database));
  try {
    for (const setting of TEXT_SETTINGS) await client.query(setting);
    const tables = await client.query<{ schema: string; name: string }>(
      `select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema', 'godwit') order by 1, 2`,
    );
    const found = new Map<string, string>();
    for (const { schema, name } of tables.rows) {
      const { rows } = await client.query<{ digest: string }>(
        `select count(*) || ' rows ' || coalesce(md5(string_agg(md5(whole_row::text), '' order by md5(whole_row::text))), '') as digest
         from only ${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)} whole_row`,
      );
      found.set(`${schema}.${name}`, rows[0]?.digest ?? '');
    }
    return found;
  } finally {
    await client.end();
  }
}

/** What pg_dump says of the schema: everything that a table carries besides its rows, in the words of Postgres. */
export async function schemaOf(server: PostgresServer, database: string): Promise<string> {
  const { stdout } = await run(
    join(server.binaries, 'pg_dump'),
    ['--schema-only', '--no-publications', '--no-subscriptions', '--exclude-schema=godwit', server.url(database)],
    { maxBuffer: 64 * 1024 * 1024 },
  );
  // Newer minor versions put a random word into each script, for psql alone.
  return stdout.replace(/^\\(un)?restrict .*\n/gm, '');
}

/** What draws ids: `numbers.ticket_` and one of these. */
const TICKETS = [
  ...['always', 'by_default', 'serial', 'smallserial', 'unowned', 'descending', 'cached', 'unlogged', 'text'],
  'other_schema',
];

/** All ids that clients were told and that are there. */
export const TICKETS_THERE = TICKETS.map(
  (name) => `select '${name} ' || id as ticket from numbers.ticket_${name}`,
).join(' union all ');

/** One client each; `$n` is a number that no other statement gets. */
const WRITES: string[][] = [
  TICKETS.map((name) => `insert into numbers.ticket_${name} default values returning '${name} ' || id as ticket`),
  [
    `insert into trees.reading (at, region, value)
     values (date '2024-10-01' + $n % 1000, (array['eu', 'us', 'uk'])[1 + $n % 3], 0)`,
    // Rows move from partition to partition.
    `update trees.reading set at = at + 370, region = 'asia', value = value + 1
     where meter = (select max(meter) from trees.reading) and at < '2030-01-01'`,
    'delete from trees.reading where meter = (select min(meter) from trees.reading where meter > 320)',
    `insert into keys.keyless values ($n, null, repeat('body $n ', 500))`,
    // The body is stored apart and stays as it is: it isn't in the WAL but as a part of the old row.
    `update keys.keyless set value = 'w $n' where ctid = (select ctid from keys.keyless where body is not null limit 1)`,
    'delete from keys.keyless where ctid = (select min(ctid) from keys.keyless)',
    `insert into computed.computed_keyless (a, b) values ($n, 'w')`,
    `update computed.computed_keyless set b = 'w $n' where a = (select min(a) from computed.computed_keyless)`,
    'delete from computed.computed_keyless where a = (select max(a) from computed.computed_keyless)',
    'insert into sizes.without_columns default values',
    'delete from sizes.without_columns where ctid = (select min(ctid) from sizes.without_columns)',
    `update keys.full_with_key set value = 'w $n' where id = 1 + $n % 50`,
    `insert into trees.amphibian (name) values ('w $n')`,
    `update trees.vehicle set name = 'w $n' where id % 7 = $n % 7`,
  ],
  [
    'update sizes.toasted set counter = counter + 1 where id = 1 + $n % 20',
    'update sizes.wide_row set counter = counter + 1',
    'update sizes.sixteen_hundred set c1 = $n % 1000, c1599 = null where c800 = 1 + $n % 20',
    'update sizes.dropped_columns set late = $n where id = 10 + $n % 10',
    'update kinds.every_type set touched = touched + 1 where id = 150 + $n % 50',
    'update computed.invoice set net = net + 1 where id = 1 + $n % 50',
    // The values that are stored apart, and those that aren't, all change now and then.
    `update sizes.wide_row set body = reverse(body) where $n % 5 = 0`,
    `update sizes.toasted set document = document || '{"n": $n}', packed = packed || '$n' where id = 7`,
    'truncate trees.bucketed; insert into trees.bucketed select n, $n from generate_series(1, 50) n',
    `truncate bound.shelf, bound.book; insert into bound.shelf select generate_series(1, 10);
     insert into bound.book select n, n from generate_series(1, 10) n`,
    'update bound.ranked set rank = 21 - rank',
    `update bound.booking set note = 'w $n', amount = $n, tags = array['$n'] where id = 1 + $n % 50`,
    `update keys.by_columns set value = 'w', second = 'moved $n' where (third, second) = (select third, second from keys.by_columns limit 1)`,
    `update keys.by_unique_index set code = 'moved $n' where code = (select min(code) from keys.by_unique_index)`,
    `update keys.by_any_case set value = 'w $n' where key = 'KEY7'`,
    `update keys.by_citext set value = 'w $n' where key = 'KEY7'`,
    `update keys.by_float set value = 'w $n' where key in ('NaN', '0', '-Infinity')`,
    `update keys.by_composite_type set value = 'w $n' where (key).amount = 7`,
    // Each refers to the other; they are checked at the end of the transaction.
    'insert into bound.company values ($n, $n); insert into bound.person values ($n, $n, 1)',
    `insert into bound.audited values ($n, 'w')`,
    `insert into bound.ruled values ($n, 'w')`,
    `insert into bound.secured values ($n, 'app')`,
    `update "Sch.ema ""quoted"" 'ß' – 🐦"."Mixed.Case ""quoted"" table's" set value = 'w $n' where "Id's ""quoted"" key" = 7`,
  ],
];

/** Clients that write to many kinds of tables, on whichever side takes it. */
export class TableWriters {
  /** Ids that clients were told, by the kind of their sequence. */
  readonly tickets: string[] = [];
  /** Refusals that aren't the fence's, each with its statement. */
  readonly unexpected: string[] = [];
  #written = 0;
  #numbers = 1_000;
  #stopping = false;
  #running: Promise<void>[] = [];

  constructor(
    readonly pair: ServerPair,
    readonly database: string,
  ) {}

  start(): void {
    this.#stopping = false;
    this.#running = WRITES.map((statements) => underway(this.#write(statements)));
  }

  /** Waits until each statement was acknowledged about `times` times more. */
  async progress(times: number): Promise<void> {
    const goal = this.#written + times * WRITES.flat().length;
    while (this.#written < goal) await sleep(5);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#running);
  }

  async #write(statements: string[]): Promise<void> {
    const clients = await Promise.all(
      [this.pair.source, this.pair.target].map((server) => connect(server.url(this.database))),
    );
    for (let turn = 0, side = 0; !this.#stopping;) {
      const statement = statements[turn % statements.length] ?? '';
      this.#numbers += 1;
      try {
        const result = await clients[side]?.query<{ ticket?: string }>(statement.replaceAll('$n', `${this.#numbers}`));
        const ticket = result?.rows?.[0]?.ticket;
        if (ticket !== undefined) this.tickets.push(ticket);
        this.#written += 1;
        turn += 1;
        await sleep(2);
      } catch (error) {
        if (error instanceof pg.DatabaseError && error.code === READ_ONLY) {
          side = 1 - side;
          await sleep(5);
        } else {
          this.unexpected.push(`${error instanceof Error ? error.message : String(error)}: ${statement}`);
          turn += 1;
        }
      }
    }
    await Promise.all(clients.map((client) => client.end()));
  }
}
