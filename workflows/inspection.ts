/** Reading only: what preflight and plan find, for their own workflows and for the first stage of a migration. */
import type { DatabaseMove } from '../activities/contract.js';
import type { TrafficMove } from '../activities/traffic-contract.js';
import type { Finding } from '../spec/findings.js';
import type { Platform, SideGrants } from '../spec/grants.js';
import type { NormalMigration } from '../spec/normal.js';
import type { Plan } from '../spec/plan.js';
import type { Control } from './control.js';
import { databasesOf, moveOf, trafficMoveOf } from './phase.js';
import { lightActivities, trafficActivities } from './proxies.js';

/** What stands in the way, of every database and of the workers that will move it. */
export async function findings(control: Control): Promise<Finding[]> {
  const found = await Promise.all(
    moves(control).map((move) =>
      control.step(async () => {
        const { light } = move.database.taskQueues;
        const { migration, database } = move;
        return Promise.all([
          lightActivities(light).preflightDatabase(move),
          lightActivities().preflightWorkers({ migration, unit: database.unit, queues: database.taskQueues }),
        ]);
      }),
    ),
  );
  const ofTraffic = await Promise.all(trafficMoves(control).map((move) => findingsOfTraffic(control, move)));
  return [...found.flat(2), ...ofTraffic.flat()];
}

/** The workers first: where nobody polls the unit's queue, nobody would look at its traffic either. */
async function findingsOfTraffic(control: Control, move: TrafficMove): Promise<Finding[]> {
  const { unit, taskQueue } = move.traffic;
  const queues = { light: taskQueue, bulk: taskQueue, snapshot: taskQueue, switch: taskQueue };
  const { migration } = move;
  const ofWorkers = await control.step(() => lightActivities().preflightWorkers({ migration, unit, queues }));
  if (ofWorkers.some(({ severity }) => severity === 'error')) return ofWorkers;
  return [...ofWorkers, ...(await control.step(() => trafficActivities(taskQueue).preflightTraffic(move)))];
}

export async function wholePlan(control: Control, normal: NormalMigration): Promise<Plan> {
  const parts = await Promise.all(
    moves(control).map((move) =>
      control.step(() => lightActivities(move.database.taskQueues.light).planDatabase(move)),
    ),
  );
  const ofTraffic = await Promise.all(
    trafficMoves(control).map((move) =>
      control.step(() => trafficActivities(move.traffic.taskQueue).planTraffic(move)),
    ),
  );
  return control.step(() => lightActivities().assemblePlan({ normal, parts: [...parts, ...ofTraffic] }));
}

/** What an administrator runs, for every side of every database. */
export async function sideGrants(control: Control, platform: Platform | null): Promise<SideGrants[]> {
  const made = await Promise.all(
    moves(control).map((move) =>
      control.step(() => lightActivities(move.database.taskQueues.light).grantsDatabase({ move, platform })),
    ),
  );
  return made.flat();
}

function moves({ state }: Control): DatabaseMove[] {
  const databases = databasesOf(state.normal);
  return databases.map(({ unit }) => moveOf(state.migration, databases, unit));
}

function trafficMoves({ state }: Control): TrafficMove[] {
  const { normal, migration } = state;
  return normal?.traffic?.map(({ unit }) => trafficMoveOf(migration, normal, unit)) ?? [];
}
