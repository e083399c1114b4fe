/** A model of what the activities of a reconciliation do, for tests of control flow: nothing is compared. */
import { CancelledFailure } from '@temporalio/activity';
import { cancellation, heartbeat } from '../../activities/activity-context.js';
import { failure } from '../../activities/failure.js';
import { normalizeReconciliation } from '../../activities/normalize.js';
import type {
  ReconcileRun,
  ReconciliationActivities,
  ReconciliationActivityName,
  RepairRun,
} from '../../activities/reconciliation-contract.js';
import type { FailureType } from '../../spec/failures.js';
import type { FindingCount, NormalReconciliation, RepairSummary, RunSummary } from '../../spec/reconciliation.js';

export type RunActivities = ReconciliationActivities & { checkNamespace(): Promise<void> };

interface Call {
  activity: ReconciliationActivityName;
  input: unknown;
}

interface Lever {
  activity: ReconciliationActivityName;
  act: () => unknown;
}

export class ModelReconciliation {
  readonly calls: Call[] = [];
  /** What the next runs find. */
  found: FindingCount[] = [];
  /** Of what is found: what one repair mends. */
  mends = 0;
  /** Name of a run that goes on: of two runs one is skipped, as the databases' lock has it. */
  going: string | null = null;
  #levers: Lever[] = [];
  #running = 0;

  /** @param queues where the workers of the test are */
  constructor(readonly queues: NormalReconciliation['taskQueues']) {}

  runs(): ReconcileRun[] {
    return this.calls.flatMap(({ activity, input }) => (activity === 'reconcile' ? [input as ReconcileRun] : []));
  }

  repairs(): RepairRun[] {
    return this.calls.flatMap(({ activity, input }) => (activity === 'repair' ? [input as RepairRun] : []));
  }

  get running(): number {
    return this.#running;
  }

  fail(activity: ReconciliationActivityName, type: FailureType, message: string): void {
    this.#levers.push({
      activity,
      act: () => {
        throw failure(type, message);
      },
    });
  }

  /** The next call runs until it is released or cancelled; it heartbeats that a third is done. */
  hold(activity: ReconciliationActivityName): { reached: Promise<void>; release: () => void } {
    let reach = (): void => undefined;
    let release = (): void => undefined;
    const reached = new Promise<void>((resolve) => (reach = resolve));
    const released = new Promise<void>((resolve) => (release = resolve));
    const act = async (): Promise<void> => {
      heartbeat({
        unit: 'database/shop',
        phase: 'comparing',
        what: 'tables',
        done: 1,
        total: 3,
        bytesDone: 0,
        bytesTotal: 0,
        bytesPerSecond: 0,
        detail: 'shop.orders',
      });
      reach();
      await Promise.race([released, cancelled()]);
    };
    this.#levers.push({ activity, act });
    return { reached, release };
  }

  readonly activities: RunActivities = {
    checkNamespace: () => Promise.resolve(),
    normalizeReconciliation: async (input) => {
      const normal = await normalizeReconciliation(input);
      return { ...normal, taskQueues: this.queues };
    },
    reconcile: (run) => this.#run('reconcile', run, () => this.#compare(run)),
    repair: (run) =>
      this.#run('repair', run, (): RepairSummary => {
        return { ...REPAIRED, repair: run.repair, run: run.run, updated: this.mends };
      }),
    undoRepair: (undone) =>
      this.#run('undoRepair', undone, (): RepairSummary => {
        return { ...REPAIRED, repair: undone.repair, run: 'the-run', outcome: 'undone', updated: this.mends };
      }),
    forgetReconciliation: (input) => this.#run('forgetReconciliation', input, () => undefined),
  };

  #compare({ run, normal, level }: ReconcileRun): RunSummary {
    const remaining = this.found.reduce((sum, { count }) => sum + count, 0);
    const skipped = this.going !== null && this.going !== run;
    return {
      run,
      reconciliation: normal.name,
      level,
      outcome: skipped ? 'skipped' : 'done',
      why: skipped ? `the run ${this.going ?? ''} goes on` : null,
      verdict: remaining === 0 ? 'equal' : 'different',
      primary: normal.primary,
      incremental: false,
      lsn: skipped ? null : '0/1',
      at: new Date().toISOString(),
      tookMs: 1,
      tables: skipped ? 0 : 3,
      tablesNotCompared: 0,
      rows: skipped ? 0 : 30,
      bytes: skipped ? 0 : 3_000,
      late: 0,
      suspects: 0,
      found: skipped ? [] : this.found,
      repaired: 0,
      queued: skipped ? 0 : remaining,
      remaining: skipped ? 0 : remaining,
      certificate: skipped ? null : `certificate-of-${run}`,
    };
  }

  async #run<T>(activity: ReconciliationActivityName, input: unknown, step: () => T): Promise<T> {
    this.calls.push({ activity, input });
    this.#running += 1;
    try {
      const at = this.#levers.findIndex((lever) => lever.activity === activity);
      const [lever] = at < 0 ? [] : this.#levers.splice(at, 1);
      await lever?.act();
      return step();
    } finally {
      this.#running -= 1;
    }
  }
}

const REPAIRED: RepairSummary = {
  repair: '',
  run: '',
  outcome: 'done',
  inserted: 0,
  updated: 0,
  deleted: 0,
  refused: 0,
  unneeded: 0,
  tookMs: 1,
};

export const finding = (change: Partial<FindingCount> = {}): FindingCount => {
  return { kind: 'changed', severity: 'medium', schema: 'shop', table: 'orders', count: 1, ...change };
};

/** Rejects as an activity that was told to stop does. */
async function cancelled(): Promise<never> {
  const signal = cancellation();
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  throw new CancelledFailure('CANCELLED');
}
