/** One large table of mixed types: a primary key, two more indexes, 11 columns; 5 million rows are about 1.3 GB without its indexes. */
import type { PostgresServer } from '../lab/postgres.js';

export const LARGE_ROWS = 5_000_000;
export const LARGE_TABLE = { schema: 'public', name: 'orders' };
/** Primary key and two more. */
const INDEXES = 3;

/** The load beside a copy is in a database of its own, so that it is in nobody's copy. */
export const NEIGHBOUR = 'neighbour';
export const NEIGHBOUR_ROWS = 10_000;

const COLUMNS = `
  create table public.orders (
    id        bigint not null,
    customer  integer not null,
    status    smallint not null,
    paid      boolean not null,
    amount    numeric(12, 2) not null,
    weight    double precision,
    placed    timestamptz not null,
    reference uuid not null,
    email     text not null,
    details   jsonb not null,
    note      text
  )`;

const FILL = `
  insert into public.orders
  select i, i % 100000, i % 7, i % 3 = 0, (i % 100000) / 100.0, case when i % 10 > 0 then sqrt(i) end,
         timestamptz '2026-01-01' + i * interval '1 second', md5(i::text)::uuid, 'person-' || i % 1000000 || '@example.org',
         jsonb_build_object('channel', i % 5, 'tags', jsonb_build_array('a' || i % 11, 'b' || i % 13)),
         case when i % 4 > 0 then md5((i + 1)::text) || md5((i + 2)::text) || md5((i + 3)::text) end
  from generate_series(1::bigint, $1::bigint) i`;

/** Makes database `name` with the table, and the neighbour's. 1.5 min at 5 million rows on 2 cores. */
export async function makeLargeTable(server: PostgresServer, name: string, rows: number): Promise<void> {
  await server.createDatabase(name);
  await server.query(COLUMNS, [], name);
  await server.query(FILL, [rows], name);
  await server.query('alter table public.orders add primary key (id)', [], name);
  await server.query('create index orders_by_customer on public.orders (customer, placed)', [], name);
  await server.query('create index orders_by_reference on public.orders (reference)', [], name);
  await server.query('vacuum analyze public.orders', [], name);
  await server.createDatabase(NEIGHBOUR);
  await server.query('create table seat (id integer primary key, taken bigint not null)', [], NEIGHBOUR);
  await server.query('insert into seat select i, 0 from generate_series(1, $1::int) i', [NEIGHBOUR_ROWS], NEIGHBOUR);
}

export async function bytesOf(server: PostgresServer, name: string): Promise<{ table: number; indexes: number }> {
  const [size] = await server.query<{ table: string; indexes: string }>(
    `select pg_table_size('public.orders') as table, pg_indexes_size('public.orders') as indexes`,
    [],
    name,
  );
  return { table: Number(size?.table ?? 0), indexes: Number(size?.indexes ?? 0) };
}

/** Whether all rows and all indexes are there. */
export async function isWhole(server: PostgresServer, name: string, rows: number): Promise<boolean> {
  const [found] = await server.query<{ rows: string; indexes: number }>(
    `select (select count(*) from public.orders) as rows,
            (select count(*)::int from pg_index where indrelid = 'public.orders'::regclass and indisvalid) as indexes`,
    [],
    name,
  );
  return Number(found?.rows) === rows && found?.indexes === INDEXES;
}
