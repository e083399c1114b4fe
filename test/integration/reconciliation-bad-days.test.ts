/** Bad input and bad days of a reconciliation: each gets a clear answer, and never a false "equal" nor a false "different". */
import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dropStreams } from '../../activities/reconciliation/streams.js';
import type { NormalReconciliation, RunSummary, RunTable } from '../../spec/reconciliation.js';
import { underway } from '../support/underway.js';
import { fresh } from '../support/fresh-name.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { Reconciled } from '../support/reconciled.js';
import { SmallDisk } from '../support/small-disk.js';
import { standbyOf } from '../support/standby.js';
import { until } from '../support/sync.js';

let pair: ServerPair;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'godwit-reconcile-bad-'));
  await chmod(folder, 0o755);
  pair = await startPair({ wal_retrieve_retry_interval: '200ms' });
});
afterAll(async () => {
  await pair.destroy();
  await rm(folder, { recursive: true, force: true });
});

/** Two databases that nothing keeps alike. */
async function apart(name: string, schema: string, rows = 'select'): Promise<Reconciled> {
  return Reconciled.start(pair, fresh(name), { schema, rows, replicated: false });
}

/** What a run says of tables that it did not compare. */
async function notCompared(world: Reconciled, { run }: RunSummary): Promise<string[]> {
  const [stored] = await world.on<{ tables: RunTable[] }>(
    'target',
    'select tables from godwit.reconciliation_run where run = $1',
    [run],
  );
  return (stored?.tables ?? []).filter(({ how }) => how === 'not-compared').map(({ name, note }) => `${name}: ${note}`);
}

/** Waits until this run has compared so many pieces. */
async function compared(world: Reconciled, run: string, pieces: number): Promise<void> {
  await until(async () => {
    const [state] = await world.on<{ there: boolean }>(
      'target',
      `select to_regclass('godwit.reconciliation_watermark') is not null as there`,
    );
    if (state?.there !== true) return false;
    const [done] = await world.on<{ done: number }>(
      'target',
      'select count(*)::int as done from godwit.reconciliation_piece where run = $1 and figures is not null',
      [run],
    );
    return (done?.done ?? 0) >= pieces;
  }, `${pieces} pieces are compared`);
}

/** Sessions of runs and repairs that are still there. */
const sessionsLeft = async (world: Reconciled): Promise<string[]> => {
  const left = await Promise.all(
    (['source', 'target'] as const).map((side) =>
      world.on<{ name: string }>(
        side,
        `select application_name as name from pg_stat_activity where datname = current_database() and application_name like 'godwit %'`,
      ),
    ),
  );
  return left.flat().map(({ name }) => name);
};

/** The first table is compared first, and the others wait for the pace that it used up: for some eight seconds. */
const ONE_AFTER_ANOTHER = { parallelism: 1, rowsPerSecond: 5_000 };
const TWO_TABLES = `
  create table large (id bigint primary key, value text);
  create table "Small one" (id bigint primary key, value text)`;
const TWO_TABLES_ROWS = `
  insert into large select n, 'v' from generate_series(1, 20000) n;
  insert into "Small one" select n, 'v' from generate_series(1, 100) n;
  analyze`;

// first, since a standby is a copy of all databases
describe('a replica to read from', () => {
  test('is read once it has what is compared; one that stays behind, or is none, is refused', async () => {
    const world = await apart('behind', TWO_TABLES, TWO_TABLES_ROWS);
    const standby = await standbyOf(pair.source, { name: 'behind' });
    try {
      process.env['RECONCILED_REPLICA'] = standby.url(world.name);
      const { url } = world.normal().source;
      const normal = world.normal({ source: { url, replica: { env: 'RECONCILED_REPLICA' } } });
      const delay = async (value: string): Promise<void> => {
        await standby.query(`alter system set recovery_min_apply_delay = '${value}'`);
        await standby.query('select pg_reload_conf()');
        const sql = `select from pg_settings where name = 'recovery_min_apply_delay' and setting::int = extract(epoch from interval '${value}') * 1000`;
        await until(async () => (await standby.query(sql)).length === 1, 'the setting is read');
      };
      expect(await world.run(normal)).toMatchObject({ verdict: 'equal', rows: 20_100 });
      // the target has lost a row that the replica hasn't got yet
      await delay('2s');
      await world.on('source', `insert into "Small one" values (101, 'late')`);
      const late = await world.run(normal);
      expect(await world.found(late.run)).toEqual(['Small one missing 101']);

      await delay('1h');
      await world.on('source', `insert into "Small one" values (102, 'later')`);
      await expect(world.run(normal)).rejects.toMatchObject({
        type: 'ReplicationBroken',
        message: expect.stringMatching(
          /source\.replica has replayed up to .* recovery_min_apply_delay keeps it 3600 s behind/,
        ) as string,
      });
      process.env['RECONCILED_REPLICA'] = pair.target.url(world.name);
      await expect(world.run(normal)).rejects.toMatchObject({
        type: 'InvalidSpec',
        message: expect.stringContaining('source.replica is no physical standby of source.url') as string,
      });
    } finally {
      await standby.destroy();
    }
  });
});

