/**
 * Tables whose key isn't one integer. Leaves are buckets of the key's hash, and a large table is passed in parts that are ranges of
 * pages, each a statement with a snapshot of its own. An UPDATE may meanwhile move a row from a page that is still to be read to one
 * that was read: no part sees it, and where the other side lacks the row, the sums are equal.
 *
 * So each side takes a watermark before its first part, and after its last one, in one snapshot, lists what was written since. That is
 * complete. Take a version that this snapshot sees. If it was written before the watermark, its transaction was over by then,
 * so every part saw it, on one page all along, and it is counted exactly once. Otherwise it is listed, and its row is
 * compared by key. A key that is on no list is in the sums as it is, and a difference that lasts from before the first part until
 * the end shows there: only what came and went adds to them, and every row's hash is seeded by its key. Without a key the hash is
 * the key, and the rows of a listed hash are counted.
 *
 * Only a rewrite of the table (VACUUM FULL, CLUSTER) moves rows and leaves them old; it changes the file, and the pass begins again. A
 * row that was deleted is on no list: it is no longer there to differ, and one that it left on the other side is in that side's sums.
 */
import { failure } from '../../failure.js';
import type { Milliseconds } from '../../../spec/normal.js';
import type { Primary } from '../../../spec/status.js';
import type { Session } from '../session.js';
import {
  statementsOn,
  type ComparedTable,
  type Key,
  type Listed,
  type Listing,
  type Pages,
  type Reading,
} from './compared-table.js';
import {
  both,
  differing,
  isTimeout,
  LISTED_ROWS,
  portions,
  unequal,
  type Buckets,
  type Candidates,
  type PassFigures,
} from './differing.js';
import type { Lane } from './lanes.js';
import { groundOf, holds, type Ground } from './watermark.js';

/** Rows of a statement, where a table is passed in parts: seconds, so that snapshots stay short and progress shows. */
const STATEMENT_ROWS = 1_000_000;
/** Keys of one read. */
const KEYS_AT_ONCE = 5_000;
/** Hashes that are counted in one look at a whole table. */
const HASHES_AT_ONCE = 100_000;
/** Passes that a rewrite of the table may spoil. */
const PASSES = 3;

export interface BucketsPiece {
  table: ComparedTable;
  kind: 'buckets';
  mask: number;
  estimatedRows: number;
}

/** How far one side's pass is. */
export interface SidePass {
  ground: Ground;
  /** The first page that is still to be read; null: all are. */
  next: number | null;
  /** In parts, with a snapshot each. */
  parted: boolean;
  buckets: Buckets;
}

export interface PassProgress {
  /** The sums are of this expression. */
  hash: string;
  sides: Record<Primary, SidePass>;
}

/** Where the progress of a pass in parts is kept between attempts. */
export interface PassKeeper {
  /** At the least, between two times that it is kept. */
  every: Milliseconds;
  read(): Promise<PassProgress | null>;
  write(progress: PassProgress): Promise<void>;
}

export const nothingKept: PassKeeper = {
  every: Infinity,
  read: () => Promise.resolve(null),
  write: () => Promise.resolve(),
};

interface BothPasses {
  primary: SidePass;
  standby: SidePass;
}

export async function compareBuckets(
  lane: Lane,
  piece: BucketsPiece,
  candidates: Candidates,
  keeper: PassKeeper,
): Promise<PassFigures> {
  const { table, mask } = piece;
  // listed as written, and in a bucket that differs
  const given = new Set<string>();
  const once = async (keys: Key[]): Promise<boolean> =>
    candidates(
      keys.filter((key) => {
        const text = JSON.stringify(key);
        return !given.has(text) && given.add(text);
      }),
    );
  for (let pass = 1; pass <= PASSES; pass += 1) {
    const passes = await passBoth(lane, piece, keeper);
    const since = await unequalSince(lane, table, passes);
    if (since === 'rewritten') continue;
    const found = differing(passes.primary.buckets, passes.standby.buckets);
    const figures = { rows: found.rows, leaves: found.leaves, leavesDiffering: found.differing.length };
    if (!(await once(since))) return figures;
    for (const portion of portions(found.differing)) {
      const buckets = portion.map((leaf) => leaf.bucket);
      if (!(await once(unequal(...(await listBuckets(lane, table, mask, buckets)))))) break;
    }
    return figures;
  }
  throw failure(
    'Blocked',
    `${table.schema}.${table.name} was rewritten each of the ${PASSES} times that it was read`,
    'Compare it while neither VACUUM FULL nor CLUSTER works on it',
  );
}

