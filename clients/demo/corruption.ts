/** Rows that change behind replication's back: what a reconciliation is there to find. */
import pg from 'pg';

/** Rows that differ afterwards. */
export const CORRUPTED_ROWS = 3;

/** Old order lines, which nobody changes: a difference stays as it is until it is mended. */
const CORRUPTION = [
  'update shop.order_lines set price = price + 1 where (order_id, line) in (select order_id, line from shop.order_lines order by 1, 2 limit 2)',
  'delete from shop.order_lines where (order_id, line) = (select order_id, line from shop.order_lines order by 1, 2 offset 2 limit 1)',
];

/**
 * What a superuser can do and should not: takes the fence from one table of the closed target, changes three of its rows, and puts the
 * fence back, in one transaction.
 */
export async function corrupt(target: string): Promise<void> {
  const client = new pg.Client({ connectionString: target });
  await client.connect();
  try {
    const { rows: triggers } = await client.query<{ name: string }>(
      `select quote_ident(tgname) as name from pg_trigger
       where tgrelid = 'shop.order_lines'::regclass and not tgisinternal and tgenabled = 'A'`,
    );
    const { rows: guards } = await client.query<{ name: string; as: string }>(
      `select quote_ident(evtname) as name, case evtenabled when 'A' then 'enable always' else 'enable' end as as
       from pg_event_trigger where evtenabled <> 'D'`,
    );
    const statements = [
      'begin',
      ...guards.map(({ name }) => `alter event trigger ${name} disable`),
      ...triggers.map(({ name }) => `alter table shop.order_lines disable trigger ${name}`),
      ...CORRUPTION,
      ...triggers.map(({ name }) => `alter table shop.order_lines enable always trigger ${name}`),
      ...guards.map(({ name, as }) => `alter event trigger ${name} ${as}`),
      'commit',
    ];
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