describe('tables that are not the same on both sides', () => {
  test('are compared where it can be done, and named with the reason where it cannot', async () => {
    const world = await apart(
      'unlike',
      `create table here_more (id int primary key, a text);
       create table there_more (id int primary key, a text);
       create table retyped (id int primary key, a int);
       create table computed (id int primary key, a int, b int generated always as (a * 2) stored);
       create table plain (id int primary key, a int);
       create table here_only (id int primary key)`,
      `insert into computed values (1, 1), (2, 2); insert into plain values (1, 1)`,
    );
    await world.on('source', `alter table here_more add "only Here" text`);
    await world.on(
      'target',
      `alter table there_more add only_there text; alter table retyped alter a type bigint; drop table here_only;
       create table there_only (id int primary key);
       alter table computed drop b; alter table computed add b int; update computed set b = a * 2`,
    );
    const normal = world.normal();
    const first = await world.run(normal);
    expect(await notCompared(world, first)).toEqual([
      'here_more: column only Here is missing on the standby',
      'retyped: source record(id int4, a int4) seeded by id, target record(id int4, a int8) seeded by id',
      'there_more: column only_there is there on the standby only',
    ]);
    expect(first).toMatchObject({ verdict: 'different', tables: 5, tablesNotCompared: 3 });
    expect(await world.found(first.run)).toEqual(['here_only drift', 'there_only drift']);

    await world.on('target', 'update computed set b = 5 where id = 2');
    const second = await world.run(normal);
    expect((await world.found(second.run)).filter((line) => !line.endsWith('drift'))).toEqual([
      'computed changed 2 (b)',
    ]);
    expect(await world.repair(normal, second.run)).toMatchObject({ updated: 1, refused: 0 });
  });

  test('with another cut into partitions, or none on one side, are compared and repaired as a whole', async () => {
    const world = await apart(
      'cut',
      `create table "Split" (id bigint primary key, value text) partition by range (id);
       create table tiles (place text, value text, primary key (place)) partition by hash (place)`,
    );
    const rows = `insert into "Split" select n, 'v' from generate_series(-2000, 2999) n;
                  insert into tiles select 'place ' || n, 'v' from generate_series(1, 3000) n`;
    const parts = (table: string, bounds: string[]): string =>
      bounds
        .map((bound, index) => `create table "${table} ${index}" partition of "${table}" for values ${bound}`)
        .join(';');
    const modulo = (count: number): string[] =>
      Array.from({ length: count }, (_, index) => `with (modulus ${count}, remainder ${index})`);
    await world.on(
      'source',
      `${parts('Split', ['from (minvalue) to (0)', 'from (0) to (maxvalue)'])}; ${parts('tiles', modulo(2))}; ${rows}; analyze`,
    );
    await world.on(
      'target',
      `drop table "Split"; create table "Split" (value text, id bigint primary key); ${parts('tiles', modulo(3))};
       ${rows.replace('"Split" select n, \'v\'', '"Split" (id, value) select n, \'v\'')}; analyze`,
    );
    const normal = world.normal();
    expect(await world.run(normal)).toMatchObject({ verdict: 'equal', tables: 2, rows: 8_000 });
    await world.on(
      'target',
      `delete from "Split" where id in (-7, 7); update "Split" set value = 'w' where id = -1999; insert into "Split" values ('x', 5000);
       delete from tiles where place = 'place 9'; update tiles set value = null where place = 'place 10';
       insert into tiles values ('nowhere', 'x')`,
    );
    const summary = await world.run(normal);
    expect((await world.found(summary.run)).sort()).toEqual([
      'Split changed -1999 (value)',
      'Split extra 5000',
      'Split missing -7',
      'Split missing 7',
      'tiles changed place 10 (value)',
      'tiles extra nowhere',
      'tiles missing place 9',
    ]);
    expect(await world.repair(normal, summary.run)).toMatchObject({ inserted: 3, updated: 2, deleted: 2, refused: 0 });
    expect(await world.run(normal)).toMatchObject({ verdict: 'equal' });
  });

  test('with other collations, or values that have no equality, are compared byte by byte', async () => {
    const world = await apart(
      'collated',
      `create collation any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
       create table word (word text collate "C" primary key, value text);
       create table heap (doc json, at point, page xml)`,
      `insert into word select w, 'v' from unnest(array['a', 'B', 'ä', 'z', 'Zebra', 'ß']) w;`,
    );
    await world.on('target', `alter table word alter word type text collate any_case`);
    const heap = `insert into heap select json_build_object('n', n % 5), point(n % 3, -0.0), xmlelement(name x, n % 2)`;
    await world.on('source', `${heap} from generate_series(1, 60) n`);
    await world.on('target', `${heap} from (select * from generate_series(1, 60) n order by -n) o(n)`);
    const normal = world.normal();
    expect(await world.run(normal)).toMatchObject({ verdict: 'equal', rows: 66 });
    await world.on(
      'target',
      `update word set word = 'b' where word = 'B'; delete from word where word = 'ß';
       update heap set doc = '{"n":0}' where ctid = (select min(ctid) from heap where doc ->> 'n' = '0')`,
    );
    const summary = await world.run(normal);
    const found = await world.found(summary.run);
    expect(found.filter((line) => line.startsWith('word'))).toEqual([
      'word changed B (word)',
      'word extra b',
      'word missing ß',
    ]);
    expect(found.filter((line) => line.startsWith('heap count'))).toHaveLength(2);
  });

  test('where a role sees but a part of the rows, are not compared', async () => {
    const world = await apart(
      'secured',
      `create table open_to_all (id int primary key); create table secured (id int primary key, owner text);
       alter table secured enable row level security; create policy mine on secured using (owner = current_user)`,
      `insert into open_to_all values (1); insert into secured values (1, 'auditor'), (2, 'somebody')`,
    );
    const auditor = fresh('auditor');
    for (const side of ['source', 'target'] as const) {
      await world.on(
        side,
        `create role ${auditor} login password 'auditor'; grant usage on schema public to ${auditor};
         grant select, update on all tables in schema public to ${auditor}; update secured set owner = '${auditor}' where id = 1`,
      );
    }
    await world.on('target', 'delete from secured where id = 2');
    process.env['RECONCILED_AS_AUDITOR'] = pair.source.url(world.name, auditor, 'auditor');
    const normal = world.normal({ source: { url: { env: 'RECONCILED_AS_AUDITOR' } } });
    for (const level of ['comprehensive', 'quick', 'deep'] as const) {
      const summary = await world.run(normal, { level });
      expect(summary).toMatchObject({ verdict: 'incomplete', tablesNotCompared: 1, remaining: 0 });
      expect(await notCompared(world, summary)).toEqual(['secured: row security would hide rows from this role']);
    }
  });
});

