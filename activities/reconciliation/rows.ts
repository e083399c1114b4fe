/**
 * Compares the rows of tables, piece by piece. What a piece has found is written down in one transaction with the fact that it is
 * done, so a run goes on at the piece where it was, in another worker too.
 */
import type { Milliseconds } from '../../spec/normal.js';
import type { FindingKind, NormalReconciliation } from '../../spec/reconciliation.js';
import type { Primary } from '../../spec/status.js';
import { sqlState } from '../postgres/errors.js';
import type { Pair } from '../postgres/sides.js';
import { nameOf } from '../postgres/statements.js';
import { cancelledBy } from '../postgres/validation/cancel.js';
import { statementsOn, type ComparedTable, type Key } from '../postgres/validation/compared-table.js';
import type { Candidates, PassFigures } from '../postgres/validation/differing.js';
import { inLanes, Lanes, type Lane } from '../postgres/validation/lanes.js';
import { boundsOf, comparePiece, cut, shiftFor, type Piece } from '../postgres/validation/leaves.js';
import type { Proof } from '../postgres/validation/proof.js';
import { addSettled, nothingSettled, settle, type Difference, type Settled } from '../postgres/validation/settle.js';
import { severityOf } from './findings.js';
import type { ReadingPace, Watch } from './pace.js';
import { progressKept } from './pass-progress.js';
import { chosenLeaves, type LeafSample } from './sample.js';
import { addFindings, type Keeper, type NewFinding } from './state.js';
import type { ChosenTable } from './tables.js';
import { compareTouched, knownAlready, type Since } from './touched.js';

/** Of one table: the verdict is clear long before, and a repair of more is a copy. */
export const FINDINGS_OF_A_TABLE = 100_000;
const KEYS_AT_ONCE = 2_000;
/** Leaves of 256 keys. */
const NEWEST_SHIFT = 8;
/** Rows whose columns are looked at one by one; of the others it is said only that they differ. */
const COLUMNS_OF_ROWS = 5_000;
/** Longest wait for the standby: it may be busy with one large transaction. */
export const CATCH_UP_TIMEOUT_MS = 120_000;

/** A table that both sides have, and what of it is compared. */
export interface RowsTable {
  chosen: ChosenTable;
  table: ComparedTable;
  /** Null: all leaves. */
  leaves: LeafSample | null;
  /** Null: all rows. */
  since: Since | null;
  /** Only so many of the highest keys; null: all. */
  newest: number | null;
  /** Nothing but keys is compared, so hashes say nothing of rows. */
  keysOnly?: true;
}

export interface RowsContext {
  run: string;
  pair: Pair;
  primary: Primary;
  normal: NormalReconciliation;
  proof: Proof;
  keeper: Keeper;
  pace: ReadingPace;
  /** Of the pace. */
  watch: Watch;
  signal: AbortSignal;
  /** How far a table without an integer key is, at the least between two times that it is kept. */
  keepProgressEvery: Milliseconds;
  /** Told of all rows that were compared so far. */
  progress: (rows: number) => void;
}

/** What one piece found. */
export interface PieceFigures {
  rows: number;
  leaves: number;
  leavesDiffering: number;
  late: number;
  suspects: number;
  found: Partial<Record<FindingKind, number>>;
  stopped: boolean;
  tookMs: number;
  /** The table can't be compared: why. */
  failed: string | null;
}

type Body =
  | { kind: 'range'; low: string | null; high: string | null; shift: number; rows: number }
  | { kind: 'leaves'; low: string; high: string; shift: number; step: number; rows: number }
  | { kind: 'buckets'; mask: number; rows: number }
  | { kind: 'touched'; rows: number };

interface StoredPiece {
  schema: string;
  name: string;
  piece: number;
  body: Body;
  figures: PieceFigures | null;
}

