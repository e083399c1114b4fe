/** The review queue: what needs a person, who decided, and why. Read and written by whoever asks, in the target's database. */
import type { FindingKind, FindingSeverity, NormalReconciliation } from '../../spec/reconciliation.js';
import type { Primary } from '../../spec/status.js';
import { failure } from '../failure.js';
import { Session } from '../postgres/session.js';
import { bothSides } from '../postgres/sides.js';
import { nameOf } from '../postgres/statements.js';
import { statementsOn, type Image } from '../postgres/validation/compared-table.js';
import { pin } from '../postgres/validation/lanes.js';
import { endsOf, pairOf } from './pair.js';
import { describedTables } from './repair.js';
import { haveState, recount } from './state.js';
import { columnsOf } from './tables.js';

export const REVIEW_STATES = ['waiting', 'accepted', 'rejected', 'repair', 'repaired', 'gone'] as const;
export type ReviewState = (typeof REVIEW_STATES)[number];

export interface ReviewItem {
  id: string;
  run: string;
  schema: string;
  table: string;
  kind: FindingKind;
  severity: FindingSeverity;
  key: string[];
  /** Those that differ. */
  columns: string[] | null;
  state: ReviewState;
  /** Why it needs a person. */
  why: string;
  /** Which side would be written to the other. */
  truth: Primary;
  createdAt: string;
  expiresAt: string | null;
  onExpiry: 'reject' | 'repair' | 'keep';
  decidedAt: string | null;
  decidedBy: string | null;
  reason: string | null;
}

const ITEMS = `
  select v.id::text as id, f.run, f.schema_name as schema, f.table_name as "table", f.kind, f.severity, f.key, f.columns, v.state,
         v.why, v.truth, to_json(v.created_at) #>> '{}' as "createdAt", to_json(v.expires_at) #>> '{}' as "expiresAt",
         v.on_expiry as "onExpiry", to_json(v.decided_at) #>> '{}' as "decidedAt", v.decided_by as "decidedBy", v.reason
  from godwit.reconciliation_review v
  join godwit.reconciliation_finding f on f.id = v.finding`;

/** Oldest first; by default those that wait. */
export async function listReview(
  normal: NormalReconciliation,
  { states = ['waiting'], limit = 1_000 }: { states?: ReviewState[]; limit?: number } = {},
): Promise<ReviewItem[]> {
  await using target = await stateOf(normal);
  return await target.rows<ReviewItem & Record<string, unknown>>(
    `${ITEMS} where v.reconciliation = $1 and v.state = any ($2::text[]) order by v.id limit ${limit}`,
    [normal.name, states],
  );
}

export interface ShownItem {
  item: ReviewItem;
  source: Image | null;
  target: Image | null;
  /** In the table's order; masked ones hold stars. */
  columns: string[];
}

/** Both versions as they are now. Fails with `InvalidSpec` where there is no such item. */
export async function showReview(normal: NormalReconciliation, id: string): Promise<ShownItem> {
  await using sides = await bothSides(pairOf(normal), 'review');
  await haveState(sides.target);
  const item = await sides.target.row<ReviewItem & Record<string, unknown>>(
    `${ITEMS} where v.reconciliation = $1 and v.id::text = $2`,
    [normal.name, id],
  );
  if (item === undefined) throw unknown(normal, [id]);
  for (const session of [sides.source, sides.target]) await pin(session);
  const name = { schema: item.schema, name: item.table };
  const table = (await describedTables(endsOf(sides, normal), normal, [name])).get(nameOf(name));
  if (table === undefined) return { item, source: null, target: null, columns: [] };
  const masked = new Set(columnsOf(normal.columns, name, 'mask'));
  const read = async (session: Session): Promise<Image | null> => {
    const [image = null] = await statementsOn(table, session).images(session, [item.key]);
    if (image === null) return null;
    return Object.fromEntries(
      Object.entries(image).map(([column, value]) => [column, masked.has(column) && value !== null ? '***' : value]),
    );
  };
  const [source, target] = [await read(sides.source), await read(sides.target)];
  return { item, source, target, columns: table.source.shape.columns.map(({ name: column }) => column) };
}

export type ReviewDecision = 'accept' | 'reject' | 'repair';

const STATE_OF: Record<ReviewDecision, ReviewState> = { accept: 'accepted', reject: 'rejected', repair: 'repair' };

/**
 * Decides items: `accept`, the difference may stay; `reject`, not now, so that the next run may ask again; `repair`, the next repair mends
 * it. Answers how many were decided. Fails with `InvalidSpec`, deciding nothing, where one doesn't wait.
 * @param truth which side is right, where it isn't the one that the item names
 */
export async function decideReview(
  normal: NormalReconciliation,
  ids: string[],
  decision: ReviewDecision,
  by: string,
  reason: string | null,
  truth: Primary | null = null,
): Promise<number> {
  await using target = await stateOf(normal);
  return await target.transaction(async () => {
    const decided = await target.rows<{ id: string; finding: string }>(
      `update godwit.reconciliation_review
       set state = $3, decided_at = clock_timestamp(), decided_by = $4, reason = $5, truth = coalesce($6, truth)
       where reconciliation = $1 and id::text = any ($2::text[])
         and (state = 'waiting' or (state in ('accepted', 'rejected', 'repair') and $3 in ('repair', 'rejected', 'accepted')))
       returning id::text as id, finding::text as finding`,
      [normal.name, ids, STATE_OF[decision], by, reason, truth],
    );
    const known = new Set(decided.map(({ id }) => id));
    const lacking = ids.filter((id) => !known.has(id));
    if (lacking.length > 0) throw unknown(normal, lacking);
    const runs = await target.rows<{ run: string }>(
      'select distinct run from godwit.reconciliation_finding where id = any ($1::bigint[])',
      [decided.map(({ finding }) => finding)],
    );
    for (const { run } of runs) await recount(target, run);
    return decided.length;
  });
}

function unknown({ name }: NormalReconciliation, ids: string[]): Error {
  return failure(
    'InvalidSpec',
    `the review queue of ${name} has no item ${ids.join(', ')} that can be decided`,
    '`godwit review list` shows those that wait; nothing was decided',
  );
}

async function stateOf(normal: NormalReconciliation): Promise<Session> {
  const target = await Session.open('target', normal.target.url, { purpose: `${normal.name} review` });
  try {
    await haveState(target);
    return target;
  } catch (error) {
    await target.close();
    throw error;
  }
}
