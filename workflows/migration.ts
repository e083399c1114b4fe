/**
 * The whole way of a migration: prepare, switch, watch, finalize over all its units, and back from anywhere before the
 * last. Signals, updates, states: see control.ts. Input: the document itself, or
 *
 *     { document, planDigest? }                        bound to a plan that was read
 *     { carry: <answer of `state`>, then: 'rollback' | 'abort' }   brings a terminated or failed migration back
 *
 * Start the latter under the same workflow id: what it made in the databases is found by that.
 */
import { allHandlersFinished, condition, continueAsNew, patched, workflowInfo } from '@temporalio/workflow';
import type { Finding } from '../spec/findings.js';
import { STAGES, type Stage } from '../spec/units.js';
import { Control, now } from './control.js';
import { cutover } from './cutover.js';
import { finalize } from './finalize.js';
import { initialSync } from './initialSync.js';
import { findings, wholePlan } from './inspection.js';
import { Interrupted } from './interrupted.js';
import { invalid, normalOf } from './phase.js';
import { describe, isFailureOfStep } from './problem.js';
import { onTrial } from './probation.js';
import { bulkActivities, lightActivities, switchActivities } from './proxies.js';
import { waitRehearsing } from './rehearsal.js';
import { replicationSetup } from './replicationSetup.js';
import { Lookouts } from './lookouts.js';
import { rollback } from './rollback.js';
import { rooted } from './rooted.js';
import { brokenRules, unprovenRules } from './rules.js';
import { leftDifferent, ofDatabase, Saga, undoIncomplete } from './saga.js';
import {
  adopt,
  newState,
  NOT_SWITCHED,
  upcast,
  WATCH_AFRESH,
  type Interrupt,
  type MigrationState,
  type UnitProgress,
} from './state.js';
import { finalizeTraffic, prepareTraffic, rollTrafficBack, shiftTraffic, trafficAfterUndo } from './traffic-stages.js';
import { atOnce, child, enter, failed, gatesOf, isTraffic, moveOfUnit, overUnits, type Trip } from './trip.js';
import { validation } from './validation.js';
import { refreshAfterwards } from './views.js';
import { watchedLongEnough, watchUntil } from './watching.js';

export interface MigrationResult {
  state: 'migrated' | 'undone';
  migration: string;
  name: string;
}

export async function migration(input: unknown): Promise<MigrationResult> {
  const { state, document, then } = beginningOf(input);
  const control = new Control(state, 'migration');
  const trip: Trip = { control, saga: new Saga(control), state, lookouts: null };
  return rooted(control, async () => {
    let toBringBack = then;
    for (;;) {
      try {
        if (toBringBack !== null && state.interrupt === null) {
          await settleAll(trip);
          state.interrupt = { kind: toBringBack, by: null, reason: 'brought back' };
          toBringBack = null;
        }
        switch (state.interrupt?.kind) {
          case 'abort':
            return await undoEverything(trip);
          case 'rollback':
            await rollBack(trip);
            break;
          case undefined:
            await goForward(trip, document);
            return await end(trip, 'migrated');
        }
      } catch (error) {
        // Someone wants to go back: nothing runs any more, so the next turn of the loop does as asked.
        if (!(error instanceof Interrupted)) throw error;
      }
    }
  });
}

// ── forward ──

/** Units that an earlier run has prepared, or a rollback brought back. */
function lookAfterPrepared(trip: Trip): void {
  for (const unit of trip.state.units) {
    if (unit.prepared && unit.primary === 'source' && !isTraffic(unit)) post(trip, unit);
  }
}

function post(trip: Trip, unit: UnitProgress): void {
  if (trip.lookouts === null && !patched('lookouts')) return;
  trip.lookouts ??= new Lookouts(trip);
  trip.lookouts.post(unit);
}

async function goForward(trip: Trip, document: unknown): Promise<void> {
  lookAfterPrepared(trip);
  await awaitSwitchAgain(trip);
  await stage(trip, 'preflight', () => inspect(trip, document));
  await stage(trip, 'prepare', () => overUnits(trip, 'forward', trip.state.units, (unit) => prepare(trip, unit)));
  await stage(trip, 'switch', () => overUnits(trip, 'forward', trip.state.units, (unit) => switchOver(trip, unit)));
  await stage(trip, 'watch', () => watch(trip));
  await stage(trip, 'finalize', () => finalizeAll(trip));
}

async function stage(trip: Trip, name: Stage | 'preflight', run: () => Promise<void>): Promise<void> {
  const { control, state } = trip;
  if (state.stage !== name) return;
  await run();
  state.stage = STAGES[name === 'preflight' ? 0 : STAGES.indexOf(name) + 1] ?? name;
  await control.checkpoint();
  await continueIfLong(trip);
}

