/** What becomes of findings: mended by itself, put to a person, or only reported, as the specification's rules say. */
import type {
  NormalReconciliation,
  RepairableKind,
  RepairAction,
  RepairRule,
  RunTable,
} from '../../spec/reconciliation.js';
import { REPAIRABLE_KINDS } from '../../spec/reconciliation.js';
import type { Primary } from '../../spec/status.js';
import { matches } from '../postgres/scope.js';
import type { Session } from '../postgres/session.js';
import type { TableName } from '../postgres/statements.js';

/** Of one kind in one table: a person looks at examples, and decides for all. */
const QUEUED_OF_A_KIND = 1_000;

export interface Decision extends TableName {
  kind: RepairableKind;
  action: RepairAction;
  truth: Primary;
  rows: number;
  /** Why it needs a person; null: it doesn't. */
  why: string | null;
}

/** The first rule that matches; without one, a person is asked, and the primary is right. */
export function ruleOf(
  { repair, primary }: NormalReconciliation,
  table: TableName,
  kind: RepairableKind,
): Pick<RepairRule, 'action' | 'truth'> {
  const rule = repair.rules.find(
    ({ tables, kinds }) => kinds.includes(kind) && tables.some((pattern) => matches(pattern, table)),
  );
  return rule ?? { action: 'ask', truth: primary };
}

/** By table and kind. Too many always ask: over all, or for one table's rows. */
export function decide(normal: NormalReconciliation, tables: RunTable[]): Decision[] {
  const decisions = tables.flatMap((table) =>
    REPAIRABLE_KINDS.flatMap((kind): Decision[] => {
      const rows = (table.findings[kind] ?? 0) - (table.accepted?.[kind] ?? 0);
      if (rows <= 0) return [];
      const { action, truth } = ruleOf(normal, table, kind);
      const why = action === 'ask' ? 'the policy asks' : null;
      return [{ schema: table.schema, name: table.name, kind, action, truth, rows, why }];
    }),
  );
  const byItself = decisions.filter(({ action }) => action === 'repair');
  const total = byItself.reduce((sum, { rows }) => sum + rows, 0);
  const { rows: most, percent } = normal.repair.limits;
  for (const decision of byItself) {
    const table = tables.find(({ schema, name }) => schema === decision.schema && name === decision.name);
    const ofTable = byItself
      .filter(({ schema, name }) => schema === decision.schema && name === decision.name)
      .reduce((sum, { rows }) => sum + rows, 0);
    if (total > most) ask(decision, `${total} rows would be repaired, more than repair.limits.rows (${most})`);
    else if (ofTable > ((table?.rows ?? 0) * percent) / 100) {
      ask(
        decision,
        `${ofTable} of ${table?.rows ?? 0} rows would be repaired, more than repair.limits.share (${percent} %)`,
      );
    }
  }
  return decisions;
}

function ask(decision: Decision, why: string): void {
  decision.action = 'ask';
  decision.why = why;
}

/**
 * Puts what needs a person into the queue; what waits there already is led to the newest finding of it. Of tables that were compared
 * whole, what waits and is no longer found is gone. Answers how many wait now.
 */