describe('while a run goes on', () => {
  test.each(['comprehensive', 'deep'] as const)('a table that is dropped is named, at level %s', async (level) => {
    const world = await apart('dropped', TWO_TABLES, TWO_TABLES_ROWS);
    const run = randomUUID();
    const running = underway(world.run(world.normal({ limits: ONE_AFTER_ANOTHER }), { run, level }));
    await compared(world, run, 1);
    for (const side of ['target', 'source'] as const) await world.on(side, `drop table "Small one"`);
    const summary = await running;
    expect(summary).toMatchObject({ verdict: 'incomplete', tablesNotCompared: 1, remaining: 0 });
    expect(await notCompared(world, summary)).toEqual([expect.stringMatching(/^Small one: .*does not exist/)]);
  });

  test('a second one is skipped, and names the first', async () => {
    const world = await apart('twice', TWO_TABLES, TWO_TABLES_ROWS);
    const run = randomUUID();
    const running = underway(world.run(world.normal({ limits: ONE_AFTER_ANOTHER }), { run }));
    await compared(world, run, 1);
    const second = await world.run(world.normal());
    expect(second).toMatchObject({ outcome: 'skipped', verdict: 'incomplete', tables: 0, certificate: null });
    expect(second.why).toContain(`${run} (comprehensive) has worked on this target since`);
    await expect(world.repair(world.normal(), run)).rejects.toMatchObject({ type: 'Blocked' });
    expect(await running).toMatchObject({ outcome: 'done', verdict: 'equal', rows: 20_100 });
    expect(await world.on('target', 'select from godwit.reconciliation_run where run = $1', [second.run])).toEqual([]);
  });

  test.each(['source', 'target'] as const)(
    'its connections to the %s die: it fails, and the next attempt goes on, with no session left',
    async (side) => {
      const world = await apart('killed', TWO_TABLES, TWO_TABLES_ROWS);
      await world.on('target', `delete from "Small one" where id = 7`);
      const run = randomUUID();
      const running = underway(world.run(world.normal({ limits: ONE_AFTER_ANOTHER }), { run }));
      await compared(world, run, 1);
      await world.on(
        side,
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'godwit %'`,
      );
      await expect(running).rejects.toMatchObject({ type: 'DatabaseUnreachable', nonRetryable: false });
      expect(await world.run(world.normal(), { run })).toMatchObject({
        verdict: 'different',
        remaining: 1,
        rows: 20_100,
      });
      expect(await world.found(run)).toEqual(['Small one missing 7']);
      await until(async () => (await sessionsLeft(world)).length === 0, 'no session is left');
    },
  );

  test.each(['changes', 'xmin'] as const)(
    'what changes between two attempts is seen by the next incremental run by %s',
    async (by) => {
      const world = await apart('between', TWO_TABLES, TWO_TABLES_ROWS);
      const normal = (limits = {}): NormalReconciliation => world.normal({ incremental: { by }, limits });
      const run = randomUUID();
      const stop = new AbortController();
      const first = underway(world.run(normal(ONE_AFTER_ANOTHER), { run, signal: stop.signal }));
      await compared(world, run, 1);
      stop.abort();
      await expect(first).rejects.toThrow();
      // its table was compared already
      await world.on('target', `update large set value = 'corrupt' where id = 77`);
      const later = Date.now();
      const ended = await world.run(normal(), { run });
      expect(ended).toMatchObject({ verdict: 'equal', rows: 20_100 });
      // so that it states nothing of a time when that was so
      expect(Date.parse(ended.at)).toBeLessThan(later);
      const next = await world.run(normal());
      expect(next).toMatchObject({ incremental: true });
      expect(await world.found(next.run)).toEqual(['large changed 77 (value)']);
      if (by === 'changes') await dropStreams(normal());
    },
  );
});

describe('a run that is begun again', () => {
  test('at level quick looks at all anew, and tells each finding once', async () => {
    const world = await apart('quick_again', TWO_TABLES, TWO_TABLES_ROWS);
    await world.on(
      'target',
      `update large set value = 'corrupt' where id = 19999; delete from "Small one" where id = 7`,
    );
    const run = randomUUID();
    const stop = new AbortController();
    const limits = { ...ONE_AFTER_ANOTHER, rowsPerSecond: 2_000 };
    const first = underway(world.run(world.normal({ limits }), { run, level: 'quick', signal: stop.signal }));
    await compared(world, run, 1);
    stop.abort();
    await expect(first).rejects.toThrow();
    // counts that were the same no longer are
    await world.on('target', 'delete from large where id = 5');
    const summary = await world.run(world.normal(), { run, level: 'quick' });
    expect(summary).toMatchObject({ verdict: 'different', tables: 2 });
    expect(await world.found(run)).toEqual(['Small one missing 7', 'large missing 5']);
    expect(summary.remaining).toBe(2);
  });

  test('goes on at the page of a table without an integer key where it was, and finds what was wrong, and no more', async () => {
    const world = await apart(
      'on_page',
      'create table names (word text primary key, value text); create table words (word text primary key, value text)',
      `insert into words select 'word ' || n, repeat(md5(n::text), 30) from generate_series(1, 300) n;
       insert into names select * from words; analyze`,
    );
    await world.on(
      'target',
      `update words set value = 'w' where word in ('word 5', 'word 295'); delete from words where word = 'word 150';
       delete from names where word in ('word 5', 'word 295')`,
    );
    // of rows that are read in bulk, and not when single ones are looked at
    const slow = `current_setting('statement_timeout') = '0' or ${SLOW}`;
    const rowFilters = { 'public.words': slow, 'public.names': slow };
    // who waits for what is kept is not somebody to be gentle with
    const limits = { statementTimeout: '1s', parallelism: 1, busy: { transactions: 'none' } };
    const normal = world.normal({ tables: { rowFilters }, limits });
    const run = randomUUID();
    const kept = async (): Promise<string[]> => {
      const rows = await world.on<{ name: string }>(
        'target',
        'select table_name as name from godwit.reconciliation_piece where run = $1 and progress is not null order by 1',
        [run],
      );
      return rows.map(({ name }) => name);
    };
    const onceKept = (name: string): Promise<void> =>
      until(async () => {
        const [state] = await world.on<{ there: boolean }>(
          'target',
          `select to_regclass('godwit.reconciliation_watermark') is not null as there`,
        );
        return state?.there === true && (await kept()).includes(name);
      }, `progress of ${name} is kept`);
    // the worker dies, and may write nothing more
    const dying = underway(world.run(normal, { run, keepProgressEvery: 0 }));
    await onceKept('names');
    await world.on(
      'target',
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'godwit %'`,
    );
    await expect(dying).rejects.toMatchObject({ type: 'DatabaseUnreachable' });
    // paused: what was read until then is kept, however long ago the last time was
    const stop = new AbortController();
    const pausing = underway(world.run(normal, { run, signal: stop.signal, keepProgressEvery: 0 }));
    await onceKept('words');
    stop.abort();
    await expect(pausing).rejects.toThrow();
    expect(await kept()).toEqual(['words']);
    const summary = await world.run(normal, { run });
    expect(summary).toMatchObject({ verdict: 'different', remaining: 5, suspects: 0, rows: 600 });
    expect(await world.found(run)).toEqual([
      'names missing word 295',
      'names missing word 5',
      'words changed word 295 (value)',
      'words changed word 5 (value)',
      'words missing word 150',
    ]);
    expect(await kept()).toEqual([]);
  });

  test('finds what an older release kept, and adds what it lacks', async () => {
    const world = await apart('older', TWO_TABLES, TWO_TABLES_ROWS);
    await world.run(world.normal());
    await world.on(
      'target',
      `alter table godwit.reconciliation_run drop column watermarks, drop column streams;
       alter table godwit.reconciliation_piece drop column progress`,
    );
    expect(await world.run(world.normal())).toMatchObject({ verdict: 'equal', rows: 20_100 });
  });
});

