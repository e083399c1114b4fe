/**
 * Mends what a run has found. Each row is read anew on both sides while it is locked, left alone if it is no longer as it was found, and
 * read once more after the write; what it was and what it became is in the audit before anybody else can see it.
 *
 * A batch, line by line, where the standby is written to (`truth` is the primary), and what a crash right there leaves behind:
 *
 *     primary   lock rows FOR SHARE, read                nothing
 *     both      wait until the standby has caught up     nothing: from here on the standby's rows are only ours to change
 *     standby   lock rows FOR UPDATE, read, write        nothing: neither is committed
 *     standby   read again: the same as the primary      nothing
 *     standby   commit                                   the batch, with its audit where the standby is the target
 *     primary   commit                                   the batch
 *
 * Where the side that is written to isn't the one that keeps the audit, an entry with both images is committed there first, as
 * `begun`; who resumes looks whether the row became what the entry says.
 */
import type { NormalReconciliation, RepairableKind, RepairSummary } from '../../spec/reconciliation.js';
import { REPAIRABLE_KINDS } from '../../spec/reconciliation.js';
import type { Primary } from '../../spec/status.js';
import { cancellation, counting, heartbeat, stoppable } from '../activity-context.js';
import { failure } from '../failure.js';
import { faultPoint } from '../fault.js';
import { RateLimit } from '../postgres/copy/rate.js';
import { sqlState } from '../postgres/errors.js';
import { bothSides, otherSide, type Sides } from '../postgres/sides.js';
import { Session } from '../postgres/session.js';
import { nameOf, type TableName } from '../postgres/statements.js';
import { backendOf, cancelledBy } from '../postgres/validation/cancel.js';
import { statementsOn, type ComparedTable, type Image, type Key } from '../postgres/validation/compared-table.js';
import { describeComparable } from '../postgres/validation/describe.js';
import { dialectOf } from '../postgres/validation/expression.js';
import { pin } from '../postgres/validation/lanes.js';
import { noProof, requireCaughtUp, type Ends, type Proof } from '../postgres/validation/proof.js';
import { serverOf } from '../postgres/validation/server.js';
import type { RepairRun } from '../reconciliation-contract.js';
import { admitRepair } from './admit.js';
import { entriesOf, MADE_WAY, summaryOf } from './audit.js';
import { proofOf } from './detect-proof.js';
import { observed } from './observer.js';
import { endsOf, pairOf } from './pair.js';
import { decide } from './policy.js';
import { CATCH_UP_TIMEOUT_MS } from './rows.js';
import { ACCEPTED, endTurn, hasState, haveState, recount, takeTurn } from './state.js';
import { chooseTables, columnsOf } from './tables.js';
import { changeOf, inReferenceOrder, RowWrites, type Change } from './writes.js';

type Action = Change['action'];

/** A finding that is to be mended. */
interface Item {
  finding: string;
  schema: string;
  name: string;
  key: Key;
  kind: RepairableKind;
  truth: Primary;
  /** Hashes of the row as it was found: on the primary, on the standby. Null: the finding tells none. */
  seen: [string | null, string | null] | null;
}

interface Batch {
  table: ComparedTable;
  action: Action;
  truth: Primary;
  items: Item[];
}

/** The activity. Fails as connections do, and with `Blocked` while another run or repair goes on in this database. */
export async function repair(run: RepairRun): Promise<RepairSummary> {
  return stoppable(() => repairUntil(run, cancellation()));
}

/** The same, ended by any signal. */
export async function repairUntil(run: RepairRun, signal: AbortSignal): Promise<RepairSummary> {
  return atWork(run.normal, run.repair, signal, async (place) => {
    await knownRun(place.keeping, run);
    const stored = await place.keeping.row<{ summary: RepairSummary | null }>(
      `insert into godwit.reconciliation_repair as r (repair, run, what, by_whom, state) values ($1, $2, $3, $4, 'running')
       on conflict (repair) do update set repair = r.repair returning r.summary`,
      [run.repair, run.run, run.what, run.by],
    );
    return stored?.summary ?? (await new Repair(run, place, signal).whole());
  });
}

