/** All rows of all tables, a few ranges at once, out of one snapshot. */
import { cancellation } from '../../activity-context.js';
import type { ScopeTable } from '../scope.js';
import type { Session } from '../session.js';
import { inParallel } from './parallel.js';
import { describeTables, type CopyTable } from './plan.js';
import type { SyncProgress } from './progress.js';
import { finishRange, storedRanges, type StoredRange } from './ranges.js';
import { RateLimit } from './rate.js';
import { reconcileTable } from './resume.js';
import { copyRange } from './rows.js';
import { admit, type SyncRun } from './sessions.js';
import { takeSnapshot } from './snapshot.js';

/** One reader of the snapshot and one writer to the target. */
interface Pair {
  reader: Session;
  writer: Session;
}

/** Answers the consistent point that the rows belong to, and how many ranges of an interrupted copy still fitted. */
export async function copyTables(
  run: SyncRun,
  control: Session,
  tables: ScopeTable[],
  token: string,
  progress: SyncProgress,
): Promise<{ lsn: string; rangesKept: number }> {
  const { parallelism, rangeSize, rateLimit } = run.move.database.copy;
  const snapshot = await takeSnapshot(run, control, tables, parallelism);
  const pairs: Pair[] = [];
  try {
    for (const [i, reader] of snapshot.readers.entries()) {
      const writer = await run.open('target', `write ${i + 1}`);
      pairs.push({ reader, writer });
      await admit(writer, token);
    }
    const described = await describeTables(control, tables);
    const rangesKept = await reconcile(run, pairs, described, rangeSize, progress);
    await copyMissing(run, pairs, described, new RateLimit(rateLimit), progress);
    return { lsn: snapshot.lsn, rangesKept };
  } finally {
    await snapshot.release();
    await Promise.all(pairs.map((pair) => pair.writer.close()));
  }
}

async function reconcile(
  run: SyncRun,
  pairs: Pair[],
  tables: CopyTable[],
  rangeSize: number,
  progress: SyncProgress,
): Promise<number> {
  const byTable = groupByTable(pairs[0] === undefined ? [] : await storedRanges(pairs[0].writer, run.key));
  progress.begin('tables', tables.length, byTable.size === 0 ? 'planning' : 'comparing what an interrupted copy left');
  let kept = 0;
  const left = [...tables];
  await inParallel(
    pairs,
    () => left.shift(),
    async ({ reader, writer }, table) => {
      cancellation().throwIfAborted();
      const stored = byTable.get(nameOf(table)) ?? [];
      // `kept += await …` would read the sum before, and lose what the others add meanwhile.
      const fitted = await reconcileTable(reader, writer, run.key, table, stored, rangeSize);
      kept += fitted;
      progress.done += 1;
    },
  );
  return kept;
}

async function copyMissing(
  run: SyncRun,
  pairs: Pair[],
  tables: CopyTable[],
  limit: RateLimit,
  progress: SyncProgress,
): Promise<void> {
  const byTable = groupByTable(pairs[0] === undefined ? [] : await storedRanges(pairs[0].writer, run.key));
  const left = tables.flatMap((table) =>
    (byTable.get(nameOf(table)) ?? []).filter((range) => range.state === 'planned').map((range) => ({ table, range })),
  );
  for (const { range } of left) progress.expect(range.estimate);
  progress.begin('ranges', left.length, 'copying rows');
  await inParallel(
    pairs,
    () => left.shift(),
    async ({ reader, writer }, { table, range }) => {
      cancellation().throwIfAborted();
      progress.detail = `copying ${table.schema}.${table.name}`;
      const copied = await writer.transaction(async () => {
        const result = await copyRange(reader, writer, table, range, limit, (bytes) => (progress.bytesDone += bytes));
        await finishRange(writer, run.key, table, range.seq, result);
        return result;
      });
      progress.finishRange(range.estimate, copied.bytes);
    },
  );
}

const nameOf = (table: { schema: string; name: string }): string => JSON.stringify([table.schema, table.name]);

function groupByTable(ranges: StoredRange[]): Map<string, StoredRange[]> {
  const byTable = new Map<string, StoredRange[]>();
  for (const range of ranges) byTable.set(nameOf(range.table), [...(byTable.get(nameOf(range.table)) ?? []), range]);
  return byTable;
}