export async function queue(
  session: Session,
  {
    run,
    normal,
    decisions,
    whole,
  }: { run: string; normal: NormalReconciliation; decisions: Decision[]; whole: TableName[] },
): Promise<number> {
  for (const { schema, name, kind, why, truth } of decisions.filter(({ action }) => action === 'ask')) {
    const place = [normal.name, run, schema, name, kind];
    await session.run(
      `update godwit.reconciliation_review v set finding = n.id
       from godwit.reconciliation_finding o, godwit.reconciliation_finding n
       where v.reconciliation = $1 and v.state in ('waiting', 'repair') and o.id = v.finding
         and (o.schema_name, o.table_name, o.kind, o.key) = (n.schema_name, n.table_name, n.kind, n.key)
         -- what was decided is one difference, and not whatever the row may hold later
         and (v.state = 'waiting' or o.seen is not distinct from n.seen)
         and n.run = $2 and n.schema_name = $3 and n.table_name = $4 and n.kind = $5 and n.state = 'confirmed'
         and not exists (select from godwit.reconciliation_review k where k.finding = n.id)`,
      place,
    );
    await session.run(
      `insert into godwit.reconciliation_review (reconciliation, finding, why, truth, expires_at, on_expiry)
       select $1, f.id, $6, $7, clock_timestamp() + $8 * interval '1 millisecond', $9
       from godwit.reconciliation_finding f
       where f.run = $2 and f.schema_name = $3 and f.table_name = $4 and f.kind = $5 and f.state = 'confirmed'
         and not exists (select from godwit.reconciliation_review k where k.finding = f.id)
       order by f.id limit greatest(0, ${QUEUED_OF_A_KIND} - (
         select count(*) from godwit.reconciliation_review w join godwit.reconciliation_finding o on o.id = w.finding
         where w.reconciliation = $1 and w.state = 'waiting'
           and o.schema_name = $3 and o.table_name = $4 and o.kind = $5))`,
      [...place, why, truth, normal.review.expireAfter, normal.review.onExpiry],
    );
  }
  await session.run(
    `update godwit.reconciliation_review v set state = 'gone', decided_at = clock_timestamp()
     from godwit.reconciliation_finding f
     where v.reconciliation = $1 and v.state in ('waiting', 'repair') and f.id = v.finding and f.run <> $2
       and (f.schema_name, f.table_name) in (select t.schema, t.name from json_to_recordset($3::json) as t(schema text, name text))`,
    [normal.name, run, JSON.stringify(whole)],
  );
  const waiting = await session.row<{ count: number }>(
    `select count(*)::int as count from godwit.reconciliation_review where reconciliation = $1 and state = 'waiting'`,
    [normal.name],
  );
  return waiting?.count ?? 0;
}

/** Two findings of one row: `o` of before, `n` of the run that ends. */
const SAME_ROW = `(o.schema_name, o.table_name, o.kind, o.key) = (n.schema_name, n.table_name, n.kind, n.key)`;

/**
 * Leads what was accepted to the newest finding of it, whatever the rules say of its kind by now; called before anything is decided.
 * Where only keys were compared, the finding tells no values: then the newest that was said of the row holds.
 */
export async function keepAccepted(session: Session, run: string, reconciliation: string): Promise<void> {
  await session.run(
    `update godwit.reconciliation_finding n set seen = o.seen
     from godwit.reconciliation_review v join godwit.reconciliation_finding o on o.id = v.finding
     where v.reconciliation = $1 and v.state = 'accepted' and n.run = $2 and n.state = 'confirmed' and n.seen is null
       and ${SAME_ROW} and not exists (
         select from godwit.reconciliation_review later join godwit.reconciliation_finding l on l.id = later.finding
         where later.reconciliation = $1 and later.id > v.id
           and (l.schema_name, l.table_name, l.key) = (o.schema_name, o.table_name, o.key))`,
    [reconciliation, run],
  );
  await session.run(
    `update godwit.reconciliation_review v set finding = n.id
     from godwit.reconciliation_finding o, godwit.reconciliation_finding n
     where v.reconciliation = $1 and v.state = 'accepted' and o.id = v.finding and o.run <> $2
       and n.run = $2 and n.state = 'confirmed' and ${SAME_ROW} and o.seen is not distinct from n.seen
       and not exists (select from godwit.reconciliation_review k where k.finding = n.id)`,
    [reconciliation, run],
  );
}

/** Items that nobody decided in time become what the specification said when they were put there. */
export async function expire(session: Session, reconciliation: string): Promise<void> {
  await session.run(
    `update godwit.reconciliation_review
     set state = case on_expiry when 'repair' then 'repair' else 'rejected' end,
         decided_at = clock_timestamp(), decided_by = 'nobody', reason = 'not decided in time'
     where reconciliation = $1 and state = 'waiting' and on_expiry <> 'keep' and expires_at < clock_timestamp()`,
    [reconciliation],
  );
}