/** Each row takes 5 ms. */
const SLOW = 'pg_sleep(0.005) is not null';

describe('a server that is slow, or full', () => {
  test('statements that time out are cut smaller, and a table that cannot be cut is named', async () => {
    const world = await apart(
      'slow',
      'create table below (id bigint primary key, value text); create table words (word text primary key)',
      `insert into below select n, repeat(md5(n::text), 60) from generate_series(-384, -129) n;
       insert into words select 'word ' || n from generate_series(1, 256) n; analyze`,
    );
    await world.on(
      'target',
      `update below set value = 'w' where id in (-384, -300); delete from below where id = -350`,
    );
    const rowFilters = { 'public.below': SLOW, 'public.words': SLOW };
    const summary = await world.run(world.normal({ tables: { rowFilters }, limits: { statementTimeout: '1s' } }));
    expect(summary).toMatchObject({ verdict: 'different', tablesNotCompared: 1, suspects: 0 });
    expect((await world.found(summary.run)).sort()).toEqual([
      'below changed -300 (value)',
      'below changed -384 (value)',
      'below missing -350',
    ]);
    expect(await notCompared(world, summary)).toEqual([
      'words: a statement took longer than limits.statementTimeout, and can be cut no further',
    ]);
  });

  test('a full disk at repair is said, and the same repair goes on once there is space', async () => {
    const world = await apart('full_repair', 'create table item (id int primary key, value text)');
    const disk = await SmallDisk.mount(pair.target, world.name, join(folder, world.name), '16m');
    try {
      await pair.target.query(`alter database ${world.name} set tablespace ${world.name}`);
      await world.on('source', `insert into item select n, repeat(md5(n::text), 30) from generate_series(1, 4000) n`);
      const normal = world.normal({ repair: { batch: 1_000 } });
      const found = await world.run(normal);
      expect(found.remaining).toBe(4_000);
      const repair = randomUUID();
      await expect(world.repair(normal, found.run, { repair })).rejects.toMatchObject({
        type: 'DiskFull',
        nonRetryable: false,
      });
      await disk.grow();
      expect(await world.repair(normal, found.run, { repair })).toMatchObject({
        inserted: 4_000,
        refused: 0,
        unneeded: 0,
      });
      expect(await world.run(normal)).toMatchObject({ verdict: 'equal' });
    } finally {
      await disk.remove(world.name);
    }
  });
});