/** Both sides' passes, from where an earlier attempt left them, if that still stands. */
async function passBoth(lane: Lane, { table, mask }: BucketsPiece, keeper: PassKeeper): Promise<BothPasses> {
  const stored = await keeper.read();
  const { hash } = table.source;
  const [primary, standby] = await both(lane, (session) =>
    begun(session, table, stored?.hash === hash ? stored.sides[session.side as Primary] : null),
  );
  const sides =
    lane.readers.primary.side === 'source'
      ? { source: primary, target: standby }
      : { source: standby, target: primary };
  let keptAt = performance.now();
  let last: Promise<void> = Promise.resolve();
  // one after the other: what is older must not come later
  const keep = (): Promise<void> => {
    keptAt = performance.now();
    last = last.then(() => (primary.parted || standby.parted ? keeper.write({ hash, sides }) : undefined));
    return last;
  };
  let failed = false;
  try {
    await both(lane, async (session) => {
      const pass = session === lane.readers.primary ? primary : standby;
      if (pass.next === null) return;
      const read = (pages?: Pages): Promise<Buckets> => statementsOn(table, session).passBuckets(session, mask, pages);
      try {
        for await (const { found, next } of inParts(lane, session, table, pass.next, read)) {
          add(pass.buckets, found);
          pass.next = next;
          pass.parted ||= next !== null;
          if (performance.now() - keptAt >= keeper.every) await keep();
          // the other side is gone: the next attempt goes on from here
          if (failed) break;
        }
      } catch (error) {
        failed = true;
        throw error;
      }
    });
  } catch (error) {
    // paused, or a connection is lost: nothing of it need be read again
    await keep().catch(() => undefined);
    throw error;
  }
  return { primary, standby };
}

async function begun(session: Session, table: ComparedTable, stored: SidePass | null): Promise<SidePass> {
  const ground = await groundOf(session, table);
  if (stored !== null && (await holds(session, stored.ground, ground))) return stored;
  return { ground, next: 0, parted: false, buckets: new Map() };
}

function add(sum: Buckets, part: Buckets): void {
  for (const [bucket, { count, sum: hashes }] of part) {
    const known = sum.get(bucket);
    if (known === undefined) sum.set(bucket, { count, sum: hashes });
    else sum.set(bucket, { count: known.count + count, sum: `${BigInt(known.sum) + BigInt(hashes)}` });
  }
}

/**
 * Reads a table from a page on: at once where that is allowed, else range by range, halved where one takes longer than a statement
 * may. Since 14 a range of pages is read as such; before, each looks at the whole table.
 */
async function* inParts<T>(
  lane: Lane,
  session: Session,
  table: ComparedTable,
  from: number,
  read: (pages?: Pages) => Promise<T>,
  rowsAtMost = STATEMENT_ROWS,
): AsyncGenerator<{ found: T; next: number | null }> {
  const statements = statementsOn(table, session);
  const estimated = Math.max(1, table.estimatedRows);
  const rowsNow = (): number => Math.min(rowsAtMost, lane.pace.most(table));
  let pages = from > 0 || estimated > rowsNow() ? await statements.pages(session) : null;
  let atMost = Infinity;
  for (let start: number | null = from; start !== null;) {
    lane.signal.throwIfAborted();
    await lane.pace.wait(lane.signal);
    lane.signal.throwIfAborted();
    const wanted: number = pages === null ? Infinity : Math.max(1, Math.ceil((pages * rowsNow()) / estimated));
    const step = Math.min(wanted, atMost);
    const to: number | null = pages !== null && start + step < pages ? start + step : null;
    const began = performance.now();
    let found: T;
    try {
      found = await (start === 0 && to === null ? read() : read({ from: start, to }));
    } catch (error) {
      lane.signal.throwIfAborted();
      if (!isTimeout(error)) throw error;
      // the open end may have grown
      if (to === null) pages = await statements.pages(session);
      const span = (to ?? pages ?? 0) - start;
      if (span <= 1) throw error;
      atMost = Math.floor(span / 2);
      continue;
    }
    const share = pages === null || pages === 0 ? 1 : Math.min(1, ((to ?? Math.max(pages, start)) - start) / pages);
    lane.pace.took(Math.round(table.estimatedRows * share), table, performance.now() - began);
    start = to;
    yield { found, next: to };
  }
}

/** `work`, while each side's reader sees one state of the table, and nothing rewrites it. */
async function inSnapshots<T>(lane: Lane, table: ComparedTable, work: () => Promise<T>): Promise<T> {
  const { primary, standby } = lane.readers;
  const begin = 'begin isolation level repeatable read read only';
  const locked = (session: Session): Promise<void> => statementsOn(table, session).lockTable(session, 'access share');
  return primary.transaction(
    () =>
      standby.transaction(async () => {
        // locks first: the snapshot is that of the first SELECT
        await both(lane, locked);
        return work();
      }, begin),
    begin,
  );
}

/** In parts that memory can hold, and that don't end the transaction when one takes too long. */
async function* inPartsOfASnapshot<T>(
  lane: Lane,
  session: Session,
  table: ComparedTable,
  read: (pages?: Pages) => Promise<T>,
): AsyncGenerator<T> {
  const part = async (pages?: Pages): Promise<T> => {
    await session.run('savepoint part');
    try {
      return await read(pages);
    } catch (error) {
      if (!session.lost) await session.run('rollback to savepoint part');
      throw error;
    } finally {
      if (!session.lost) await session.run('release savepoint part');
    }
  };
  for await (const { found } of inParts(lane, session, table, 0, part, LISTED_ROWS)) yield found;
}