/** Figures by table, in the order of `tables`. */
export async function compareRows(context: RowsContext, tables: RowsTable[]): Promise<PieceFigures[]> {
  // a run after few changes spends a third of its time on connections
  const known = tables.map(({ since }) => knownAlready(since));
  if (known.every((rows) => rows !== null) && (await storedPieces(context)).length === 0) {
    return known.map((rows) => ({ ...noFigures(), rows }));
  }
  const { pair, primary, normal, proof, pace, signal } = context;
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const work = new Map(tables.map((one) => [nameOf(one.table), new TableWork(context, one)]));
  // a busy server must not meet the first statements unlooked at
  await context.watch.looked();
  await using lanes = await Lanes.open(pair, primary, normal.limits.parallelism, both, {
    proof,
    pace,
    replicas: { source: normal.source.replica, target: normal.target.replica },
    statementTimeout: normal.limits.statementTimeout,
    inTurn: pace.gentle,
  });
  pace.own = (side) => lanes.transactions(side) + (side === 'target' ? context.keeper.session.transactions : 0);
  await cancelledBy(both, pair, lanes.backends, async () => {
    const [first] = lanes.lanes;
    if (first === undefined) return;
    await cutAll(context, first, tables);
    const pieces = await storedPieces(context);
    for (const { schema, name, figures } of pieces) {
      if (figures !== null) work.get(nameOf({ schema, name }))?.took(figures);
    }
    context.progress(rowsOf(work));
    const open = pieces.filter(({ figures }) => figures === null).sort((a, b) => b.body.rows - a.body.rows);
    await inLanes(lanes.lanes, open, stop, async (lane, piece) => {
      await work.get(nameOf(piece))?.compare(lane, piece);
      context.progress(rowsOf(work));
    });
    // a lock that could not be had then may be free now
    const suspect = [...work.values()].filter(({ figures }) => figures.suspects > 0 && figures.failed === null);
    await inLanes(lanes.lanes, suspect, stop, (lane, one) => one.settleAgain(lane));
  });
  return tables.map(({ table }) => work.get(nameOf(table))?.figures ?? noFigures());
}

const rowsOf = (work: Map<string, TableWork>): number =>
  [...work.values()].reduce((sum, { figures }) => sum + figures.rows, 0);

export const noFigures = (): PieceFigures => ({
  rows: 0,
  leaves: 0,
  leavesDiffering: 0,
  late: 0,
  suspects: 0,
  found: {},
  stopped: false,
  tookMs: 0,
  failed: null,
});

/** Tables that have no pieces yet; those of an earlier attempt stay. */
async function cutAll(context: RowsContext, lane: Lane, tables: RowsTable[]): Promise<void> {
  const stored = await storedPieces(context);
  const known = new Set(stored.map(nameOf));
  const touched = new Set(stored.filter(({ body }) => body.kind === 'touched').map(nameOf));
  for (const one of tables) {
    const { table, since } = one;
    // what was to be looked at by an earlier attempt is no longer known, so that all of it is
    const outdated = since === null && touched.has(nameOf(table));
    if (known.has(nameOf(table)) && !outdated) continue;
    context.signal.throwIfAborted();
    let bodies: Body[];
    try {
      bodies = since !== null ? [{ kind: 'touched', rows: 0 }] : (await piecesOf(lane, one)).map(bodyOf);
    } catch (error) {
      const why = ofTheTable(error);
      if (why === null) throw error;
      // the piece says why when it is its turn
      bodies = [{ kind: 'buckets', mask: 0, rows: 0 }];
    }
    await context.keeper.run((session) =>
      session.transaction(async () => {
        if (outdated) {
          for (const kept of ['piece', 'finding'])
            await session.run(
              `delete from godwit.reconciliation_${kept} where run = $1 and schema_name = $2 and table_name = $3`,
              [context.run, table.schema, table.name],
            );
        }
        await session.run(
          `insert into godwit.reconciliation_piece (run, schema_name, table_name, piece, body)
           select $1, $2, $3, p.piece, p.body from json_to_recordset($4::json) as p(piece int, body json)`,
          [context.run, table.schema, table.name, JSON.stringify(bodies.map((body, piece) => ({ piece, body })))],
        );
      }),
    );
  }
}