/** After a rollback: until someone says `switch`; its gates ask again. */
async function awaitSwitchAgain(trip: Trip): Promise<void> {
  await waitRehearsing(trip, () => !trip.state.rolledBack);
}

async function inspect(trip: Trip, document: unknown): Promise<void> {
  const { control, state } = trip;
  await control.attempt(null, () => control.step(() => lightActivities().checkNamespace()));
  state.namespaceChecked = true;
  if (state.normal === null) await readDocument(trip, document);
  await control.attempt(null, async () => {
    for (const unit of state.units) Object.assign(unit, { phase: 'preflight', state: 'running' });
    state.findings = await findings(control);
    refuseErrors(state.findings);
    for (const unit of state.units) unit.phase = 'plan';
    const { digest } = await wholePlan(control, normalOf(trip));
    if (state.wantedDigest !== null && digest !== state.wantedDigest) {
      throw failed(
        'PlanChanged',
        `the plan that was approved is ${state.wantedDigest}, and what is found now gives ${digest}`,
      );
    }
    state.planDigest = digest;
  });
}

/** The one thing that fails the workflow at once: no `retry` mends a document, and nothing has been done. */
async function readDocument({ control, state }: Trip, document: unknown): Promise<void> {
  try {
    adopt(state, await control.step(() => lightActivities().normalize({ document })));
  } catch (error) {
    if (!isFailureOfStep(error)) throw error;
    const { type, message } = describe(error);
    Object.assign(state, { ended: 'failed', note: message });
    control.publish();
    throw failed(type, message);
  }
}

function refuseErrors(found: Finding[]): void {
  const errors = found.filter(({ severity }) => severity === 'error');
  if (errors.length === 0) return;
  const titles = errors.map(({ unit, title }) => `${unit}: ${title}`).join('; ');
  throw failed('PreflightFailed', `preflight found ${errors.length} in the way: ${titles}`);
}

async function prepare(trip: Trip, unit: UnitProgress): Promise<void> {
  const { control, saga } = trip;
  if (unit.prepared) return;
  await passGate(trip, 'prepare', unit);
  if (isTraffic(unit)) return prepareTraffic(trip, unit);
  enter(trip, unit, 'prepare', 'replicationSetup');

  saga.record(ofDatabase(moveOfUnit(trip, unit)), 'claim', 'prepareSchema', 'installFence', 'createPublication');
  await control.attempt(unit, () => child(trip, unit, replicationSetup));

  post(trip, unit);

  saga.record(ofDatabase(moveOfUnit(trip, unit)), 'initialSync');
  await control.attempt(unit, () => synced(trip, unit));

  await control.attempt(unit, () => provenEqual(trip, unit));
  Object.assign(unit, { prepared: true, state: 'done', remedyNow: false });
  control.touched();
}

async function synced(trip: Trip, unit: UnitProgress): Promise<void> {
  for (;;) {
    try {
      const { sync, lagMs } = await child(trip, unit, initialSync);
      Object.assign(unit, { sync, lagMs, stale: 'no' });
      return;
    } catch (error) {
      if (!isFailureOfStep(error) || !wasStopped(trip, error)) throw error;
      await trip.control.waitFor(() => unit.alarm === null);
    }
  }
}

/** By the lookout, since its slot is gone: what that found holds, and `retry` begins anew. */
function wasStopped({ control, lookouts }: Trip, error: unknown): boolean {
  return lookouts !== null && control.state.interrupt === null && describe(error).type === 'Aborted';
}

/** What was prepared no longer holds: a person has agreed to a new sync, or to tables that have changed. */
async function prepareAgain(trip: Trip, unit: UnitProgress): Promise<void> {
  const { control } = trip;
  unit.state = 'running';
  if (unit.stale === 'resync') await control.attempt(unit, () => synced(trip, unit));
  await control.attempt(unit, () => provenEqual(trip, unit));
  unit.state = 'done';
  control.touched();
}

const isStale = ({ stale, alarm }: UnitProgress): boolean => stale !== 'no' && alarm === null;

async function provenEqual(trip: Trip, unit: UnitProgress): Promise<void> {
  if (unit.stale === 'revalidate') unit.stale = 'no';
  const certificate = await child(trip, unit, validation);
  unit.certificate = certificate;
  const { verdict, id, differences } = certificate;
  const inTheWay = {
    equal: brokenRules(certificate) ?? unprovenRules(certificate),
    different: `validation ${id} found ${differences} rows that differ`,
    incomplete: `validation ${id} could not compare everything, which proves nothing`,
  }[verdict];
  if (inTheWay !== null) throw failed('ValidationDiffers', inTheWay);
}

