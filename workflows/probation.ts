/** What metrics say of a database that has switched: its first minutes on trial, and the days after them. */
import type { NormalMetricGate } from '../spec/gates.js';
import { BASELINE_WINDOW } from '../spec/gates.js';
import type { Milliseconds, NormalProbation } from '../spec/normal.js';
import { seen } from '../spec/recent.js';
import { consequenceOf, type GateVerdict, type JudgeAnswer } from '../spec/verdict.js';
import { now } from './control.js';
import { Interrupted } from './interrupted.js';
import { describe, isFailureOfStep } from './problem.js';
import { lightActivities } from './proxies.js';
import type { UnitProgress } from './state.js';
import { enter, moveOfUnit, type Trip } from './trip.js';
import { normalOf } from './phase.js';

/** Longer than its trial, this long, nobody could tell how users fare; then a person is asked, and no timer runs. */
const PATIENCE: Milliseconds = 10 * 60_000;

/**
 * Until the gates have been seen to hold for as long as the specification says. A breach sends the writes back by
 * itself. Time in which nothing could be seen isn't counted, since no evidence is not good evidence.
 */
export async function onTrial(trip: Trip, unit: UnitProgress): Promise<void> {
  const { control } = trip;
  if (timeLeft(trip, unit) === 0) return;
  enter(trip, unit, 'switch', 'probation');
  let wasWell = false;
  let spent = 0;
  for (;;) {
    const probation = probationOf(trip, unit);
    if (probation === null || timeLeft(trip, unit) === 0) break;
    const slept = await control.doze(Math.max(1, Math.min(probation.every, timeLeft(trip, unit))));
    spent += slept;
    const well = await areWell(trip, unit, probation.gates, 'cutover.probation');
    if (well) unit.note = null;
    if (well && wasWell) unit.onTrial += slept;
    wasWell = well;
    await control.checkpoint();
    if (spent <= probation.for + PATIENCE) continue;
    unit.problem ??= unproven(unit);
    await control.waitFor(() => unit.problem === null);
    spent = 0;
  }
  Object.assign(unit, { note: null, state: 'done', problem: null });
  control.touched();
}

function timeLeft(trip: Trip, unit: UnitProgress): Milliseconds {
  return Math.max(0, (probationOf(trip, unit)?.for ?? 0) - unit.onTrial);
}

function probationOf(trip: Trip, unit: UnitProgress): NormalProbation | null {
  return moveOfUnit(trip, unit).database.cutover.probation ?? null;
}

/** Whether all gates pass. One that fails goes back, or holds, as it says; `by`: on whose behalf. */
export async function areWell(
  trip: Trip,
  unit: UnitProgress,
  gates: readonly NormalMetricGate[],
  by: string,
): Promise<boolean> {
  if (gates.length === 0) return true;
  const answer = await judged(trip, unit, gates);
  if (answer === null) return false;
  if (answer.overall === 'pass') {
    if (unit.problem?.type === 'GateFailed') unit.problem = null;
    return true;
  }
  const message = inWords(answer.gates);
  const consequence = consequenceOf(answer.gates);
  if (consequence === null) unit.note = `how users fare is not proven: ${message}`;
  // Without a way back, going back would lose what was acknowledged since.
  else if (consequence === 'undo' && unit.wayBack === 'open') trip.control.goBack(by, message);
  else unit.problem ??= { type: 'GateFailed', message, next: NEXT, at: now() };
  return false;
}

const NEXT =
  'The target takes the writes. It goes on by itself once a look finds it well; or `rollback` moves the writes back';

/** Null: nobody could be asked. */
async function judged(trip: Trip, unit: UnitProgress, gates: readonly NormalMetricGate[]): Promise<JudgeAnswer | null> {
  const { database } = moveOfUnit(trip, unit);
  const asked = new Set(gates.map(({ provider }) => provider));
  const providers = (normalOf(trip).metrics ?? []).filter(({ name }) => asked.has(name));
  try {
    const answer = await trip.control.step(() => {
      const at = Date.now();
      const since = unit.switchedAt ?? at;
      const before = since - unit.pausedBefore;
      return lightActivities(database.taskQueues.light).judge({
        migration: trip.state.migration,
        unit: unit.unit,
        gates: [...gates],
        providers,
        subject: { green: { labels: {} }, blue: null },
        at,
        since,
        baseline: { from: before - BASELINE_WINDOW, to: before },
        state: unit.judge,
      });
    });
    Object.assign(unit, {
      judge: answer.state,
      verdicts: answer.gates,
      recent: seen(unit.recent, answer.gates, gates),
    });
    trip.control.touched();
    return answer;
  } catch (error) {
    if (error instanceof Interrupted || !isFailureOfStep(error)) throw error;
    unit.note = `could not be judged: ${describe(error).message}`;
    return null;
  }
}

/** What doesn't pass, the failures first. */
function inWords(verdicts: readonly GateVerdict[]): string {
  const failed = verdicts.filter(({ decision }) => decision === 'fail');
  const said = failed.length > 0 ? failed : verdicts.filter(({ decision }) => decision === 'hold');
  return said.map(({ gate, explanation }) => `${gate}: ${explanation}`).join('; ');
}

function unproven({ verdicts }: UnitProgress): NonNullable<UnitProgress['problem']> {
  const message = `how users fare after the switch could not be proven: ${inWords(verdicts)}`;
  const next =
    'The target takes the writes, and the way back is open. `retry` looks again; `set databases.NAME.cutover.probation.for=0s` and `retry` goes on without proof; or `rollback`';
  return { type: 'GateFailed', message, next, at: now() };
}