async function piecesOf(lane: Lane, { table, leaves, newest }: RowsTable): Promise<Piece[]> {
  const { primary, standby } = lane.readers;
  if (newest !== null) {
    const bounds = await boundsOf(primary, standby, table);
    const low = bounds === null ? null : bounds.high - BigInt(newest) + 1n;
    return [{ table, kind: 'range', range: { low, high: null }, shift: NEWEST_SHIFT, estimatedRows: newest }];
  }
  if (leaves !== null && statementsOn(table, primary).shape.key.kind === 'integer') {
    const bounds = await boundsOf(primary, standby, table);
    if (bounds === null) {
      return [{ table, kind: 'range', range: { low: null, high: null }, shift: 0, estimatedRows: 0 }];
    }
    const shift = shiftFor(table.estimatedRows, bounds.high - bounds.low + 1n);
    const { low, step } = chosenLeaves(leaves, bounds.low, shift);
    return [{ table, kind: 'leaves', low, high: bounds.high, shift, step, estimatedRows: table.estimatedRows / step }];
  }
  return cut(primary, standby, table);
}

/** As it is kept: JSON has no integers of 64 bits. */
function bodyOf(piece: Piece): Body {
  const rows = Math.round(piece.estimatedRows);
  const bound = (value: bigint | null): string | null => (value === null ? null : `${value}`);
  switch (piece.kind) {
    case 'range': {
      const { low, high } = piece.range;
      return { kind: 'range', low: bound(low), high: bound(high), shift: piece.shift, rows };
    }
    case 'leaves': {
      const { low, high, shift, step } = piece;
      return { kind: 'leaves', low: `${low}`, high: `${high}`, shift, step, rows };
    }
    case 'buckets':
      return { kind: 'buckets', mask: piece.mask, rows };
  }
}

function pieceOf(table: ComparedTable, body: Exclude<Body, { kind: 'touched' }>): Piece {
  const whole = { table, estimatedRows: body.rows };
  switch (body.kind) {
    case 'range': {
      const bound = (value: string | null): bigint | null => (value === null ? null : BigInt(value));
      return { ...whole, kind: 'range', range: { low: bound(body.low), high: bound(body.high) }, shift: body.shift };
    }
    case 'leaves':
      return {
        ...whole,
        kind: 'leaves',
        low: BigInt(body.low),
        high: BigInt(body.high),
        shift: body.shift,
        step: body.step,
      };
    case 'buckets':
      return { ...whole, kind: 'buckets', mask: body.mask };
  }
}

async function storedPieces({ keeper, run }: RowsContext): Promise<StoredPiece[]> {
  return keeper.run((session) =>
    session.rows<StoredPiece & Record<string, unknown>>(
      `select schema_name as schema, table_name as name, piece, body, figures
       from godwit.reconciliation_piece where run = $1 order by 1, 2, 3`,
      [run],
    ),
  );
}

/** What concerns one table alone, and no retry mends: rights, a table that was dropped, a value that can't be read. */
export function ofTheTable(error: unknown): string | null {
  const state = sqlState(error);
  if (state === undefined || !(error instanceof Error)) return null;
  if (state === '57014') return 'a statement took longer than limits.statementTimeout, and can be cut no further';
  if (state === '42501' && /row-level security/.test(error.message))
    return 'row security would hide rows from this role';
  return /^(42|22|0A|XX|34)/.test(state) ? error.message : null;
}

type UnjudgedFinding = Omit<NewFinding, 'severity'>;

class TableWork {
  figures = noFigures();
  #looked = 0;

  constructor(
    readonly context: RowsContext,
    readonly rows: RowsTable,
  ) {}