async function switchOver(trip: Trip, unit: UnitProgress): Promise<void> {
  const { control, saga } = trip;
  if (unit.primary === 'target') return onTrial(trip, unit);
  await passSwitchGate(trip, unit);
  if (isTraffic(unit)) return shiftTraffic(trip, unit);

  saga.record(ofDatabase(moveOfUnit(trip, unit)), 'switchWrites');
  unit.switchBegan = true;
  enter(trip, unit, 'switch', 'cutover');
  const { figures } = await control.attempt(unit, async () => {
    if (unit.remedyNow) await takeShape(trip, unit);
    const attemptsBefore = unit.attempts;
    unit.attempts += moveOfUnit(trip, unit).database.cutover.attempts;
    return child(trip, unit, cutover, { attemptsBefore });
  });
  unit.attempts = figures.attempt;
  unit.switches.push(figures);
  Object.assign(unit, { primary: 'target', state: 'done' });
  Object.assign(unit, {
    ...NOT_SWITCHED,
    verdicts: [],
    switchedAt: Date.now(),
    pausedBefore: figures.pauseMs + MARGIN_MS,
  });
  trip.lookouts?.recall(unit);
  control.touched();
  await refreshAfterwards(trip, unit, 'target');
  await onTrial(trip, unit);
}

/** Before and after the pause, requests that waited for it. */
const MARGIN_MS = 5_000;

/** Approvals alone don't open it: what the lookout has found holds, and what was prepared must still be so. */
async function passSwitchGate(trip: Trip, unit: UnitProgress): Promise<void> {
  const gates = gatesOf(trip, 'switch', [unit]);
  trip.control.reach(gates);
  for (;;) {
    await waitRehearsing(trip, () => isStale(unit) || (unit.alarm === null && trip.control.passed(gates)));
    if (!isStale(unit)) return;
    await prepareAgain(trip, unit);
  }
}

/** After DDL that the switch itself met: `retry` says that the tables are right as they are now, on both sides. */
async function takeShape(trip: Trip, unit: UnitProgress): Promise<void> {
  unit.remedyNow = false;
  if (!patched('takes-shape')) return;
  const move = moveOfUnit(trip, unit);
  const partitions = await bulkActivities(move.database.taskQueues).adoptPartitions(move);
  const shape = await lightActivities(move.database.taskQueues.light).adoptShape(move);
  if (partitions.adopted > 0 || shape.adopted) await provenEqual(trip, unit);
}

async function watch(trip: Trip): Promise<void> {
  for (const unit of trip.state.units) enter(trip, unit, 'watch', 'watch');
  await watchUntil(
    trip,
    () => watchedLongEnough(trip),
    () => continueIfLong(trip),
  );
}

/** All gates before any unit: this stage has no way back, and it is all of them or none. */
async function finalizeAll(trip: Trip): Promise<void> {
  const { control, state } = trip;
  const gates = gatesOf(trip, 'finalize', state.units);
  control.reach(gates);
  // People may take days: the way back is open meanwhile, so it is looked after.
  await watchUntil(
    trip,
    () => state.finalizing || (watchedLongEnough(trip) && control.passed(gates)),
    () => continueIfLong(trip),
  );
  await control.checkpoint();
  state.finalizing = true;
  await overUnits(trip, 'forward', state.units, async (unit) => {
    enter(trip, unit, 'finalize', 'finalize');
    await control.attempt(unit, async () => {
      if (isTraffic(unit)) await finalizeTraffic(trip, unit);
      else await child(trip, unit, finalize);
    });
    unit.state = 'done';
    control.touched();
  });
}

async function passGate(trip: Trip, name: Stage, unit: UnitProgress): Promise<void> {
  const gates = gatesOf(trip, name, [unit]);
  trip.control.reach(gates);
  await waitRehearsing(trip, () => trip.control.passed(gates));
}

// ── back ──

/** Moves the writes of every switched unit back, the last one first, and then waits as `rolled-back`. */
async function rollBack(trip: Trip): Promise<void> {
  const { control, state } = trip;
  trip.lookouts?.endAll();
  const urgent = state.interrupt?.urgent === true;
  control.begin('rollback');
  const switched = state.units.filter(({ switchBegan }) => switchBegan);
  await overUnits(trip, 'back', switched, async (unit) => {
    enter(trip, unit, 'switch', 'rollback');
    if (isTraffic(unit)) return rollTrafficBack(trip, unit, urgent);
    const { figures } = await control.attempt(unit, () => child(trip, unit, rollback));
    if (figures !== null) unit.switches.push(figures);
    const gone = { primary: 'source', switchBegan: false, state: 'pending', phase: 'rolled-back' } as const;
    Object.assign(unit, { ...gone, ...WATCH_AFRESH });
    control.touched();
    if (figures !== null) await refreshAfterwards(trip, unit, 'source');
  });
  control.consumeApprovals();
  Object.assign(state, { undoing: 'nothing', rolledBack: true, stage: 'switch' });
  control.touched();
}

