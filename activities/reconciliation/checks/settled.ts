/**
 * What stays. Under live writes two sides differ all the time, by what is on its way; so whatever differs is looked at again
 * once the standby has caught up, and only what each look has found counts.
 */
import { otherSide } from '../../postgres/sides.js';
import type { Primary } from '../../../spec/status.js';
import type { CheckRun, Finding, NotChecked } from '../findings.js';
import { isInRecovery, standbyOf } from './reading.js';

/** Looks in all. */
const LOOKS = 3;
/** A standby that is further behind can't be judged now. */
export const CATCH_UP_MS = 30_000;

/** What one look finds of one table, or of one rule: rows by key, and how many there are. */
export interface RowsFound {
  /** Keys as JSON, in the same order at each look; at most NAMED_ROWS. */
  named: Map<string, Finding>;
  total: number;
}

/** As statements answer it: the count of all in each row. */
export interface KeyedRow extends Record<string, unknown> {
  key: string[] | null;
  total: string;
}

/** Rows without a key can't be told apart, and are only counted. */
export function rowsFound(rows: KeyedRow[], finding: (key: string[]) => Finding): RowsFound {
  const keys = rows.flatMap(({ key }) => (key === null ? [] : [key]));
  return {
    named: new Map(keys.map((key) => [JSON.stringify(key), finding(key)])),
    total: Number(rows[0]?.total ?? 0),
  };
}

export const behind = (what: string): NotChecked => ({
  what,
  why: `the standby did not catch up within ${CATCH_UP_MS / 1_000} s, and what differs may be on its way`,
});

/**
 * Differences between catalogs. Logical replication carries none, so one that stays is one, however far the standby is
 * behind: it may well be what holds it up. Streaming replication does carry them.
 */
export async function settledCatalogs(
  run: CheckRun,
  what: string,
  notChecked: NotChecked[],
  look: () => Promise<Finding[]>,
): Promise<Finding[]> {
  let found = byText(await look());
  if (found.size === 0) return [];
  if (!(await run.caughtUp(CATCH_UP_MS)) && (await isInRecovery(standbyOf(run)))) {
    notChecked.push(behind(what));
    return [];
  }
  for (let looks = 1; looks < LOOKS && found.size > 0; looks += 1) {
    const again = byText(await look());
    found = new Map([...found].filter(([text]) => again.has(text)));
  }
  return [...found.values()];
}

const byText = (findings: Finding[]): Map<string, Finding> =>
  new Map(findings.map((finding) => [JSON.stringify(finding), finding]));

/**
 * Rows of one side that are wrong by themselves. What the standby shows for a moment the primary may have mended already, so
 * it counts once it is still there when all until then is applied.
 */
export async function settledRows(
  run: CheckRun,
  side: Primary,
  what: string,
  notChecked: NotChecked[],
  look: () => Promise<RowsFound>,
): Promise<RowsFound> {
  const first = await look();
  if (first.total === 0) return first;
  if (side === otherSide(run.primary) && !(await run.caughtUp(CATCH_UP_MS))) {
    notChecked.push(behind(what));
    return { named: new Map(), total: 0 };
  }
  const again = await look();
  // Named in the order of their keys: where not all are, each look names the first of them.
  const named = new Map([...again.named].filter(([key]) => first.named.has(key)));
  const all = first.total === first.named.size && again.total === again.named.size;
  return { named, total: all ? named.size : Math.min(first.total, again.total) };
}

/** One finding a row that is named, and one for the rest. */
export function findingsOf({ named, total }: RowsFound, rest: (count: number) => Finding): Finding[] {
  const more = total - named.size;
  return [...named.values(), ...(more > 0 ? [rest(more)] : [])];
}
