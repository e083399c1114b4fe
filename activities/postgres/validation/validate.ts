/**
 * Compares all tables of both sides while people write to them. Right under live writes: see `settle.ts`; strict: see
 * `expression.ts`. Nothing is changed but markers, and the certificate on the target.
 */
import { randomUUID } from 'node:crypto';
import type { CertificateSummary, Primary } from '../../../spec/status.js';
import { cancellation, counting, heartbeat } from '../../activity-context.js';
import type { DatabaseMove } from '../../contract.js';
import { passMarker } from '../marker.js';
import { matches, replicatedTables, scopeTables, unloggedTables, type ScopeTable } from '../scope.js';
import { otherSide, type Sides } from '../sides.js';
import {
  keepCertificate,
  sealed,
  type Certificate,
  type CertificateTable,
  type FoundDifference,
} from './certificate.js';
import type { ComparedTable } from './compared-table.js';
import { cancelledBy } from './cancel.js';
import { describeTables } from './describe.js';
import { dialectOf } from './expression.js';
import { MARKER_TIMEOUT_MS, onFooting, requireFooting, requireSubscription, type Footing } from './footing.js';
import { serverOf } from './server.js';
import { inLanes, Lanes, PINNED_SETTINGS, type Lane } from './lanes.js';
import { comparePiece, cut, type Piece } from './leaves.js';
import { addSettled, nothingSettled, settle, type SettleOptions, type Settled } from './settle.js';

/** Differences of one table after which the rest of it isn't listed: the verdict is clear, and so is where to look. */
const DIFFERENCES_OF_A_TABLE = 1_000;
const HEARTBEAT_EVERY_MS = 1_000;

/** What is known of one table so far. */
interface TableState {
  table: ComparedTable;
  rows: number;
  leaves: number;
  leavesDiffering: number;
  settled: Settled;
  stopped: boolean;
  tookMs: number;
}

/**
 * The activity. Fails with `ReplicationBroken` when nothing is applied, `SchemaMismatch` when tables can't be compared,
 * `Blocked` while or after a switch happens, `AuthorityLost` when this migration holds no tables.
 */
export async function validate(move: DatabaseMove): Promise<CertificateSummary> {
  return validateUntil(move, cancellation());
}

/** The same, ended by any signal. */
export async function validateUntil(move: DatabaseMove, signal: AbortSignal): Promise<CertificateSummary> {
  return onFooting(move, 'validation control', signal, (sides, footing) => compare(sides, footing, move, signal));
}

async function compare(
  sides: Sides,
  footing: Footing,
  move: DatabaseMove,
  signal: AbortSignal,
): Promise<CertificateSummary> {
  const began = performance.now();
  const primary = sides.of(footing.primary);
  const standby = sides.of(otherSide(footing.primary));
  await requireSubscription(standby, move.key, footing.primary);
  // a marker needs no synchronous standby's word, and would wait for ever where one is missing
  await primary.run('set synchronous_commit = local');
  const started = new Date().toISOString();
  const start = await passMarker(primary, standby, move.key, MARKER_TIMEOUT_MS, signal);

  const scope = await scopeTables(primary, move.key);
  const [excluded, wanted] = split(replicatedTables(scope), move.database.validation.exclude);
  const servers = { source: await serverOf(sides.source), target: await serverOf(sides.target) };
  const dialect = dialectOf(servers.source, servers.target);
  const states = (await describeTables(primary, standby, wanted, dialect)).map(newState);
  await passAll(move, footing.primary, states, signal);
  await requireFooting(sides, move, footing);

  const tables = states.map(summary);
  const total = (count: (table: CertificateTable) => number): number =>
    tables.reduce((sum, table) => sum + count(table), 0);
  const differences = total((table) => table.differences);
  const suspects = total((table) => table.suspects);
  const certificate: Certificate = sealed<Omit<Certificate, 'digest'>>({
    version: 1,
    id: randomUUID(),
    migration: move.migration,
    scope: move.key,
    database: move.database.name,
    verdict: differences > 0 ? 'different' : suspects > 0 ? 'incomplete' : 'equal',
    primary: footing.primary,
    lsn: start.lsn,
    at: started,
    tookMs: Math.round(performance.now() - began),
    servers: { source: servers.source.identity, target: servers.target.identity },
    settings: PINNED_SETTINGS,
    rows: total((table) => table.rows),
    differences,
    suspects,
    tables,
    exclusions: [
      ...excluded.map(({ schema, name }) => ({ schema, name, why: 'validation.exclude' })),
      ...unloggedTables(scope).map(({ schema, name }) => ({ schema, name, why: 'unlogged' })),
    ],
  });
  await keepCertificate(sides.target, certificate, states.flatMap(found));
  return summaryOf(certificate);
}

export function summaryOf(certificate: Certificate): CertificateSummary {
  const { id, verdict, tables, rows, differences, lsn, at, tookMs } = certificate;
  return { id, verdict, tables: tables.length, rows, differences, lsn, at, tookMs };
}