/** What would be done, statement by statement; locks and changes nothing. Rows' contents: for the person who asks. */
export async function* dryRun(run: RepairRun): AsyncGenerator<DryStatement> {
  await using sides = await bothSides(pairOf(run.normal), 'dry run');
  if (!(await hasState(sides.target))) {
    throw failure(
      'InvalidSpec',
      `no run of ${run.normal.name} has ended yet`,
      'Compare first: `godwit reconcile FILE`',
    );
  }
  await knownRun(sides.target, run);
  const ends = endsOf(sides, run.normal);
  for (const session of [ends.primary, ends.standby]) await pin(session);
  const items = await itemsOf(sides.target, run);
  for (const batch of await batchesOf(ends, run, items)) {
    const written = sides.of(otherSide(batch.truth));
    const writes = await RowWrites.of(written, statementsOn(batch.table, written));
    const masked = columnsOf(run.normal.columns, batch.table, 'mask');
    const keys = batch.items.map(({ key }) => key);
    const [should, is] = await Promise.all([
      imagesOf(batch.table, sides.of(batch.truth), keys),
      imagesOf(batch.table, written, keys),
    ]);
    for (const [index, item] of batch.items.entries()) {
      const change = changeOf(is[index] ?? null, should[index] ?? null);
      const { schema, name } = batch.table;
      yield {
        schema,
        table: name,
        key: item.key,
        action: batch.action,
        side: otherSide(batch.truth),
        statement: change === null ? '' : `${writes.inWords(item.key, change, masked)};`,
        why:
          change === null
            ? 'both sides are the same by now'
            : change.action === batch.action
              ? `${item.kind}; ${batch.truth} is right`
              : `it was ${item.kind}, and changed since`,
      };
    }
  }
}

export interface DryStatement {
  schema: string;
  table: string;
  key: string[];
  action: Action;
  side: Primary;
  /** Empty: nothing is to be done. */
  statement: string;
  why: string;
}

/** What repairs and undos work with. */
export interface Place {
  sides: Sides;
  /** Held locks and writes, a session a side; nothing else runs on them. */
  hands: Sides;
  /** On the target: holds the turn, and keeps the audit of what is written elsewhere. */
  keeping: Session;
  proof: Proof;
  ends: Ends;
  /** Asks of a side that is to be written to whether it may be; once a side. */
  admit: (written: Session) => Promise<void>;
}

/** Opens all that is needed, in turn with runs and other repairs of this database. */
export async function atWork<R>(
  normal: NormalReconciliation,
  id: string,
  signal: AbortSignal,
  work: (place: Place) => Promise<R>,
): Promise<R> {
  signal.throwIfAborted();
  const pair = pairOf(normal);
  await using sides = await bothSides(pair, 'repair');
  await using hands = await bothSides(pair, 'repair rows');
  await haveState(sides.target);
  await using keeping = await Session.open('target', normal.target.url, { purpose: `${pair.key} repair state` });
  const busy = await takeTurn(keeping, id);
  if (busy !== null) {
    throw failure(
      'Blocked',
      `${busy.run} (${busy.level}) has worked on this target since ${busy.since}`,
      'Nothing was changed; it is tried again',
    );
  }
  const backends = await Promise.all(
    [sides.source, hands.source]
      .map((session) => backendOf(session, 'source'))
      .concat([sides.target, hands.target].map((session) => backendOf(session, 'target'))),
  );
  const ends = endsOf(sides, normal);
  for (const session of [sides.source, sides.target, hands.source, hands.target]) await pin(session);
  await ends.primary.run('set synchronous_commit = local');
  const proof = await proofOf(normal.replication, ends);
  try {
    return await cancelledBy(signal, pair, backends, () =>
      work({ sides, hands, keeping, proof, ends, admit: admittedOnce() }),
    );
  } finally {
    if (!keeping.lost) await endTurn(keeping);
  }
}

function admittedOnce(): Place['admit'] {
  const admitted = new Set<Session>();
  return async (written) => {
    if (admitted.has(written)) return;
    await admitRepair(written);
    admitted.add(written);
  };
}

/** With the rows of tables that both sides have. */
async function imagesOf(table: ComparedTable, session: Session, keys: Key[]): Promise<(Image | null)[]> {
  return keys.length === 0 ? [] : statementsOn(table, session).images(session, keys);
}

// ── what is to be mended ──

