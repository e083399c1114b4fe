/**
 * What every single phase has in common, whether its migration started it or a person did.
 *
 * - As a child it leaves undo to its migration, which wrote the entries down before it began; a failure is the
 *   migration's to show and to retry.
 * - Alone it undoes what it did itself when it fails or is aborted, and then fails.
 */
import { ApplicationFailure, getExternalWorkflowHandle, workflowInfo } from '@temporalio/workflow';
import type { DatabaseMove } from '../activities/contract.js';
import type { TrafficMove } from '../activities/traffic-contract.js';
import { gateOf } from '../spec/approvals.js';
import { unitsOf, type NormalMigration } from '../spec/normal.js';
import { scopeKey } from '../spec/scope-key.js';
import { parseUnitRef, type Stage, type UnitRef, type UnitType } from '../spec/units.js';
import { Control, now, noteSignal } from './control.js';
import { Interrupted } from './interrupted.js';
import { isFailureOfStep } from './problem.js';
import { lightActivities } from './proxies.js';
import { rooted } from './rooted.js';
import { leftDifferent, ofDatabase, Saga, undoIncomplete } from './saga.js';
import { adopt, newState, type MigrationState, type UnitProgress } from './state.js';
import type { UndoneStep } from './undo-steps.js';

/** From a migration to a phase: normal already, with nothing but the one unit. */
export interface ChildInput {
  migration: string;
  normal: NormalMigration;
}

/** From a person. */
export interface AloneInput {
  /** The document itself, `kind: Migration`. */
  document: unknown;
  /** Needed when the document has several. */
  unit?: string;
  /** Workflow id of the migration whose objects are meant; by default the phase's own. */
  migration?: string;
}

export type PhaseInput = ChildInput | AloneInput;

export interface UnitPhase {
  control: Control;
  unit: UnitProgress;
  /** As the settings are now: `set` may have changed them. */
  normal: () => NormalMigration;
  /** Tells whoever watches, here and in the migration. */
  note: (note: string | null) => void;
  /** Null in a phase of a migration, which has its own. */
  saga: Saga | null;
}

export interface Phase extends UnitPhase {
  /** As the settings are now. */
  move: () => DatabaseMove;
}

export interface PhaseKind {
  stage: Stage;
  /** What the phase leaves behind, in order; undone when it fails or is aborted alone. */
  steps: UndoneStep[];
}

/** A phase of a database. */
export async function phase<R>(given: PhaseInput, kind: PhaseKind, body: (phase: Phase) => Promise<R>): Promise<R> {
  return unitPhase(given, { type: 'database', stage: kind.stage }, async (running) => {
    const { control, normal, saga, unit } = running;
    const move = (): DatabaseMove => moveOf(control.state.migration, normal().databases, unit.unit);
    saga?.record(ofDatabase(move()), ...kind.steps);
    return body({ ...running, move });
  });
}

/** A phase of any unit. Alone, it writes down what undoes it before it begins. */
export async function unitPhase<R>(
  given: PhaseInput,
  kind: { type: UnitType; stage: Stage },
  body: (phase: UnitPhase) => Promise<R>,
): Promise<R> {
  const { parent, workflowId } = workflowInfo();
  const input = isObject(given) && 'normal' in given ? given : aloneInput(given);
  const child = 'normal' in input;
  const state = newState(input.migration ?? workflowId, now());
  const control = new Control(state, child ? 'child' : 'alone');
  const saga = new Saga(control);
  return rooted(control, async () => {
    if (child) adopt(state, input.normal);
    else adopt(state, await documentOfOne(input, kind.type));
    const unit = state.units[0];
    if (unit === undefined) throw invalid(`the specification names no ${kind.type}`);
    state.stage = unit.stage = kind.stage;
    unit.phase = workflowInfo().workflowType;
    unit.state = 'running';
    const running: UnitPhase = {
      control,
      unit,
      normal: () => normalOf(control),
      saga: child ? null : saga,
      note: (note) => {
        unit.note = note;
        control.touched();
        if (!child || parent === undefined) return;
        const migration = getExternalWorkflowHandle(parent.workflowId, parent.runId);
        migration.signal(noteSignal, { unit: unit.unit, note: note ?? '' }).catch(() => undefined);
      },
    };
    try {
      if (!child) await passOwnGate(running, kind.stage);
      const result = await body(running);
      // An abort that came too late to stop it goes back; a child's migration does that itself.
      if (!child) await control.checkpoint();
      unit.state = 'done';
      control.publish();
      return result;
    } catch (error) {
      if (!(error instanceof Interrupted) && !isFailureOfStep(error)) throw error;
      unit.state = 'failed';
      if (!child) await undoOwn(control, saga);
      throw error instanceof Interrupted ? aborted(child) : error;
    }
  });
}

