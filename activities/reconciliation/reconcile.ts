/**
 * One run: finds out how the standby follows, chooses the tables, compares at the level that is asked for, decides what becomes of the
 * findings, and seals a certificate. Changes nothing but what is kept in the target's `godwit` schema.
 */
import type {
  FindingCount,
  NormalReconciliation,
  RunSummary,
  RunTable,
  RunVerdict,
} from '../../spec/reconciliation.js';
import type { Milliseconds } from '../../spec/normal.js';
import type { Primary } from '../../spec/status.js';
import { cancellation, counting, heartbeat, stoppable } from '../activity-context.js';
import { failure } from '../failure.js';
import { matches } from '../postgres/scope.js';
import { Session } from '../postgres/session.js';
import { allOpen, bothOver, bothSides, eachSide, type Pair, type Sides } from '../postgres/sides.js';
import { nameOf, type TableName } from '../postgres/statements.js';
import { backendOf, cancelledBy } from '../postgres/validation/cancel.js';
import type { ComparedTable } from '../postgres/validation/compared-table.js';
import { describeComparable } from '../postgres/validation/describe.js';
import { dialectOf, type Dialect } from '../postgres/validation/expression.js';
import { pin, PINNED_SETTINGS } from '../postgres/validation/lanes.js';
import { requireCaughtUp, type Ends, type Proof } from '../postgres/validation/proof.js';
import { serverOf, type Server } from '../postgres/validation/server.js';
import type { ReconcileRun } from '../reconciliation-contract.js';
import { CERTIFICATE_KIND, certified, type RunCertificate } from './certificate.js';
import { checksOf, looksAtStructure } from './checks/checks.js';
import { proofOf } from './detect-proof.js';
import { judged, type Finding, type NotChecked } from './findings.js';
import { observed } from './observer.js';
import { ReadingPace } from './pace.js';
import { endsOf, pairOf } from './pair.js';
import { KEEP_PROGRESS_EVERY_MS } from './pass-progress.js';
import { decide, expire, keepAccepted, queue } from './policy.js';
import { countBoth, keysAlone, newestOf } from './quick.js';
import { replicasCaughtUp } from './replicas.js';
import {
  CATCH_UP_TIMEOUT_MS,
  compareRows,
  FINDINGS_OF_A_TABLE,
  ofTheTable,
  type PieceFigures,
  type RowsContext,
  type RowsTable,
} from './rows.js';
import { boundInWords, leafSample, shareOf } from './sample.js';
import {
  acceptedOf,
  addFindings,
  beginRun,
  endRun,
  firstAsked,
  haveState,
  Keeper,
  standingOf,
  takeTurn,
  type Busy,
} from './state.js';
import {
  bothFacts,
  consumeStreams,
  haveStreams,
  marksOf,
  NoStream,
  readStreams,
  streamEnds,
  streamsReach,
  type StreamEnds,
  type Touched,
} from './streams.js';
import { chooseTables, type ChosenTable } from './tables.js';
import {
  forgetWatermarks,
  keepWatermarks,
  watermarksNow,
  watermarksOf,
  type Since,
  type Watermarks,
} from './touched.js';

const HEARTBEAT_EVERY_MS = 1_000;

/**
 * The activity. Fails with `InvalidSpec`, `ReplicationBroken`, and as connections do; what concerns single tables is said of those,
 * and makes the verdict `incomplete`.
 */
export async function reconcile(run: ReconcileRun): Promise<RunSummary> {
  return stoppable(() => reconcileUntil(run, cancellation()));
}