  took(piece: PieceFigures): void {
    const sum = this.figures;
    sum.rows += piece.rows;
    sum.leaves += piece.leaves;
    sum.leavesDiffering += piece.leavesDiffering;
    sum.late += piece.late;
    sum.suspects += piece.suspects;
    sum.stopped ||= piece.stopped;
    sum.tookMs += piece.tookMs;
    sum.failed ??= piece.failed;
    for (const [kind, count] of Object.entries(piece.found) as [FindingKind, number][]) {
      sum.found[kind] = (sum.found[kind] ?? 0) + count;
    }
  }

  get #findings(): number {
    return Object.values(this.figures.found).reduce((sum, count) => sum + count, 0);
  }

  async compare(lane: Lane, { piece, body }: StoredPiece): Promise<void> {
    const { table, since } = this.rows;
    if (this.figures.failed !== null || this.#findings >= FINDINGS_OF_A_TABLE) return;
    const began = performance.now();
    const settled = nothingSettled();
    let figures = { rows: 0, leaves: 0, leavesDiffering: 0 };
    let failed: string | null = null;
    let stopped = false;
    const candidates = async (keys: Key[]): Promise<boolean> => {
      for (let start = 0; start < keys.length && !stopped; start += KEYS_AT_ONCE) {
        addSettled(settled, await this.#settle(lane, keys.slice(start, start + KEYS_AT_ONCE)));
        stopped = this.#findings + settled.differences.length >= FINDINGS_OF_A_TABLE;
      }
      return !stopped;
    };
    try {
      figures =
        body.kind === 'touched'
          ? { ...figures, rows: since === null ? 0 : await compareTouched(lane, table, since, candidates) }
          : await this.#passed(lane, pieceOf(table, body), piece, candidates);
    } catch (error) {
      lane.signal.throwIfAborted();
      failed = ofTheTable(error);
      if (failed === null) throw error;
    }
    settled.differences = onceEach(settled.differences);
    const findings = await this.#findingsOf(lane, settled);
    const done: PieceFigures = {
      ...figures,
      late: settled.byMarker,
      suspects: settled.suspects.length,
      found: countsOf(settled.differences),
      stopped,
      tookMs: Math.round(performance.now() - began),
      failed,
    };
    await this.#keep(findings, piece, done);
    this.took(done);
  }

  #passed(lane: Lane, piece: Piece, number: number, candidates: Candidates): Promise<PassFigures> {
    const { keeper, run, normal, keepProgressEvery } = this.context;
    const { schema, name } = this.rows.table;
    const progress = progressKept(keeper, { run, schema, name, piece: number }, keepProgressEvery);
    return comparePiece(lane, piece, normal.limits.leafRows, candidates, progress);
  }

  #settle(lane: Lane, keys: Key[]): Promise<Settled> {
    const { lockTimeout } = this.context.normal.limits;
    return settle(lane, this.rows.table, keys, {
      lockTimeout,
      markerTimeout: CATCH_UP_TIMEOUT_MS,
      signal: lane.signal,
    });
  }

  async #findingsOf(lane: Lane, settled: Settled): Promise<UnjudgedFinding[]> {
    const changed = settled.differences.filter(({ kind }) => kind === 'changed').map(({ key }) => key);
    const columns = await this.#columnsOf(lane, changed).catch((error: unknown) => {
      lane.signal.throwIfAborted();
      // a table that was dropped meanwhile did differ
      if (ofTheTable(error) === null) throw error;
      return new Map<string, string[]>();
    });
    const { schema, name } = this.rows.table;
    const finding =
      (state: 'confirmed' | 'suspect') =>
      ({ key, kind, seen }: Difference): UnjudgedFinding => ({
        kind,
        schema,
        table: name,
        key,
        columns: columns.get(JSON.stringify(key)) ?? null,
        side: null,
        count: 1,
        detail: '',
        ...(seen === undefined || this.rows.keysOnly ? {} : { seen: [seen.here, seen.there] }),
        state,
      });
    return [...settled.differences.map(finding('confirmed')), ...settled.suspects.map(finding('suspect'))];
  }

  /** By key, of rows that differ: which columns do, as they are now. */
  async #columnsOf(lane: Lane, keys: Key[]): Promise<Map<string, string[]>> {
    const { table } = this.rows;
    const looked = keys.slice(0, Math.max(0, COLUMNS_OF_ROWS - this.#looked));
    this.#looked += looked.length;
    const found = new Map<string, string[]>();
    for (let start = 0; start < looked.length; start += 500) {
      const portion = looked.slice(start, start + 500);
      const [here, there] = await Promise.all([
        statementsOn(table, lane.primary).images(lane.primary, portion),
        statementsOn(table, lane.standby).images(lane.standby, portion),
      ]);
      portion.forEach((key, index) => {
        const one = here[index];
        const other = there[index];
        if (one == null || other == null) return;
        const names = Object.keys(one).filter((name) => one[name] !== other[name]);
        if (names.length > 0) found.set(JSON.stringify(key), names);
      });
    }
    return found;
  }

  async settleAgain(lane: Lane): Promise<void> {
    const { keeper, run } = this.context;
    const { schema, name } = this.rows.table;
    const open = await keeper.run((session) =>
      session.rows<{ id: string; key: Key }>(
        `select id::text as id, key from godwit.reconciliation_finding
         where run = $1 and schema_name = $2 and table_name = $3 and state = 'suspect' and key is not null`,
        [run, schema, name],
      ),
    );
    if (open.length === 0) return;
    let settled: Settled;
    try {
      settled = await this.#settle(
        lane,
        open.map(({ key }) => key),
      );
    } catch (error) {
      lane.signal.throwIfAborted();
      const why = ofTheTable(error);
      if (why === null) throw error;
      this.figures.failed = why;
      return;
    }
    settled.differences = onceEach(settled.differences);
    const findings = await this.#findingsOf(lane, settled);
    await keeper.run((session) =>
      session.transaction(async () => {
        await session.run('delete from godwit.reconciliation_finding where id = any ($1::bigint[])', [
          open.map(({ id }) => id),
        ]);
        await addFindings(session, run, this.#judged(findings));
      }),
    );
    this.figures.suspects = settled.suspects.length;
    for (const [kind, count] of Object.entries(countsOf(settled.differences)) as [FindingKind, number][]) {
      this.figures.found[kind] = (this.figures.found[kind] ?? 0) + count;
    }
  }

  #judged(findings: UnjudgedFinding[]): NewFinding[] {
    const counts = countsOf(findings);
    return findings.map((one) => {
      const all = (this.figures.found[one.kind] ?? 0) + (counts[one.kind] ?? 0);
      return { ...one, severity: severityOf(one.kind, all, this.context.normal.severity) };
    });
  }

  /** In one transaction: what was found, and that it was looked for. */
  async #keep(findings: UnjudgedFinding[], piece: number, figures: PieceFigures): Promise<void> {
    const { keeper, run } = this.context;
    const { schema, name } = this.rows.table;
    await keeper.run((session) =>
      session.transaction(async () => {
        await addFindings(session, run, this.#judged(findings));
        await session.run(
          `update godwit.reconciliation_piece set figures = $5, progress = null
           where run = $1 and schema_name = $2 and table_name = $3 and piece = $4`,
          [run, schema, name, piece, JSON.stringify(figures)],
        );
      }),
    );
  }
}

/**
 * A key that only its equality operator calls the same on both sides (1.0 and 1.00, or citext) was listed twice, as each side writes
 * it, and either found the one row. The primary's comes first.
 */
function onceEach(differences: Difference[]): Difference[] {
  const known = new Set<string>();
  return differences.filter(({ kind, seen }) => {
    if (kind !== 'changed' || seen === undefined) return true;
    const row = `${seen.here} ${seen.there}`;
    return !known.has(row) && known.add(row);
  });
}

function countsOf(found: { kind: FindingKind }[]): Partial<Record<FindingKind, number>> {
  const counts: Partial<Record<FindingKind, number>> = {};
  for (const { kind } of found) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}