/** Fails with `InvalidSpec` where this database knows no such run. */
async function knownRun(target: Session, { run, normal }: RepairRun): Promise<void> {
  const known = await target.row<{ workflow: string }>(
    'select workflow from godwit.reconciliation_run where run = $1 and reconciliation = $2',
    [run, normal.name],
  );
  if (known !== undefined) return;
  const meant = await target.row<{ run: string }>(
    `select run from godwit.reconciliation_run where workflow = $1 and reconciliation = $2 order by started_at desc limit 1`,
    [run, normal.name],
  );
  throw failure(
    'InvalidSpec',
    `${normal.name} has no run ${run} in this database`,
    meant === undefined
      ? '`godwit reconcile list -o wide` names those that have ended'
      : `That is the id of its workflow; its run is ${meant.run}`,
  );
}

async function itemsOf(target: Session, run: RepairRun): Promise<Item[]> {
  if (run.what === 'review') return itemsOfReview(target, run);
  const rows = await target.rows<Omit<Item, 'truth'> & Record<string, unknown>>(
    `select f.id::text as finding, f.schema_name as schema, f.table_name as name, f.key, f.kind, f.seen
     from godwit.reconciliation_finding f
     where f.run = $1 and f.state = 'confirmed' and f.key is not null and f.kind = any ($2::text[])
       and not exists (select from godwit.reconciliation_audit a where a.repair = $3 and a.finding = f.id and a.state <> 'begun')
       and f.id not in (${ACCEPTED})
       and not exists (select from godwit.reconciliation_review v where v.finding = f.id and v.state = 'rejected')
     order by f.id`,
    [run.run, [...REPAIRABLE_KINDS], run.repair],
  );
  const stored = await target.row<{ tables: Parameters<typeof decide>[1] | null }>(
    'select tables from godwit.reconciliation_run where run = $1',
    [run.run],
  );
  if (stored?.tables == null) {
    throw failure(
      'InvalidSpec',
      `no run ${run.run} has ended in this database`,
      '`godwit reconcile list -o wide` names those that have',
    );
  }
  const decisions = new Map(
    decide(run.normal, stored.tables).map((one) => [JSON.stringify([one.schema, one.name, one.kind]), one]),
  );
  return rows.flatMap((row): Item[] => {
    const decision = decisions.get(JSON.stringify([row.schema, row.name, row.kind]));
    const truth = decision?.truth ?? run.normal.primary;
    if (run.what === 'policy' && decision?.action !== 'repair') return [];
    const item: Item = { ...row, truth };
    if (run.what === 'all' && actionOf(item, run.normal.primary) === 'delete' && !run.deletions) return [];
    return [item];
  });
}

/** Whatever run found them: a person, or the expiry, has said that they be mended. */
async function itemsOfReview(target: Session, { normal, repair: id }: RepairRun): Promise<Item[]> {
  return target.rows<Item & Record<string, unknown>>(
    `select f.id::text as finding, f.schema_name as schema, f.table_name as name, f.key, f.kind, f.seen, v.truth
     from godwit.reconciliation_review v
     join godwit.reconciliation_finding f on f.id = v.finding
     where v.reconciliation = $1 and v.state = 'repair' and f.state = 'confirmed' and f.key is not null
       and not exists (select from godwit.reconciliation_audit a where a.repair = $2 and a.finding = f.id and a.state <> 'begun')
     order by f.id`,
    [normal.name, id],
  );
}

/** What mends it: rows that the right side has are written, others deleted. */
function actionOf({ kind, truth }: Pick<Item, 'kind' | 'truth'>, primary: Primary): Action {
  if (kind === 'changed') return 'update';
  return (kind === 'missing') === (truth === primary) ? 'insert' : 'delete';
}

const ORDER: readonly Action[] = ['insert', 'update', 'delete'];