/** The same, ended by any signal. */
export async function reconcileUntil(
  run: ReconcileRun,
  signal: AbortSignal,
  keepProgressEvery: Milliseconds = KEEP_PROGRESS_EVERY_MS,
): Promise<RunSummary> {
  signal.throwIfAborted();
  const pair = pairOf(run.normal);
  await using open = await allOpen<[Sides, Session]>([
    bothSides(pair, 'reconciliation'),
    // holds the turn, so it lives as long as the run, with no statement of its own under way
    Session.open('target', run.normal.target.url, { purpose: `${pair.key} state` }),
  ]);
  const [sides, keeping] = open;
  const backends = await eachSide((side) => backendOf(sides.of(side), side));
  return await cancelledBy(signal, pair, [backends.source, backends.target], async () => {
    const [answer, ready] = await Promise.allSettled([turnOf(keeping, run), readyTo(sides, run.normal)]);
    if (answer.status === 'rejected') throw answer.reason;
    if (answer.value !== null) return answer.value;
    if (ready.status === 'rejected') throw ready.reason;
    return new Run(run, pair, sides, ready.value, new Keeper(keeping), signal, keepProgressEvery).whole();
  });
}

/** Null: it is this run's turn. Else what became of it. */
async function turnOf(keeping: Session, run: ReconcileRun): Promise<RunSummary | null> {
  await haveState(keeping);
  const busy = await takeTurn(keeping, run.run);
  return busy === null ? beginRun(keeping, run) : skipped(run, busy);
}

/** What a run knows before it looks at a table. */
interface Ready {
  servers: Record<Primary, Server>;
  proof: Proof;
}

async function readyTo(sides: Sides, normal: NormalReconciliation): Promise<Ready> {
  const servers = await eachSide(async (side) => {
    const session = sides.of(side);
    await pin(session);
    // a position is no proof without its commit, and needs no synchronous standby's word
    await session.run('set synchronous_commit = local');
    return serverOf(session);
  });
  refuseTheSame(servers);
  return { servers, proof: await proofOf(normal.replication, endsOf(sides, normal)) };
}

/** Equal to itself is everything. */
function refuseTheSame({ source, target }: Record<Primary, Server>): void {
  if (source.identity.systemIdentifier !== target.identity.systemIdentifier || source.database !== target.database)
    return;
  throw failure(
    'InvalidSpec',
    `source and target are the same database ${source.database} of one server, or a physical standby of it`,
    'Correct source.url or target.url; a physical standby to read from is `replica`',
  );
}

function skipped({ run, normal, level }: ReconcileRun, busy: Busy): RunSummary {
  return {
    ...emptySummary(run, normal, level),
    outcome: 'skipped',
    verdict: 'incomplete',
    why: `${busy.run} (${busy.level}) has worked on this target since ${busy.since}; in one database never two at once`,
  };
}

function emptySummary(run: string, normal: NormalReconciliation, level: ReconcileRun['level']): RunSummary {
  return {
    run,
    reconciliation: normal.name,
    level,
    outcome: 'done',
    why: null,
    verdict: 'equal',
    primary: normal.primary,
    incremental: false,
    lsn: null,
    at: new Date().toISOString(),
    tookMs: 0,
    tables: 0,
    tablesNotCompared: 0,
    rows: 0,
    bytes: 0,
    late: 0,
    suspects: 0,
    notChecked: 0,
    found: [],
    repaired: 0,
    queued: 0,
    remaining: 0,
    accepted: 0,
    certificate: null,
  };
}

/** What the statement of a run is about: the primary as it was then. */
interface Moment {
  lsn: string | null;
  startedAt: string;
}

/** What a run asks for before it reads anything; watermarks only where the next one goes by them. */
type Asked = Partial<Watermarks> & Moment;

class Run {
  readonly #began = performance.now();
  readonly #started = new Date().toISOString();
  readonly #findings: Finding[] = [];
  readonly #notChecked: NotChecked[] = [];
  readonly #tables: (RunTable & { expression: string | null })[] = [];
  #suspects = 0;
  #incremental = false;
  /** Of `incremental: changes`: tables that both sides' streams tell of, and up to where these are read. */
  #published: Set<string> | null = null;
  #streamed: StreamEnds | null = null;
  #noStream: string | null = null;
  /** Tables with too many differences to list: nobody has looked at the rest. */
  readonly #stopped = new Set<string>();

  constructor(
    readonly run: ReconcileRun,
    readonly pair: Pair,
    readonly sides: Sides,
    readonly ready: Ready,
    readonly keeper: Keeper,
    readonly signal: AbortSignal,
    readonly keepProgressEvery: Milliseconds,
  ) {}