/** What was written while a pass in parts went on, and isn't the same on both sides. */
async function unequalSince(lane: Lane, table: ComparedTable, passes: BothPasses): Promise<Key[] | 'rewritten'> {
  if (!passes.primary.parted && !passes.standby.parted) return [];
  return inSnapshots(lane, table, async () => {
    const [here, there] = await both(lane, (session) => groundOf(session, table));
    if (here.file !== passes.primary.ground.file || there.file !== passes.standby.ground.file) return 'rewritten';
    const { keys } = await unequalListed(lane, table, [
      passes.primary.ground.watermark,
      passes.standby.ground.watermark,
    ]);
    return keys;
  });
}

/**
 * Keys of rows that either side wrote since a watermark of its own, and that aren't the same on both; and how many rows were looked at.
 * Each side's list is of one snapshot, in as many parts as pace and time-outs ask for.
 * @param watermarks of the primary, of the standby
 */
export async function unequalWritten(
  lane: Lane,
  table: ComparedTable,
  watermarks: [string, string],
): Promise<{ keys: Key[]; rows: number }> {
  return inSnapshots(lane, table, () => unequalListed(lane, table, watermarks));
}

async function unequalListed(
  lane: Lane,
  table: ComparedTable,
  [here, there]: [string, string],
): Promise<{ keys: Key[]; rows: number }> {
  const { primary, standby } = lane.readers;
  const listed = (session: Session, watermark: string): AsyncGenerator<Listed[]> =>
    inPartsOfASnapshot(lane, session, table, (pages) =>
      statementsOn(table, session).rowsSince(session, watermark, pages),
    );
  const lists = { primary: listed(primary, here), standby: listed(standby, there) };
  const found = new Map<string, Key>();
  const hashes = new Set<string>();
  const rows = { primary: 0, standby: 0 };
  for (;;) {
    const [one, other] = await both(lane, (session) => lists[session === primary ? 'primary' : 'standby'].next());
    if (one.done === true && other.done === true) break;
    const ours = one.done === true ? [] : one.value;
    const theirs = other.done === true ? [] : other.value;
    rows.primary += ours.length;
    rows.standby += theirs.length;
    if (table.source.keyless) {
      for (const { hash } of [...ours, ...theirs]) hashes.add(hash);
      continue;
    }
    const unequal = await both(lane, (session) => unlike(session, table, session === primary ? theirs : ours));
    for (const key of unequal.flat()) found.set(JSON.stringify(key), key);
  }
  const keys = table.source.keyless ? await countsUnlike(lane, table, [...hashes]) : [...found.values()];
  return { keys, rows: Math.max(rows.primary, rows.standby) };
}

/** Of rows that were listed on the other side, the keys of those that aren't the same here. */
async function unlike(session: Session, table: ComparedTable, listed: Listed[]): Promise<Key[]> {
  const unlike: Key[] = [];
  for (let start = 0; start < listed.length; start += KEYS_AT_ONCE) {
    const portion = listed.slice(start, start + KEYS_AT_ONCE);
    const readings = await statementsOn(table, session).read(
      session,
      portion.map(({ key }) => key),
    );
    portion.forEach(({ key, hash }, index) => {
      if (readings[index]?.signature !== hash) unlike.push(key);
    });
  }
  return unlike;
}

/** Hashes that don't occur as often on one side as on the other. */
async function countsUnlike(lane: Lane, table: ComparedTable, hashes: string[]): Promise<Key[]> {
  const unlike: Key[] = [];
  for (let start = 0; start < hashes.length; start += HASHES_AT_ONCE) {
    const keys = hashes.slice(start, start + HASHES_AT_ONCE).map((hash) => [hash]);
    const [here, there] = await both(lane, async (session) => {
      const counts = keys.map(() => 0);
      const read = (pages?: Pages): Promise<Reading[]> => statementsOn(table, session).read(session, keys, pages);
      for await (const part of inPartsOfASnapshot(lane, session, table, read)) {
        part.forEach(({ signature }, index) => (counts[index] = (counts[index] ?? 0) + Number(signature ?? 0)));
      }
      return counts;
    });
    unlike.push(...keys.filter((_, index) => here[index] !== there[index]));
  }
  return unlike;
}

async function listBuckets(
  lane: Lane,
  table: ComparedTable,
  mask: number,
  buckets: string[],
): Promise<[Listing, Listing]> {
  return inSnapshots(lane, table, () =>
    both(lane, async (session) => {
      const statements = statementsOn(table, session);
      const rows: Listing = new Map();
      const read = (pages?: Pages): Promise<Listing> => statements.rowsOfBuckets(session, mask, buckets, pages);
      for await (const part of inPartsOfASnapshot(lane, session, table, read)) {
        for (const [key, hashes] of part) {
          const known = rows.get(key) ?? [];
          // without a key: how often the row occurs
          if (statements.keyless) rows.set(key, [`${Number(known[0] ?? 0) + Number(hashes[0])}`]);
          else rows.set(key, [...known, ...hashes]);
        }
      }
      return rows;
    }),
  );
}
