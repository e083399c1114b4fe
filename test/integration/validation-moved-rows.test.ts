/** Tables that are read in parts, each with a snapshot of its own, while their rows move from page to page. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { comparePiece, cut } from '../../activities/postgres/validation/leaves.js';
import { nothingKept, type PassKeeper, type PassProgress } from '../../activities/postgres/validation/buckets.js';
import { statementsOn, type ComparedTable, type Key } from '../../activities/postgres/validation/compared-table.js';
import { describeTables } from '../../activities/postgres/validation/describe.js';
import type { PassFigures } from '../../activities/postgres/validation/differing.js';
import { Lanes, type Lane, type LaneOptions } from '../../activities/postgres/validation/lanes.js';
import { noProof } from '../../activities/postgres/validation/proof.js';
import type { Session } from '../../activities/postgres/session.js';
import { fresh } from '../support/fresh-name.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';

let pair: ServerPair;

beforeAll(async () => {
  pair = await startPair({ autovacuum: 'off' });
});
afterAll(() => pair.destroy());

type Side = 'source' | 'target';

/** 7 rows of a page, and 143 full pages; read 100 rows at a time. */
const ROWS = 1_001;
const PART = 100;
const PARTS = 10;

const KEYS = {
  'a text key': 'name text primary key',
  'a key of two columns': 'name text, team int default 7, primary key (name, team)',
  'no key': 'name text',
};

interface Watched {
  candidates: Key[];
  figures: PassFigures;
  /** Parts that were read of each side. */
  parts: Record<Side, number>;
}

interface Watching {
  /** Done before a part is read, when so many of this side were. */
  after?: { side: Side; parts: number; act: (lane: Lane) => Promise<void> };
  keeper?: PassKeeper;
  lane?: LaneOptions;
  stop?: AbortController;
  most?: number;
  rowFilter?: string;
}

/** Two databases that nothing keeps alike, with table `one`. */
class World {
  private constructor(readonly name: string) {}

  static async make(columns: string, rows = ROWS): Promise<World> {
    const world = new World(fresh('moved'));
    for (const side of ['source', 'target'] as const) {
      await pair[side].createDatabase(world.name);
      await world.on(side, `create table one (${columns}, body text)`);
      await world.on(
        side,
        `insert into one (name, body) select 'row ' || lpad(n::text, 4, '0'), repeat(md5(n::text), 31) from generate_series(1, ${rows}) n`,
      );
      await world.on(side, 'vacuum analyze one');
    }
    return world;
  }

  on<R extends Record<string, unknown>>(side: Side, sql: string): Promise<R[]> {
    return pair[side].query<R>(sql, [], this.name);
  }

  async pageOf(side: Side, name: string): Promise<number> {
    const [row] = await this.on<{ page: number }>(
      side,
      `select (ctid::text::point)[0]::int as page from one where name = '${name}'`,
    );
    return row?.page ?? -1;
  }

  /** Compares the table in parts. */
  async compare({ after, keeper, lane: options, stop, most = PART, rowFilter }: Watching = {}): Promise<Watched> {
    const parts = { source: 0, target: 0 };
    let opened: Lane | null = null;
    let acted = false;
    const pace = {
      wait: async () => {
        if (acted || after === undefined || opened === null || parts[after.side] < after.parts) return;
        acted = true;
        await after.act(opened);
      },
      took: () => undefined,
      most: () => most,
      gentle: false,
    };
    const signal = (stop ?? new AbortController()).signal;
    await using lanes = await Lanes.open(moveOf(pair, this.name), 'source', 1, signal, {
      proof: noProof,
      pace,
      ...options,
    });
    const [lane] = lanes.lanes;
    if (lane === undefined) throw new Error('no lane');
    opened = lane;
    const name = { schema: 'public', name: 'one', ...(rowFilter === undefined ? {} : { rowFilter }) };
    const [table] = await describeTables(lane.primary, lane.standby, [name], 'record');
    if (table === undefined) throw new Error('no table');
    for (const side of ['primary', 'standby'] as const) counted(lane.readers[side], parts);
    const [piece, ...more] = await cut(lane.readers.primary, lane.readers.standby, table);
    if (piece === undefined || more.length > 0) throw new Error('more than one piece');
    const candidates: Key[] = [];
    const figures = await comparePiece(
      lane,
      piece,
      1_000,
      (keys) => {
        candidates.push(...keys);
        return Promise.resolve(true);
      },
      keeper,
    );
    return { candidates: await this.#named(lane, table, candidates), figures, parts };
  }

  /** Keys, or without a key what the rows of these hashes are called. */
  async #named(lane: Lane, table: ComparedTable, keys: Key[]): Promise<Key[]> {
    if (!table.source.keyless) return keys.map(([name = '']) => [name]);
    const names = new Map<string, string>();
    for (const session of [lane.primary, lane.standby]) {
      const { hash } = statementsOn(table, session);
      const rows = await session.rows<{ hash: string; name: string }>(
        `select (${hash})::text as hash, r.name from public.one r`,
      );
      for (const row of rows) names.set(row.hash, row.name);
    }
    return keys.map(([hash = '']) => [names.get(hash) ?? 'a row that is gone']);
  }
}