async function undoEverything(trip: Trip): Promise<MigrationResult> {
  const { control, saga, state } = trip;
  control.begin('abort');
  trip.lookouts?.endAll();
  const switched = state.units.filter((unit) => unit.primary === 'target' && !isTraffic(unit));
  const remaining = await saga.undo();
  for (const unit of state.units) {
    const left = remaining.some((entry) => entry.unit === unit.unit);
    Object.assign(unit, left ? { state: 'failed' } : { state: 'undone', primary: 'source' });
    if (!left && switched.includes(unit)) await refreshAfterwards(trip, unit, 'source');
    if (unit.traffic !== undefined) Object.assign(unit.traffic, trafficAfterUndo(unit.unit, state.undoLog));
  }
  if (remaining.length === 0) {
    state.note = leftDifferent(state.undoLog);
    return end(trip, 'undone');
  }
  Object.assign(state, { ended: 'failed', note: undoIncomplete(remaining).message });
  control.publish();
  throw undoIncomplete(remaining);
}

async function end({ control, state }: Trip, ended: MigrationResult['state']): Promise<MigrationResult> {
  state.ended = ended;
  state.undoing = 'nothing';
  control.publish();
  await condition(allHandlersFinished);
  return { state: ended, migration: state.migration, name: state.normal?.name ?? '' };
}

/** What a terminated run left half-way is brought to one side or the other, before anything else is done. */
async function settleAll(trip: Trip): Promise<void> {
  const { control, state } = trip;
  const touched = state.units.filter(({ unit }) => state.undoLog.some((entry) => entry.unit === unit));
  await atOnce(touched, async (unit) => {
    if (isTraffic(unit)) return;
    const move = moveOfUnit(trip, unit);
    const { primary } = await control.attempt(unit, () => switchActivities(move.database.taskQueues).settle(move));
    Object.assign(unit, { primary, switchBegan: primary === 'target' });
  });
}

// ── where a run begins and continues ──

/** Histories stay under 4,000 events: a look takes about a dozen, and a stage a few hundred a database. */
const LONG_HISTORY = 3_000;

/** Only where no child is open, since a new run would not hear from it. */
async function continueIfLong(trip: Trip): Promise<void> {
  const { control, state } = trip;
  const { historyLength, continueAsNewSuggested } = workflowInfo();
  if (control.childIsOpen || (historyLength < LONG_HISTORY && !continueAsNewSuggested)) return;
  trip.lookouts?.endAll();
  await condition(allHandlersFinished);
  await continueAsNew<typeof migration>({ carry: state });
}

interface Beginning {
  state: MigrationState;
  document: unknown;
  then: Interrupt['kind'] | null;
}

function beginningOf(input: unknown): Beginning {
  const { workflowId } = workflowInfo();
  if (typeof input === 'object' && input !== null && 'carry' in input) {
    return { ...carriedOn(input.carry, 'then' in input ? input.then : undefined), document: null };
  }
  const state = newState(workflowId, now());
  if (typeof input === 'object' && input !== null && 'document' in input && !('kind' in input)) {
    if ('planDigest' in input && typeof input.planDigest === 'string') state.wantedDigest = input.planDigest;
    return { state, document: input.document, then: null };
  }
  return { state, document: input, then: null };
}

function carriedOn(carry: unknown, then: unknown): Pick<Beginning, 'state' | 'then'> {
  const state = upcast(carry);
  if (state === null) throw invalid('`carry` is not what the query `state` of a migration answers');
  if (then === undefined) return { state: { ...state, ended: null }, then: null };
  if (then !== 'rollback' && then !== 'abort') throw invalid('`then` is either rollback or abort');
  if (then === 'rollback' && !mayBeSwitched(state))
    throw invalid('nothing had been switched: carry on with `then: abort`');
  if (state.finalizing) throw failed('NoWayBack', 'finalize had begun, which has no way back: carry on without `then`');
  Object.assign(state, { paused: false, interrupt: null, undoing: 'nothing', ended: null, note: null, problem: null });
  for (const unit of state.units) Object.assign(unit, { problem: null, note: null, phase: unit.stage });
  return { state, then };
}

function mayBeSwitched({ units, rolledBack, undoing }: MigrationState): boolean {
  return rolledBack || undoing === 'switch' || units.some(({ switchBegan }) => switchBegan);
}