/** Additions before changes before deletions; parents before children, and the other way round where rows go. */
async function batchesOf(ends: Ends, run: RepairRun, items: Item[]): Promise<Batch[]> {
  const { normal } = run;
  const tables = await describedTables(ends, normal, items);
  const batches: Batch[] = [];
  for (const action of ORDER) {
    for (const truth of ['source', 'target'] as const) {
      const chosen = items.filter((item) => item.truth === truth && actionOf(item, normal.primary) === action);
      if (chosen.length === 0) continue;
      const written = ends.primary.side === truth ? ends.standby : ends.primary;
      const order = await inReferenceOrder(written, [
        ...new Map(chosen.map(({ schema, name }) => [nameOf({ schema, name }), { schema, name }])).values(),
      ]);
      for (const name of action === 'delete' ? order.reverse() : order) {
        const table = tables.get(nameOf(name));
        if (table === undefined) continue;
        const rows = chosen.filter((item) => nameOf(item) === nameOf(name));
        for (let start = 0; start < rows.length; start += normal.repair.batch) {
          batches.push({ table, action, truth, items: rows.slice(start, start + normal.repair.batch) });
        }
      }
    }
  }
  return batches;
}

/** Tables that can't be compared any more are left out: their findings stay. */
export async function describedTables(
  ends: Ends,
  normal: NormalReconciliation,
  wanted: TableName[],
): Promise<Map<string, ComparedTable>> {
  const names = new Set(wanted.map(nameOf));
  const sides =
    ends.primary.side === 'source'
      ? { source: ends.primary, target: ends.standby }
      : { source: ends.standby, target: ends.primary };
  const { tables } = await chooseTables(sides, normal.primary, normal);
  const servers = await Promise.all([serverOf(ends.primary), serverOf(ends.standby)]);
  const described = await describeComparable(
    ends.primary,
    ends.standby,
    tables.filter((table) => names.has(nameOf(table))),
    dialectOf(...servers),
  );
  return new Map(
    described.flatMap(({ table }) =>
      table === null || table.source.shape.key.kind === 'none' ? [] : [[nameOf(table), table]],
    ),
  );
}

// ── doing it ──

/** An outcome of one row that isn't the change that was wanted. */
interface LeftAlone {
  item: Item;
  state: 'refused' | 'unneeded';
  why: string;
}

interface Planned {
  item: Item;
  change: Change;
}

/** Constraints, triggers that refuse, values that a type refuses: of a row, and no retry mends them. */
const ofTheRow = (error: unknown): boolean => /^(22|23|42501|44|P0)/.test(sqlState(error) ?? '');
const LOCK_STATES = new Set(['55P03', '40P01', '57014']);

class Unverified extends Error {}

class Repair {
  readonly #began = performance.now();
  readonly #rate: RateLimit;

  constructor(
    readonly run: RepairRun,
    readonly place: Place,
    readonly signal: AbortSignal,
  ) {
    this.#rate = new RateLimit(run.normal.repair.rowsPerSecond);
  }