  get #normal(): NormalReconciliation {
    return this.run.normal;
  }

  get #ends(): Ends {
    return endsOf(this.sides, this.#normal);
  }

  async whole(): Promise<RunSummary> {
    const { servers, proof } = this.ready;
    const { incremental } = this.#normal;
    const pace = new ReadingPace(this.#normal.limits);
    await using watch = this.run.level === 'business' ? null : pace.watch(this.pair, this.signal);
    // at once, since its first look takes a while, but where streams may tell that there is nothing to be read
    if (this.run.full || incremental?.by !== 'changes') void watch?.looked();
    const ends = this.#ends;
    await this.keeper.run((session) => expire(session, this.#normal.name));
    const moment: Moment = { lsn: await positionOf(ends.primary), startedAt: this.#started };
    const byWatermarks = incremental !== null && incremental.by !== 'changes';
    const watermarks = byWatermarks ? await watermarksNow(ends.primary, ends.standby) : null;
    const first = await this.#firstAsked<Asked>('watermarks', { ...watermarks, ...moment });
    await requireCaughtUp(proof, ends, CATCH_UP_TIMEOUT_MS, this.signal);
    const chosen = await chooseTables(this.sides, this.#normal.primary, this.#normal);
    if (!looksAtStructure(this.run.level)) this.#findings.push(...chosen.findings);
    if (watch !== null) {
      await this.#compare(chosen.tables, dialectOf(servers.source, servers.target), proof, first, { pace, watch });
      // nobody is to be spared any more: its connections end while the rest goes on
      void watch[Symbol.asyncDispose]();
    }
    await this.#check(chosen.tables, proof);
    this.signal.throwIfAborted();
    // rows that an earlier attempt compared are as they were then; other levels look at all anew
    const resumes = this.run.level === 'comprehensive' || this.run.level === 'deep';
    const holdsFor = resumes ? (first ?? { ...moment, lsn: null }) : moment;
    const { summary, tables } = await this.#end(servers, proof, holdsFor, chosen.tables);
    observed().ended(summary, tables);
    observed().waiting(summary.reconciliation, summary.queued);
    if (this.#streamed !== null) await consumeStreams(this.sides, this.#normal, this.#streamed.upTo);
    return summary;
  }

  async #compare(
    chosen: ChosenTable[],
    dialect: Dialect,
    proof: Proof,
    first: Asked | null,
    paced: Pick<RowsContext, 'pace' | 'watch'>,
  ): Promise<void> {
    const { level } = this.run;
    if (level === 'quick') await this.#beginAnew();
    const ends = this.#ends;
    const described = await describeComparable(
      ends.primary,
      ends.standby,
      chosen.map((one) => this.#asked(one)),
      dialect,
    );
    const rows: RowsTable[] = [];
    for (const [index, { table, why }] of described.entries()) {
      const one = chosen[index];
      if (one === undefined) continue;
      if (table === null) {
        this.#notCompared(one, why);
        continue;
      }
      if (level === 'quick') {
        await this.#count(one, table, dialect, proof, rows).catch((error: unknown) => {
          this.signal.throwIfAborted();
          const because = ofTheTable(error);
          if (because === null) throw error;
          this.#notCompared(one, because);
        });
      } else rows.push({ chosen: one, table, leaves: this.#leavesOf(one), since: null, newest: null });
    }
    const incremental = level === 'quick' ? rows : await this.#sinceLast(rows, dialect);
    // the streams are read by now, so that what they tell of is there, too
    await replicasCaughtUp(this.#normal, this.sides, CATCH_UP_TIMEOUT_MS, this.signal);
    const context = this.#context(proof, paced);
    const figures = await compareRows(context, incremental);
    figures.forEach((found, index) => {
      const one = incremental[index];
      if (one !== undefined) this.#compared(one, found);
    });
    if (level !== 'quick') await this.#keepWatermarks(incremental, first);
  }

  /** Counts decide what a quick run looks at, and this attempt's may be others: it begins from the start. */
  async #beginAnew(): Promise<void> {
    await this.keeper.run((session) =>
      session.transaction(async () => {
        for (const table of ['piece', 'finding'])
          await session.run(`delete from godwit.reconciliation_${table} where run = $1`, [this.run.run]);
      }),
    );
  }

  #firstAsked<T>(what: 'watermarks' | 'streams', now: T): Promise<T | null> {
    return this.keeper.run((session) => firstAsked(session, this.run.run, what, now));
  }

  /** As `describeComparable` takes it: with the share of its rows, where a random sample is asked for. */
  #asked(one: ChosenTable): ChosenTable {
    const sample = this.#sampleOf(one);
    return sample?.method === 'random' ? { ...one, share: shareOf(sample) } : one;
  }

  #sampleOf(table: TableName): NormalReconciliation['sample'] {
    const { sample } = this.#normal;
    if (sample === null || this.run.level === 'quick') return null;
    return sample.tables.some((pattern) => matches(pattern, table)) ? sample : null;
  }

  #leavesOf(table: TableName): RowsTable['leaves'] {
    const sample = this.#sampleOf(table);
    return sample?.method === 'systematic' ? leafSample(sample) : null;
  }

  #context(proof: Proof, { pace, watch }: Pick<RowsContext, 'pace' | 'watch'>): RowsContext {
    const { primary } = this.#normal;
    let told = 0;
    return {
      run: this.run.run,
      pair: this.pair,
      primary,
      normal: this.#normal,
      proof,
      keeper: this.keeper,
      pace,
      watch,
      signal: this.signal,
      keepProgressEvery: this.keepProgressEvery,
      progress: (rows) => {
        if (Date.now() - told < HEARTBEAT_EVERY_MS) return;
        told = Date.now();
        heartbeat(
          counting({
            unit: `database/${this.#normal.name}`,
            phase: 'reconciliation',
            what: 'rows',
            done: rows,
            total: 0, // how many there are is known once all are read
            detail: pace.waits ?? `${this.run.level}, for ${Math.round((performance.now() - this.#began) / 1_000)} s`,
          }),
        );
      },
    };
  }

  async #count(
    chosen: ChosenTable,
    table: ComparedTable,
    dialect: Dialect,
    proof: Proof,
    rows: RowsTable[],
  ): Promise<void> {
    const began = performance.now();
    const counted = await countBoth(this.#ends, table, proof, this.signal);
    const closer =
      counted.kind === 'fits' ? newestOf(chosen, table) : await keysAlone(this.#ends, chosen, table, dialect);
    const findings: RunTable['findings'] = {};
    const off = closer === null && counted.kind === 'off';
    if (off) {
      findings.count = 1;
      const detail = `the counts differ by ${counted.by}`;
      const { schema, name } = chosen;
      this.#findings.push({
        kind: 'count',
        schema,
        table: name,
        key: null,
        columns: null,
        side: null,
        count: counted.by,
        detail,
      });
    }
    if (closer === null && counted.kind === 'unclear') {
      this.#notChecked.push({ what: wordsOf(chosen), why: 'it has no key, and its count never stood still' });
    }
    if (closer !== null) rows.push(closer);
    this.#tables.push({
      schema: chosen.schema,
      name: chosen.name,
      how: 'count',
      note: counted.kind === 'fits' ? null : off ? 'the counts differ' : 'keys were compared one by one',
      rows: counted.rows,
      bytes: chosen.bytes,
      late: 0,
      findings,
      tookMs: Math.round(performance.now() - began),
      expression: table.source.form,
    });
  }

  /** Tables that were compared before are asked only for what was touched since. */
  async #sinceLast(rows: RowsTable[], dialect: Dialect): Promise<RowsTable[]> {
    const { incremental, name } = this.#normal;
    if (incremental === null || this.run.partial === true) return rows;
    const known = await this.keeper.run((session) =>
      watermarksOf(session, name, incremental.by, incremental.fullEvery),
    );
    const [asked, open] = await bothOver(
      incremental.by === 'changes' ? this.#touched(rows, known.size > 0, dialect) : Promise.resolve(null),
      this.run.full ? Promise.resolve(new Map<string, string[][]>()) : this.#openKeys(),
    );
    if (this.run.full) return rows;
    return rows.map((one) => {
      const table = nameOf(one.table);
      const from = known.get(table);
      const keyed = one.table.source.shape.key.kind !== 'none';
      if (from === undefined || !keyed || this.#sampleOf(one.table) !== null) return one;
      const since = (what: Since): RowsTable => ({ ...one, since: what });
      const keys = open.get(table) ?? [];
      switch (incremental.by) {
        case 'changes':
          if (asked === null || asked.touched.whole.has(table) || this.#published?.has(table) !== true) return one;
          if (!sameMarks(asked.marks[table], from)) return one;
          return since({
            kind: 'changes',
            keys: asked.touched.keys.get(table) ?? [],
            open: keys,
            alike: asked.touched.alike.get(table) ?? 0,
            readMs: asked.touched.readMs.get(table) ?? 0,
          });
        case 'xmin':
          return since({ kind: 'xmin', from, open: keys });
        case 'column': {
          const { column } = incremental;
          if (column === null || !one.chosen.columns.includes(column)) return one;
          return since({ kind: 'column', column, after: from.source, open: keys });
        }
      }
    });
  }

  /** What the streams of both sides say, and what the tables are like; they are made where they aren't there, before anything is read. */
  async #touched(
    rows: RowsTable[],
    wanted: boolean,
    dialect: Dialect,
  ): Promise<{ touched: Touched; marks: StreamEnds['marks'] } | null> {
    const tables = rows.map(({ table }) => table);
    try {
      const facts = await bothFacts(this.sides, tables);
      const touched =
        wanted && !this.run.full ? await readStreams(this.sides, this.#normal, tables, facts, dialect) : null;
      // a stream that is made anew doesn't tell of what came before it, and this run may fail before it has read all instead
      if (wanted && touched === null) {
        await this.keeper.run((session) => forgetWatermarks(session, this.#normal.name, 'changes'));
      }
      this.#published = await haveStreams(this.sides, this.#normal, tables);
      const marks = marksOf(facts);
      const upTo = touched?.upTo ?? (await streamEnds(this.sides));
      const first = await this.#firstAsked<StreamEnds>('streams', { upTo, marks });
      if (first !== null && (await streamsReach(this.sides, this.#normal, first.upTo))) this.#streamed = first;
      return touched === null ? null : { touched, marks };
    } catch (error) {
      if (!(error instanceof NoStream)) throw error;
      this.#noStream = error.message;
      return null;
    }
  }

  /** What the last run found and nobody mended: looked at again, whatever was touched. */
  async #openKeys(): Promise<Map<string, string[][]>> {
    const rows = await this.keeper.run((session) =>
      session.rows<TableName & { keys: string[][] } & Record<string, unknown>>(
        `select f.schema_name as schema, f.table_name as name, json_agg(f.key) as keys
         from godwit.reconciliation_finding f
         where f.state in ('confirmed', 'suspect') and f.key is not null and f.run = (
           select r.run from godwit.reconciliation_run r
           where r.reconciliation = $1 and r.state = 'done' and r.level in ('comprehensive', 'deep')
           order by r.started_at desc limit 1)
         group by 1, 2`,
        [this.#normal.name],
      ),
    );
    return new Map(rows.map((row) => [nameOf(row), row.keys]));
  }

  async #keepWatermarks(rows: RowsTable[], first: Asked | null): Promise<void> {
    const { incremental, name } = this.#normal;
    if (this.run.partial === true || first === null) return;
    if (incremental === null || (incremental.by === 'changes' && this.#streamed === null)) return;
    const { xmin, at } = first;
    const valuesOf: Record<Since['kind'], (table: string) => Record<Primary, string> | undefined> = {
      xmin: () => xmin,
      column: () => (at === undefined ? undefined : { source: at, target: at }),
      changes: (table) => this.#streamed?.marks[table],
    };
    const compared = new Set(this.#tables.filter(({ how }) => how === 'all' || how === 'touched').map(nameOf));
    const tables = rows
      .filter(({ table }) => compared.has(nameOf(table)) && !this.#stopped.has(nameOf(table)))
      .filter(({ table }) => this.#published?.has(nameOf(table)) ?? true)
      .flatMap(({ table: { schema, name: table }, since }) => {
        const values = valuesOf[incremental.by](nameOf({ schema, name: table }));
        return values === undefined ? [] : [{ schema, name: table, full: since === null, values }];
      });
    await this.keeper.run((session) =>
      keepWatermarks(session, {
        reconciliation: name,
        run: this.run.run,
        kind: incremental.by,
        tables,
      }),
    );
  }

  #compared(one: RowsTable, figures: PieceFigures): void {
    const { chosen, table, leaves, since } = one;
    this.#suspects += figures.suspects;
    if (figures.failed !== null) {
      this.#notCompared(chosen, figures.failed);
      return;
    }
    const known = this.#tables.find((other) => nameOf(other) === nameOf(table));
    if (known !== undefined) {
      // of a quick run, which has counted it
      known.late += figures.late;
      known.findings = { ...known.findings, ...figures.found };
      known.tookMs += figures.tookMs;
      return;
    }
    if (since !== null) this.#incremental = true;
    if (figures.stopped) this.#stopped.add(nameOf(table));
    const sample = this.#sampleOf(table);
    const differing = Object.values(figures.found).reduce((sum, count) => sum + count, 0);
    const bound =
      leaves !== null
        ? boundInWords('leaves', figures.leavesDiffering, figures.leaves)
        : boundInWords('rows', differing, figures.rows);
    const share = sample === null ? 1 : sample.percent / 100;
    const notes = [
      ...(sample === null ? [] : [bound]),
      ...(since !== null && since.kind !== 'changes' ? ['deletions since are seen by the next run of all rows'] : []),
      ...(since === null && this.#noStream !== null ? [`all rows were compared: ${this.#noStream}`] : []),
      ...(figures.stopped ? [`it differs in more than ${FINDINGS_OF_A_TABLE} rows; the rest was not looked at`] : []),
    ];
    this.#tables.push({
      schema: chosen.schema,
      name: chosen.name,
      how: sample !== null ? 'sample' : since !== null ? 'touched' : 'all',
      note: notes.length === 0 ? null : notes.join('; '),
      rows: figures.rows,
      bytes: Math.round(since === null ? chosen.bytes * share : figures.rows * table.bytesOfARow),
      late: figures.late,
      findings: figures.found,
      tookMs: figures.tookMs + (since?.kind === 'changes' ? since.readMs : 0),
      expression: table.source.form,
    });
  }

  #notCompared(table: ChosenTable, why: string): void {
    this.#notChecked.push({ what: wordsOf(table), why });
    // a quick run has counted it before
    const counted = this.#tables.findIndex((other) => nameOf(other) === nameOf(table));
    if (counted >= 0) this.#tables.splice(counted, 1);
    this.#tables.push({
      schema: table.schema,
      name: table.name,
      how: 'not-compared',
      note: why,
      rows: 0,
      bytes: 0,
      late: 0,
      findings: {},
      tookMs: 0,
      expression: null,
    });
  }

  async #check(tables: ChosenTable[], proof: Proof): Promise<void> {
    const ends = this.#ends;
    for (const check of checksOf(this.run.level)) {
      this.signal.throwIfAborted();
      heartbeat();
      const found = await check({
        source: this.sides.source,
        target: this.sides.target,
        primary: this.#normal.primary,
        tables,
        normal: this.#normal,
        caughtUp: (timeout) => proof.caughtUp(ends, timeout, this.signal),
        signal: this.signal,
      });
      this.#findings.push(...found.findings);
      this.#notChecked.push(...found.notChecked);
    }
  }

  async #end(
    servers: Record<Primary, Server>,
    proof: Proof,
    { lsn, startedAt }: Moment,
    chosen: ChosenTable[],
  ): Promise<{ summary: RunSummary; tables: RunTable[] }> {
    const { run, normal, level } = this.run;
    const tables = this.#tables.map((table): RunTable => ({ ...table }));
    for (const finding of this.#findings) {
      const table = tables.find(({ schema, name }) => schema === finding.schema && name === finding.table);
      if (table !== undefined && finding.kind !== 'count') {
        table.findings = { ...table.findings, [finding.kind]: (table.findings[finding.kind] ?? 0) + finding.count };
      }
    }
    return this.keeper.run((session) =>
      session.transaction(async () => {
        await addFindings(
          session,
          run,
          judged(this.#findings, normal.severity).map((one) => ({ ...one, state: 'confirmed' })),
        );
        const found = await session.rows<FindingCount & Record<string, unknown>>(
          `select kind, severity, schema_name as schema, table_name as "table", sum(count)::int as count
           from godwit.reconciliation_finding where run = $1 and state = 'confirmed' group by 1, 2, 3, 4 order by 3, 4, 1, 2`,
          [run],
        );
        await keepAccepted(session, run, normal.name);
        for (const { schema, table: name, kind, count } of await acceptedOf(session, run)) {
          const table = tables.find((one) => nameOf(one) === nameOf({ schema, name }));
          if (table !== undefined) table.accepted = { ...table.accepted, [kind]: count };
        }
        const decisions = level === 'business' ? [] : decide(normal, tables);
        const whole =
          level === 'quick' || this.#incremental || this.run.partial === true
            ? []
            : tables.filter(({ how }) => how === 'all');
        const queued = await queue(session, { run, normal, decisions, whole });
        const total = (pick: (table: RunTable) => number): number => tables.reduce((sum, one) => sum + pick(one), 0);
        const { remaining, accepted } = await standingOf(session, run);
        // what may stay differs all the same
        const verdict: RunVerdict =
          remaining + accepted > 0
            ? 'different'
            : this.#suspects + this.#notChecked.length > 0
              ? 'incomplete'
              : 'equal';
        const certificate: RunCertificate = certified({
          kind: CERTIFICATE_KIND,
          version: 1,
          run,
          reconciliation: normal.name,
          level,
          verdict,
          primary: normal.primary,
          lsn,
          at: startedAt,
          tookMs: Math.round(performance.now() - this.#began),
          proof: proof.words,
          servers: { source: servers.source.identity, target: servers.target.identity },
          settings: PINNED_SETTINGS,
          tables: this.#tables,
          found,
          notChecked: this.#notChecked,
          exclusions: {
            columns: normal.columns
              .filter(({ exclude }) => exclude.length > 0)
              .map(({ tables: pattern, exclude }) => ({ tables: pattern, columns: exclude })),
            rowFilters: normal.tables.rowFilters,
          },
        });
        const summary: RunSummary = {
          ...emptySummary(run, normal, level),
          verdict,
          incremental: this.#incremental,
          lsn,
          at: startedAt,
          tookMs: certificate.tookMs,
          tables: chosen.length,
          tablesNotCompared: tables.filter(({ how }) => how === 'not-compared').length,
          rows: total(({ rows }) => rows),
          bytes: total(({ bytes }) => bytes),
          late: total(({ late }) => late),
          suspects: this.#suspects,
          notChecked: this.#notChecked.length,
          found: worst(found),
          queued,
          remaining,
          accepted,
          certificate: certificate.digest,
        };
        await endRun(session, summary, tables, certificate);
        return { summary, tables };
      }),
    );
  }
}

const sameMarks = (now: Record<Primary, string> | undefined, then: Record<Primary, string>): boolean =>
  now?.source === then.source && now.target === then.target;

async function positionOf(primary: Session): Promise<string | null> {
  const row = await primary.row<{ lsn: string }>(
    `select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() end::text as lsn`,
  );
  return row?.lsn ?? null;
}

/** An answer stays small: the rest is in the run's report. */
const FOUND_IN_AN_ANSWER = 50;

const worst = (found: FindingCount[]): FindingCount[] =>
  [...found].sort((a, b) => b.count - a.count).slice(0, FOUND_IN_AN_ANSWER);

const wordsOf = ({ schema, name }: TableName): string => `${schema}.${name}`;