/** Passes all pieces of all tables, the largest first, in as many lanes as may run at once. */
async function passAll(move: DatabaseMove, primary: Primary, states: TableState[], signal: AbortSignal): Promise<void> {
  if (states.length === 0) return;
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  await using lanes = await Lanes.open(move, primary, Math.max(1, move.database.validation.parallelism), both);
  const options: SettleOptions = {
    lockTimeout: move.database.validation.lockTimeout,
    markerTimeout: MARKER_TIMEOUT_MS,
    signal: both,
  };
  const progress = progressOf(move, states);
  const beat = setInterval(progress, HEARTBEAT_EVERY_MS);
  try {
    await cancelledBy(both, move, lanes.backends, async () => {
      const work = await piecesOf(lanes, states);
      await inLanes(lanes.lanes, work, stop, (lane, { state, piece }) =>
        pass(lane, state, piece, move.database.validation.leafRows, options),
      );
      // a lock that could not be had then may be free now
      const open = states.filter((state) => state.settled.suspects.length > 0 && !state.stopped);
      await inLanes(lanes.lanes, open, stop, (lane, state) => settleAgain(lane, state, options));
    });
    progress();
  } finally {
    clearInterval(beat);
  }
}

interface Work {
  state: TableState;
  piece: Piece;
}

async function piecesOf(lanes: Lanes, states: TableState[]): Promise<Work[]> {
  const [lane] = lanes.lanes;
  if (lane === undefined) return [];
  const work: Work[] = [];
  for (const state of states) {
    const pieces = await cut(lane.primary, lane.standby, state.table);
    work.push(...pieces.map((piece) => ({ state, piece })));
  }
  return work.sort((one, other) => other.piece.estimatedRows - one.piece.estimatedRows);
}

async function pass(
  lane: Lane,
  state: TableState,
  piece: Piece,
  leafRows: number,
  options: SettleOptions,
): Promise<void> {
  if (state.stopped) return;
  options.signal.throwIfAborted();
  const began = performance.now();
  const figures = await comparePiece(lane, piece, leafRows, async (keys) => {
    for (let start = 0; start < keys.length && !state.stopped; start += DIFFERENCES_OF_A_TABLE) {
      const portion = keys.slice(start, start + DIFFERENCES_OF_A_TABLE);
      addSettled(state.settled, await settle(lane, state.table, portion, options));
      const open = state.settled.differences.length + state.settled.suspects.length;
      state.stopped = open >= DIFFERENCES_OF_A_TABLE;
    }
    return !state.stopped;
  });
  state.rows += figures.rows;
  state.leaves += figures.leaves;
  state.leavesDiffering += figures.leavesDiffering;
  state.tookMs += Math.round(performance.now() - began);
}

async function settleAgain(lane: Lane, state: TableState, options: SettleOptions): Promise<void> {
  const keys = state.settled.suspects.map((suspect) => suspect.key);
  state.settled.suspects = [];
  addSettled(state.settled, await settle(lane, state.table, keys, options));
}

const newState = (table: ComparedTable): TableState => ({
  table,
  rows: 0,
  leaves: 0,
  leavesDiffering: 0,
  settled: nothingSettled(),
  stopped: false,
  tookMs: 0,
});

function summary(state: TableState): CertificateTable {
  const { byMarker, byRowLock, byTableLock, differences, suspects } = state.settled;
  const { schema, name, source, target } = state.table;
  return {
    schema,
    name,
    key: source.shape.key.kind,
    ...(source.name.rowFilter == null ? {} : { rowFilter: source.name.rowFilter }),
    rows: state.rows,
    leaves: state.leaves,
    leavesDiffering: state.leavesDiffering,
    differences: differences.length,
    stopped: state.stopped,
    suspects: suspects.length,
    settled: { byMarker, byRowLock, byTableLock },
    expression: { form: source.form, source: source.hash, target: target.hash },
    tookMs: state.tookMs,
  };
}

function found(state: TableState): FoundDifference[] {
  const { schema, name } = state.table;
  return [
    ...state.settled.differences.map((difference) => ({ ...difference, schema, name, state: 'confirmed' as const })),
    ...state.settled.suspects.map((suspect) => ({ ...suspect, schema, name, state: 'suspect' as const })),
  ];
}

function progressOf(move: DatabaseMove, states: TableState[]): () => void {
  const began = performance.now();
  const total = states.reduce((sum, state) => sum + state.table.estimatedRows, 0);
  return () => {
    const done = states.reduce((sum, state) => sum + state.rows, 0);
    const differing = states.reduce((sum, state) => sum + state.settled.differences.length, 0);
    const seconds = Math.max(1, Math.round((performance.now() - began) / 1_000));
    heartbeat(
      counting({
        unit: move.database.unit,
        phase: 'validation',
        what: 'rows',
        done,
        total: Math.max(done, Math.round(total)),
        detail: `${differing} rows differ after ${seconds} s`,
      }),
    );
  };
}

function split(tables: ScopeTable[], exclude: string[]): [ScopeTable[], ScopeTable[]] {
  const isExcluded = (table: ScopeTable): boolean => exclude.some((pattern) => matches(pattern, table));
  return [tables.filter(isExcluded), tables.filter((table) => !isExcluded(table))];
}
