/** What the stages of a migration share: the operator's hand, the undo log, and phases run as children. */
import { ApplicationFailure, ChildWorkflowCancellationType, startChild, workflowInfo } from '@temporalio/workflow';
import type { DatabaseMove } from '../activities/contract.js';
import type { TrafficMove } from '../activities/traffic-contract.js';
import type { FailureType } from '../spec/failures.js';
import { gateOf } from '../spec/approvals.js';
import { visitInOrder, type Direction } from '../spec/graph.js';
import { unitsOf, type NormalGate } from '../spec/normal.js';
import type { Stage } from '../spec/units.js';
import type { Control } from './control.js';
import type { Lookouts } from './lookouts.js';
import { moveOf, normalOf, normalOfOne, trafficMoveOf, type ChildInput } from './phase.js';
import type { Saga } from './saga.js';
import type { MigrationState, UnitProgress } from './state.js';

export interface Trip {
  control: Control;
  saga: Saga;
  state: MigrationState;
  /** Null in a run that began before there were any. */
  lookouts: Lookouts | null;
}

/** As the settings are now. */
export function moveOfUnit(trip: Trip, { unit }: UnitProgress): DatabaseMove {
  return moveOf(trip.state.migration, normalOf(trip).databases, unit);
}

export const isTraffic = ({ traffic }: UnitProgress): boolean => traffic !== undefined;

export function trafficMoveOfUnit(trip: Trip, { unit }: UnitProgress): TrafficMove {
  return trafficMoveOf(trip.state.migration, normalOf(trip), unit);
}

/** Visits units in dependency order, at once where the graph allows. Nothing runs any more when it throws. */
export async function overUnits(
  trip: Trip,
  direction: Direction,
  units: UnitProgress[],
  visit: (unit: UnitProgress) => Promise<void>,
): Promise<void> {
  const byRef = new Map(units.map((unit) => [unit.unit, unit]));
  const nodes = unitsOf(normalOf(trip)).filter(({ unit }) => byRef.has(unit));
  await visitInOrder(nodes, direction, async (ref) => {
    const unit = byRef.get(ref);
    if (unit !== undefined) await visit(unit);
  });
}

/** Visits units all at once. Nothing runs any more when it throws. */
export async function atOnce(units: UnitProgress[], visit: (unit: UnitProgress) => Promise<void>): Promise<void> {
  const outcomes = await Promise.allSettled(units.map(visit));
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

export function enter(trip: Trip, unit: UnitProgress, stage: Stage, phase: string): void {
  Object.assign(unit, { stage, phase, state: 'running' });
  trip.control.touched();
}

/** A phase as a child, which hears of pause and abort while it runs. Its id tells unit, phase and turn. */
export async function child<R, More extends object>(
  trip: Trip,
  unit: UnitProgress,
  workflow: (input: ChildInput & More) => Promise<R>,
  more?: More,
): Promise<R> {
  const { control, state } = trip;
  unit.phase = workflow.name;
  unit.children += 1;
  const workflowId = `${workflowInfo().workflowId}/${unit.unit}/${workflow.name}/${unit.children}`;
  const own = { migration: state.migration, normal: normalOfOne(normalOf(trip), unit.unit) };
  const input = { ...own, ...more } as ChildInput & More;
  const handle = await startChild(workflow, {
    workflowId,
    args: [input],
    // It is told by message, so that it can end what must not be cut short.
    cancellationType: ChildWorkflowCancellationType.ABANDON,
  });
  const open = {
    unit: unit.unit,
    phase: workflow.name,
    signal: (name: string, payload: unknown) => handle.signal(name, payload),
  };
  try {
    return await control.whileOpen(open, () => handle.result());
  } finally {
    unit.note = null;
    control.touched();
  }
}

export function gatesOf(trip: Trip, stage: Stage, units: UnitProgress[]): NormalGate[] {
  const gates = units.map(({ unit }) => gateOf(normalOf(trip).gates, stage, unit));
  return [...new Set(gates.filter((gate) => gate !== null))];
}

export function failed(type: FailureType, message: string): ApplicationFailure {
  return ApplicationFailure.create({ type, message, nonRetryable: true });
}