/** What a person typed, as a phase understands it: `{document, …}`, or the document itself. */
export function aloneInput(given: unknown): AloneInput {
  if (!isObject(given)) throw invalid('expected a document of kind Migration, or {"document": …}, as input');
  const { document, unit, migration } = 'kind' in given ? { document: given } : (given as Record<string, unknown>);
  return {
    document,
    ...(typeof unit === 'string' ? { unit } : {}),
    ...(typeof migration === 'string' ? { migration } : {}),
  };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

async function undoOwn(control: Control, saga: Saga): Promise<void> {
  control.begin('abort');
  const remaining = await saga.undo();
  control.state.ended = remaining.length === 0 ? 'undone' : 'failed';
  control.state.note = leftDifferent(control.state.undoLog);
  control.publish();
  if (remaining.length > 0) throw undoIncomplete(remaining);
}

async function documentOfOne({ document, unit }: AloneInput, type: UnitType): Promise<NormalMigration> {
  const normal = await lightActivities().normalize({ document });
  const ofType = unitsOf(normal).filter((one) => parseUnitRef(one.unit)?.type === type);
  const [only, ...more] = ofType.filter((one) => unit === undefined || one.unit === unit);
  if (only === undefined) throw invalid(`there is no unit ${unit ?? `of ${type}`} in the specification`);
  if (more.length > 0) {
    throw invalid(`the specification has ${ofType.length} units of ${type}: name the one that is meant as \`unit\``);
  }
  return normalOfOne(normal, only.unit);
}

/** The same migration with one unit only, for a phase of it. */
export function normalOfOne(normal: NormalMigration, unit: UnitRef): NormalMigration {
  const only = <U extends { unit: UnitRef }>(units: U[]): U[] =>
    units.filter((one) => one.unit === unit).map((one) => ({ ...one, dependsOn: [] }));
  const gates = normal.gates.filter((gate) => gate.unit === null || gate.unit === unit);
  const { traffic: all = [], ...rest } = normal;
  const traffic = only(all);
  return { ...rest, gates, databases: only(normal.databases), ...(traffic.length === 0 ? {} : { traffic }) };
}

async function passOwnGate({ control, unit }: UnitPhase, stage: Stage): Promise<void> {
  const gate = gateOf(control.state.normal?.gates ?? [], stage, unit.unit);
  if (gate === null) return;
  control.reach([gate]);
  await control.waitFor(() => control.passed([gate]));
}

export function moveOf(migration: string, databases: NormalMigration['databases'], unit: UnitRef): DatabaseMove {
  const database = databases.find((one) => one.unit === unit);
  if (database === undefined) throw invalid(`there is no unit ${unit} in the specification`);
  return { migration, key: scopeKey(migration, database.name), database };
}

export function trafficMoveOf(migration: string, normal: NormalMigration, unit: UnitRef): TrafficMove {
  const traffic = normal.traffic?.find((one) => one.unit === unit);
  if (traffic === undefined) throw invalid(`there is no unit ${unit} in the specification`);
  return { migration, key: scopeKey(migration, unit), traffic };
}

export function normalOf({ state }: { state: MigrationState }): NormalMigration {
  if (state.normal === null) throw invalid('the specification has not been read');
  return state.normal;
}

export function databasesOf(normal: NormalMigration | null): NormalMigration['databases'] {
  return normal?.databases ?? [];
}

export function aborted(child: boolean): ApplicationFailure {
  const message = child
    ? 'aborted; its migration decides what is undone'
    : 'aborted; what this phase had done is undone';
  return ApplicationFailure.create({ type: 'Aborted', message, nonRetryable: true });
}

export function invalid(message: string): ApplicationFailure {
  return ApplicationFailure.create({ type: 'InvalidSpec', message, nonRetryable: true });
}