/** Counts the parts of a pass that a session has read: the statements that sum hashes over pages. */
function counted(session: Session, parts: Record<Side, number>): void {
  const rows = session.rows.bind(session);
  session.rows = async <R extends Record<string, unknown>>(sql: string, values: unknown[] = []): Promise<R[]> => {
    const answer = await rows<R>(sql, values);
    if (sql.includes('sum(') && sql.includes('::tid')) parts[session.side as Side] += 1;
    return answer;
  };
}

/** A keeper in memory, as if the worker's next life asked the database. */
function remembering(every = 0): PassKeeper & { kept: PassProgress | null; writes: number } {
  const keeper = {
    every,
    kept: null as PassProgress | null,
    writes: 0,
    read: () => Promise.resolve(structuredClone(keeper.kept)),
    write: (progress: PassProgress) => {
      keeper.kept = structuredClone(progress);
      keeper.writes += 1;
      return Promise.resolve();
    },
  };
  return keeper;
}

const otherOf = (side: Side): Side => (side === 'source' ? 'target' : 'source');

/** Makes room on the first page, where the next row that leaves a full page goes. */
async function room(world: World, side: Side): Promise<void> {
  for (const each of [side, otherOf(side)])
    await world.on(each, `delete from one where name in ('row 0002', 'row 0003')`);
  await world.on(side, 'vacuum (index_cleanup on) one');
}

/** Moves a row from a page that is still to be read to one that was read. */
async function moveUp(world: World, side: Side, name: string, set = `body = reverse(body)`): Promise<void> {
  const before = await world.pageOf(side, name);
  await world.on(side, `update one set ${set} where name = '${name}'`);
  expect([before > 80, await world.pageOf(side, name)]).toEqual([true, 0]);
}

describe.each(Object.entries(KEYS))('a table with %s', (_, columns) => {
  test.each(['source', 'target'] as const)(
    'whose row moves on the %s from a page that is to be read to one that was read: what the other side lacks is found',
    async (side) => {
      const world = await World.make(columns);
      await room(world, side);
      await world.on(otherOf(side), `delete from one where name = 'row 0700'`);
      const { candidates, parts } = await world.compare({
        after: { side, parts: 2, act: () => moveUp(world, side, 'row 0700') },
      });
      expect(candidates).toEqual([['row 0700']]);
      expect(parts.source).toBeGreaterThanOrEqual(PARTS);
      expect(parts.target).toBeGreaterThanOrEqual(PARTS);
    },
  );

  test('whose row moves on both sides in the same way is no candidate, and one that is wrong beside it is', async () => {
    const world = await World.make(columns);
    await room(world, 'source');
    await room(world, 'target');
    await world.on('target', `update one set body = 'wrong' where name = 'row 0500'`);
    const { candidates } = await world.compare({
      after: {
        side: 'source',
        parts: 2,
        act: async () => {
          for (const side of ['source', 'target'] as const) await moveUp(world, side, 'row 0700');
        },
      },
    });
    expect(new Set(candidates.map(([name]) => name))).toEqual(new Set(['row 0500']));
  });

  test('that VACUUM FULL moves as a whole is read again', async () => {
    const world = await World.make(columns);
    for (const side of ['source', 'target'] as const) await world.on(side, `delete from one where name <= 'row 0300'`);
    await world.on('target', `delete from one where name = 'row 0350'`);
    const { candidates, parts } = await world.compare({
      after: {
        side: 'source',
        parts: 2,
        act: async () => {
          await world.on('source', 'vacuum full one');
          expect(await world.pageOf('source', 'row 0350')).toBeLessThan(20);
        },
      },
    });
    expect(candidates).toEqual([['row 0350']]);
    expect(parts.source).toBeGreaterThan(PARTS);
  });
});

