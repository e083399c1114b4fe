/** Makes on the target what waited for the rows: keys and indexes in parallel, foreign keys last, statistics before them. */
import { failure } from '../../failure.js';
import { sqlState } from '../errors.js';
import type { ScopeTable } from '../scope.js';
import type { Session } from '../session.js';
import { nameOf, qualified } from '../statements.js';
import { inParallel } from '../copy/parallel.js';
import type { SyncProgress } from '../copy/progress.js';
import type { SyncRun } from '../copy/sessions.js';
import { Building } from './building.js';
import { recording } from './created.js';
import { pendingDeferred, type Deferred, type DeferredKind } from './deferred.js';

/** Sorting 5 M keys in the default 64 MB spills to disk. Only ever raised. */
const MAINTENANCE_MEMORY = '256MB';

/** Each statement and the note that it is done are one transaction: a crash leaves no half-built index. */
export async function applyDeferred(run: SyncRun, tables: ScopeTable[], progress: SyncProgress): Promise<void> {
  const hands: Session[] = [];
  const building = new Building(progress);
  const done = new AbortController();
  let watching = Promise.resolve();
  try {
    for (let i = 0; i < Math.max(1, run.move.database.copy.parallelism); i += 1) {
      const session = await run.open('target', `index ${i + 1}`);
      hands.push(session);
      await prepareHand(session);
      await building.join(session);
    }
    const watch = await run.open('target', 'index progress');
    watching = building.watch(watch, done.signal).then(() => watch.close());
    const [first] = hands;
    if (first === undefined) return;
    const sizes = await sizesOf(first, tables);
    const pending = await pendingDeferred(first, run.key);
    progress.begin('indexes', pending.length, 'building keys and indexes');
    const of = (kind: DeferredKind): Deferred[] => pending.filter((one) => one.kind === kind);
    const apply = async (session: Session, one: Deferred): Promise<void> => {
      await building.while(session, one.title, () => applyOne(session, run.key, one));
      progress.done += 1;
    };
    await inParallel(hands, oneTableEach(bySize(of('key'), sizes)), (hand, batch) =>
      each(batch, (one) => apply(hand, one)),
    );
    await inParallel(hands, queueOf(bySize(of('index'), sizes)), apply);
    await each(of('other'), (one) => apply(first, one));
    await analyze(hands, tables, sizes, building);
    await each(of('foreign-key'), (one) => apply(first, one));
    await each(of('trigger'), (one) => apply(first, one));
  } finally {
    done.abort();
    await Promise.all([watching, ...hands.map((hand) => hand.close())]);
  }
}

async function prepareHand(session: Session): Promise<void> {
  await session.run('set check_function_bodies = off');
  await session.rows(
    `select set_config('maintenance_work_mem', $1, false)
     where pg_size_bytes(current_setting('maintenance_work_mem')) < pg_size_bytes($1)`,
    [MAINTENANCE_MEMORY],
  );
}

async function applyOne(session: Session, key: string, one: Deferred): Promise<void> {
  await session.transaction(async () => {
    const run = async (): Promise<void> => {
      try {
        if (one.statement !== '') await session.run(one.statement);
      } catch (error) {
        throw deferredFailure(error, one);
      }
    };
    // The only ones that belong to no table, so that dropping the tables wouldn't take them along.
    if (one.title.startsWith('EVENT TRIGGER ')) await recording(session, key, run);
    else await run();
    await session.run('update godwit.deferred_ddl set done = true where scope = $1 and seq = $2', [key, one.seq]);
  });
}

function deferredFailure(error: unknown, one: Deferred): unknown {
  const code = sqlState(error);
  if (code === undefined || /^(08|57P|53|40)/.test(code)) return error;
  const place = one.table.name === '' ? '' : ` of ${one.table.schema}.${one.table.name}`;
  // 22 and 23 quote values of rows in their message.
  const reason = /^(22|23)/.test(code) || !(error instanceof Error) ? `SQLSTATE ${code}` : error.message;
  return failure(
    'SchemaMismatch',
    `the target refuses ${one.title}${place}: ${reason}`,
    'The source takes writes as before',
  );
}

type Sizes = Map<string, number>;

async function sizesOf(session: Session, tables: ScopeTable[]): Promise<Sizes> {
  const rows = await session.rows<{ schema: string; name: string; bytes: string }>(
    `select t.schema, t.name, pg_table_size(c.oid) as bytes
     from json_to_recordset($1::json) as t(schema text, name text)
     join pg_namespace n on n.nspname = t.schema
     join pg_class c on c.relnamespace = n.oid and c.relname = t.name`,
    [JSON.stringify(tables)],
  );
  return new Map(rows.map((row) => [nameOf(row), Number(row.bytes)]));
}

function bySize(all: Deferred[], sizes: Sizes): Deferred[] {
  const size = (one: Deferred): number => sizes.get(nameOf(one.table)) ?? 0;
  return [...all].sort((a, b) => size(b) - size(a) || a.seq - b.seq);
}

function queueOf<T>(items: T[]): () => T | undefined {
  const left = [...items];
  return () => left.shift();
}

/** ADD PRIMARY KEY locks its table against any other, so the keys of one table are one hand's. */
function oneTableEach(keys: Deferred[]): () => Deferred[] | undefined {
  const batches = new Map<string, Deferred[]>();
  for (const one of keys) batches.set(nameOf(one.table), [...(batches.get(nameOf(one.table)) ?? []), one]);
  return queueOf([...batches.values()]);
}

async function each<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
  for (const item of items) await work(item);
}

/** Partitioned tables too, which autovacuum never analyzes; their partitions come with them. */
async function analyze(hands: Session[], tables: ScopeTable[], sizes: Sizes, building: Building): Promise<void> {
  const [first] = hands;
  const roots = await first?.rows<ScopeTable & Record<string, unknown>>(
    `select t.schema, t.name, t.kind
     from json_to_recordset($1::json) as t(schema text, name text, kind text)
     join pg_namespace n on n.nspname = t.schema
     join pg_class c on c.relnamespace = n.oid and c.relname = t.name
     where not c.relispartition`,
    [JSON.stringify(tables)],
  );
  const sorted = (roots ?? []).sort((a, b) => (sizes.get(nameOf(b)) ?? 0) - (sizes.get(nameOf(a)) ?? 0));
  await inParallel(hands, queueOf(sorted), async (hand, table) => {
    await building.while(hand, `ANALYZE ${table.schema}.${table.name}`, async () => {
      await hand.run(`analyze ${qualified(table)}`);
    });
  });
}