  async whole(): Promise<RepairSummary> {
    const { ends, keeping, sides } = this.place;
    await this.#resume();
    const items = await itemsOf(sides.target, this.run);
    let done = 0;
    for (const batch of await batchesOf(ends, this.run, items)) {
      this.signal.throwIfAborted();
      await this.#rate.pass(batch.items.length);
      await this.#mend(batch);
      done += batch.items.length;
      heartbeat(
        counting({
          unit: `database/${this.run.normal.name}`,
          phase: 'repair',
          what: 'rows',
          done,
          total: items.length,
          detail: `${batch.action} in ${batch.table.schema}.${batch.table.name}`,
        }),
      );
    }
    const summary = await summaryOf(keeping, this.run, 'done', this.#began);
    await keeping.transaction(async () => {
      await keeping.run(
        `update godwit.reconciliation_repair set state = 'done', ended_at = clock_timestamp(), summary = $2 where repair = $1`,
        [this.run.repair, JSON.stringify(summary)],
      );
      await recount(keeping, this.run.run);
    });
    return summary;
  }

  /** A batch that a single row spoils is done row by row. */
  async #mend(batch: Batch): Promise<void> {
    try {
      await this.#together(batch);
    } catch (error) {
      this.signal.throwIfAborted();
      const locked = LOCK_STATES.has(sqlState(error) ?? '');
      if (!(error instanceof Unverified) && !ofTheRow(error) && !locked) throw error;
      // neither side has committed
      await this.place.keeping.run(
        `delete from godwit.reconciliation_audit where repair = $1 and finding = any ($2::bigint[])`,
        [this.run.repair, batch.items.map(({ finding }) => finding)],
      );
      if (batch.items.length > 1) {
        for (const item of batch.items) await this.#mend({ ...batch, items: [item] });
        return;
      }
      const why = locked
        ? 'somebody else held its lock'
        : error instanceof Error
          ? error.message
          : 'the database refused it';
      await this.#note(
        this.place.keeping,
        batch,
        batch.items.map((item) => ({ item, state: 'refused', why })),
      );
    }
  }

  async #together(batch: Batch): Promise<void> {
    const { hands, ends } = this.place;
    const primary = hands.of(ends.primary.side as Primary);
    const standby = hands.of(ends.standby.side as Primary);
    const { truth, action, items, table } = batch;
    const written = truth === primary.side ? standby : primary;
    await this.place.admit(written);
    const keys = items.map(({ key }) => key);
    const lock = async (session: Session, strength: 'share' | 'update'): Promise<void> => {
      await session.run(`set local lock_timeout = ${this.run.normal.limits.lockTimeout}`);
      await statementsOn(table, session).lockRows(session, keys, false, strength);
    };
    if (written === standby) {
      await primary.transaction(async () => {
        await lock(primary, 'share');
        await this.#caughtUp();
        await standby.transaction(async () => {
          await lock(standby, 'update');
          await this.#write(batch, primary, standby, false);
        });
        await faultPoint('repair.standby');
      });
    } else {
      await primary.transaction(async () => {
        await lock(primary, 'update');
        await this.#caughtUp();
        // a row of the standby that the primary takes over: replication brings it back, and would meet itself
        const makesWay = action === 'insert' && this.#isReplicated;
        await standby.transaction(async () => {
          await lock(standby, makesWay ? 'update' : 'share');
          const planned = await this.#write(batch, standby, primary, makesWay);
          if (makesWay) await this.#makeWay(batch, planned);
        });
        await faultPoint('repair.standby');
      });
    }
    await faultPoint('repair.primary');
    await this.#finish(items);
  }

  get #isReplicated(): boolean {
    return this.place.proof !== noProof;
  }

  /** Rows stay locked meanwhile; where only patience proves anything, they were left for long enough before. */
  async #caughtUp(): Promise<void> {
    const { proof, ends } = this.place;
    if (proof.kind === 'patience') return;
    await requireCaughtUp(proof, ends, CATCH_UP_TIMEOUT_MS, this.signal);
  }

  /**
   * In the transaction of `written`, in which its rows are locked; `right` reads what they should be.
   * @param makesWay more than one database changes, so the entry comes first
   */
  async #write(batch: Batch, right: Session, written: Session, makesWay: boolean): Promise<Planned[]> {
    const { planned, alone } = await this.#plan(batch, right, written);
    const direct = written.side === 'target' && !makesWay;
    const audit = direct ? written : this.place.keeping;
    const writes = await RowWrites.of(written, statementsOn(batch.table, written));
    const masked = columnsOf(this.run.normal.columns, batch.table, 'mask');
    await this.#note(audit, batch, alone);
    const state = direct ? 'done' : 'begun';
    if (makesWay) await this.#auditWay(audit, batch, planned, masked);
    await this.#audit(audit, batch, planned, writes, masked, state);
    await faultPoint('repair.audit');
    await written.run('set constraints all deferred');
    for (const { item, change } of planned) {
      if ((await writes.write(written, item.key, change)) !== 1)
        throw new Unverified('the row was not there to be changed');
    }
    await written.run('set constraints all immediate');
    await this.#verify(batch, right, written, planned);
    return planned;
  }

  async #plan(batch: Batch, right: Session, written: Session): Promise<{ planned: Planned[]; alone: LeftAlone[] }> {
    const { table, items, action } = batch;
    const keys = items.map(({ key }) => key);
    const [should, is] = [await imagesOf(table, right, keys), await imagesOf(table, written, keys)];
    const hashes = {
      right: await statementsOn(table, right).read(right, keys),
      written: await statementsOn(table, written).read(written, keys),
    };
    const planned: Planned[] = [];
    const alone: LeftAlone[] = [];
    items.forEach((item, index) => {
      const here = hashes.right[index]?.signature ?? null;
      const there = hashes.written[index]?.signature ?? null;
      const change = changeOf(is[index] ?? null, should[index] ?? null);
      if (here === there || change === null)
        alone.push({ item, state: 'unneeded', why: 'both sides are the same by now' });
      else if (this.#changedSince(item, here, there) || change.action !== action) {
        alone.push({ item, state: 'refused', why: 'it changed since it was found' });
      } else planned.push({ item, change });
    });
    return { planned, alone };
  }

  /** The row that would be overwritten, always; what it would become, where a person has decided by it. */
  #changedSince({ seen, truth }: Item, here: string | null, there: string | null): boolean {
    if (seen === null) return false;
    const standbyIsWritten = truth === this.run.normal.primary;
    const [right, written] = standbyIsWritten ? [seen[0], seen[1]] : [seen[1], seen[0]];
    const both = this.run.what === 'review' || this.place.proof.kind === 'patience';
    return there !== written || (both && here !== right);
  }

  /** The standby's own rows go, committed just before the primary's come: whoever resumes in between has them in the audit. */
  async #makeWay({ table }: Batch, planned: Planned[]): Promise<void> {
    const standby = this.place.hands.of(this.place.ends.standby.side as Primary);
    const writes = await RowWrites.of(standby, statementsOn(table, standby));
    for (const { item, change } of planned) {
      if (change.action === 'insert') await writes.write(standby, item.key, { action: 'delete', before: change.after });
    }
  }

  /** What was written is what it should be: no trigger, default or rule made something else of it. */
  async #verify({ table, action }: Batch, right: Session, written: Session, planned: Planned[]): Promise<void> {
    if (planned.length === 0) return;
    const keys = planned.map(({ item }) => item.key);
    const made = await statementsOn(table, written).read(written, keys);
    if (action === 'delete') {
      if (made.some(({ signature }) => signature !== null)) throw new Unverified('the row is still there');
      return;
    }
    const should = await statementsOn(table, right).read(right, keys);
    if (made.some(({ signature }, index) => signature !== should[index]?.signature)) {
      throw new Unverified('a trigger or a default made another row of it');
    }
  }

  /** Taken back last, so that the standby has its own row again once the primary has let go of it. */
  async #auditWay(session: Session, batch: Batch, planned: Planned[], masked: string[]): Promise<void> {
    const standby = this.place.hands.of(this.place.ends.standby.side as Primary);
    const deletes = planned.flatMap(({ item, change }): Planned[] =>
      change.action === 'insert' ? [{ item, change: { action: 'delete', before: change.after } }] : [],
    );
    const writes = await RowWrites.of(standby, statementsOn(batch.table, standby));
    await this.#audit(session, { ...batch, truth: otherSide(batch.truth) }, deletes, writes, masked, 'begun', MADE_WAY);
  }

  async #audit(
    session: Session,
    { table, truth }: Batch,
    planned: Planned[],
    writes: RowWrites,
    masked: string[],
    state: 'begun' | 'done',
    why = '',
  ): Promise<void> {
    const entries = planned.map(({ item, change }) => ({
      finding: item.finding,
      key: item.key,
      action: change.action,
      before: change.action === 'insert' ? undefined : change.before,
      after: change.action === 'delete' ? undefined : change.after,
      statement: writes.inWords(item.key, change, masked),
    }));
    await session.run(
      `insert into godwit.reconciliation_audit
         (repair, finding, side, schema_name, table_name, key, action, state, before, after, statement, why)
       select $1, e.finding, $2, $3, $4, array(select json_array_elements_text(e.key)), e.action, $5, e.before, e.after, e.statement, $7
       from json_to_recordset($6::json)
         as e(finding bigint, key json, action text, before jsonb, after jsonb, statement text)`,
      [this.run.repair, otherSide(truth), table.schema, table.name, state, JSON.stringify(entries), why],
    );
    if (state === 'done')
      await settled(
        session,
        this.run.repair,
        planned.map(({ item }) => item.finding),
      );
  }

  /** Entries that came before their change are done; called once that is committed. */
  async #finish(items: Item[]): Promise<void> {
    const { keeping } = this.place;
    const findings = items.map(({ finding }) => finding);
    await keeping.transaction(async () => {
      const begun = await keeping.run(
        `update godwit.reconciliation_audit set state = 'done', at = clock_timestamp()
         where repair = $1 and state = 'begun' and finding = any ($2::bigint[])`,
        [this.run.repair, findings],
      );
      if (begun > 0) await settled(keeping, this.run.repair, findings);
    });
    await this.#tell(items);
  }

  /** Metrics count what is committed. */
  async #tell(items: Item[]): Promise<void> {
    const done = await this.place.keeping.rows<{ finding: string }>(
      `select finding::text as finding from godwit.reconciliation_audit
       where repair = $1 and state = 'done' and why <> $3 and finding = any ($2::bigint[])`,
      [this.run.repair, items.map(({ finding }) => finding), MADE_WAY],
    );
    const mended = new Set(done.map(({ finding }) => finding));
    const [first] = items;
    const rows = items.filter(({ finding }) => mended.has(finding)).length;
    if (first !== undefined && rows > 0) observed().repaired(this.run.normal.name, first, first.kind, rows);
  }

  async #note(session: Session, { table, truth, action }: Batch, alone: LeftAlone[]): Promise<void> {
    if (alone.length === 0) return;
    await session.run(
      `insert into godwit.reconciliation_audit (repair, finding, side, schema_name, table_name, key, action, state, why)
       select $1, e.finding, $2, $3, $4, array(select json_array_elements_text(e.key)), $5, e.state, e.why
       from json_to_recordset($6::json) as e(finding bigint, key json, state text, why text)`,
      [
        this.run.repair,
        otherSide(truth),
        table.schema,
        table.name,
        action,
        JSON.stringify(alone.map(({ item, state, why }) => ({ finding: item.finding, key: item.key, state, why }))),
      ],
    );
    const unneeded = alone.filter(({ state }) => state === 'unneeded').map(({ item }) => item.finding);
    await session.run(`update godwit.reconciliation_finding set state = 'gone' where id = any ($1::bigint[])`, [
      unneeded,
    ]);
    await session.run(
      `update godwit.reconciliation_review set state = 'gone', decided_at = clock_timestamp()
       where finding = any ($1::bigint[]) and state in ('waiting', 'repair')`,
      [unneeded],
    );
  }

  /** What an attempt that died left as begun: done where the row became what the entry says, else forgotten, and done anew. */
  async #resume(): Promise<void> {
    const { keeping, ends, hands, sides } = this.place;
    const begun = await entriesOf(keeping, this.run.repair, 'begun', 'oldest first');
    if (begun.length === 0) return;
    const tables = await describedTables(ends, this.run.normal, begun);
    for (const entry of begun) {
      const table = tables.get(nameOf(entry));
      if (table === undefined) continue;
      const written = hands.of(entry.side);
      const [is] = await imagesOf(table, written, [entry.key]);
      let done = changeOf(is ?? null, entry.after) === null;
      if (!done && entry.action === 'insert' && entry.after !== null && is === null) {
        const [other] = await imagesOf(table, sides.of(otherSide(entry.side)), [entry.key]);
        if (other === null) {
          // its row has made way already: only the entry knows it
          const writes = await RowWrites.of(written, statementsOn(table, written));
          await writes.write(written, entry.key, { action: 'insert', after: entry.after });
          done = true;
        }
      }
      if (done) {
        await keeping.run(`update godwit.reconciliation_audit set state = 'done' where id = $1`, [entry.id]);
        await settled(keeping, this.run.repair, [entry.finding]);
      } else await keeping.run('delete from godwit.reconciliation_audit where id = $1', [entry.id]);
    }
  }
}

/** Findings of entries that are done. */
async function settled(session: Session, repairId: string, findings: string[]): Promise<void> {
  await session.run(
    `update godwit.reconciliation_finding f set state = 'repaired'
     where id = any ($2::bigint[]) and exists (
       select from godwit.reconciliation_audit a where a.repair = $1 and a.finding = f.id and a.state = 'done')`,
    [repairId, findings],
  );
  await session.run(
    `update godwit.reconciliation_review v set state = 'repaired', decided_at = coalesce(decided_at, clock_timestamp())
     from godwit.reconciliation_finding f
     where v.finding = f.id and f.id = any ($1::bigint[]) and f.state = 'repaired'`,
    [findings],
  );
}