test('a table that is rewritten again and again is said to be, and not called equal', async () => {
  const world = await World.make(KEYS['a text key']);
  let rewritten = 0;
  const keeper: PassKeeper = {
    ...nothingKept,
    every: 0,
    // called after each part
    write: async () => {
      rewritten += 1;
      await world.on('source', 'vacuum full one');
    },
  };
  await expect(world.compare({ keeper })).rejects.toMatchObject({
    type: 'Blocked',
    message: expect.stringContaining('public.one was rewritten each of the 3 times that it was read') as string,
  });
  expect(rewritten).toBeGreaterThan(3);
});

test('statements that take too long are cut, when the table is passed, listed and looked at again', async () => {
  const world = await World.make(KEYS['a text key'], 200);
  await world.on('target', `update one set body = 'wrong' where name = 'row 0150'`);
  await room(world, 'source');
  const { candidates, figures } = await world.compare({
    most: Infinity,
    lane: { statementTimeout: 1_000 },
    // two seconds for all rows
    rowFilter: 'pg_sleep(0.01) is not null',
  });
  expect(candidates).toEqual([['row 0150']]);
  expect(figures.rows).toBe(198);
});

describe('a pass that is begun again', () => {
  /** Stops a pass after so many parts of the source. */
  async function stopped(world: World, keeper: PassKeeper, parts: number): Promise<Record<Side, number>> {
    const stop = new AbortController();
    let read: Record<Side, number> = { source: 0, target: 0 };
    const watched = world.compare({
      keeper,
      stop,
      after: {
        side: 'source',
        parts,
        act: () => {
          stop.abort();
          return Promise.resolve();
        },
      },
    });
    await expect(watched.then(({ parts: all }) => (read = all))).rejects.toThrow();
    return read;
  }

  test.each(Object.entries(KEYS))(
    'goes on at the page where it was, in a table with %s, and finds what moved between the attempts',
    async (_, columns) => {
      const world = await World.make(columns);
      await room(world, 'source');
      await world.on(
        'target',
        `delete from one where name = 'row 0700'; update one set body = 'wrong' where name = 'row 0020'`,
      );
      const keeper = remembering();
      await stopped(world, keeper, 4);
      const { source, target } = keeper.kept?.sides ?? {};
      expect(source?.next).toBeGreaterThan(40);
      expect(source?.next).toBeLessThan(90);
      await moveUp(world, 'source', 'row 0700');
      const { candidates, figures, parts } = await world.compare({ keeper });
      const names = new Set(candidates.map(([name]) => name));
      expect(names).toEqual(new Set(['row 0020', 'row 0700']));
      // the row that moved was counted by no part
      expect(figures.rows).toBe(ROWS - 3);
      const left = (next: number | null | undefined): number => (next == null ? 0 : Math.ceil((143 - next) / 15));
      expect(parts).toEqual({ source: left(source?.next), target: left(target?.next) });
      expect(parts.source).toBeLessThan(PARTS);
    },
  );

  test('is kept after each part where that is asked for, so that a worker may die at any', async () => {
    const world = await World.make(KEYS['a text key']);
    const keeper = remembering(0);
    await world.compare({ keeper });
    expect(keeper.writes).toBeGreaterThanOrEqual(PARTS);
    const patient = remembering(3_600_000);
    await world.compare({ keeper: patient });
    expect(patient.writes).toBe(0);
  });

  test.each([
    ['of another server', { server: '1/1' }],
    ['of a later time than the server is', { lsn: 'FFFFFFFF/0' }],
    ['of a file that the table has left', { file: '1' }],
  ])('begins at the first page with progress %s', async (_, ground) => {
    const world = await World.make(KEYS['a text key']);
    const keeper = remembering();
    await stopped(world, keeper, 4);
    if (keeper.kept === null) throw new Error('nothing kept');
    for (const side of ['source', 'target'] as const) Object.assign(keeper.kept.sides[side].ground, ground);
    const { parts, figures, candidates } = await world.compare({ keeper });
    expect(parts).toEqual({ source: PARTS, target: PARTS });
    expect([figures.rows, candidates]).toEqual([ROWS, []]);
  });

  test('looks at all rows where so many transactions came between that ages tell nothing', async () => {
    const world = await World.make(KEYS['a text key']);
    await room(world, 'source');
    await world.on('target', `delete from one where name = 'row 0700'`);
    const keeper = remembering();
    await stopped(world, keeper, 4);
    if (keeper.kept === null) throw new Error('nothing kept');
    keeper.kept.sides.source.ground.watermark = '-2100000000';
    await moveUp(world, 'source', 'row 0700');
    expect((await world.compare({ keeper })).candidates).toEqual([['row 0700']]);
  });
});
