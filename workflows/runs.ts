/** What the workflows of a reconciliation have in common: its document made normal, the operator's hand, the end. */
import { ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import type { NormalReconciliation } from '../spec/reconciliation.js';
import type { RunStatus } from '../spec/status.js';
import { Control, now } from './control.js';
import { Interrupted } from './interrupted.js';
import { invalid } from './phase.js';
import { isFailureOfStep } from './problem.js';
import { lightActivities, readingActivities } from './proxies.js';
import { rooted } from './rooted.js';
import { newState, type MigrationState } from './state.js';

export interface Running {
  normal: NormalReconciliation;
  /** What fails for good waits for a person to retry; where nobody waits, it fails the workflow. */
  step: <T>(run: () => Promise<T>) => Promise<T>;
  /** What the status shows from here on. */
  tell: (change: Partial<RunStatus>) => void;
}

export interface RunKind {
  document: unknown;
  /** Of the run that compares or has compared. */
  run: string;
  /** Nobody waits for anybody: all later runs of a schedule would be skipped meanwhile. */
  unattended: boolean;
}

/** Pause, resume, abort and retry work as everywhere. There is nothing to undo: what was repaired has an undo of its own. */
export async function running<R>(
  { document, run, unattended }: RunKind,
  body: (running: Running) => Promise<R>,
): Promise<R> {
  const state = newState(workflowInfo().workflowId, now());
  const told: RunStatus = { run, reconciliation: '', level: null, step: 'reading', summary: null, repair: null };
  state.reconciliation = told;
  const control = new Control(state, 'reconciliation');
  return rooted(control, async () => {
    try {
      const normal = await control.step(() => readingActivities().normalizeReconciliation({ document }));
      told.reconciliation = normal.name;
      state.namespaceChecked = await hasSearchAttributes(control);
      const result = await body({
        normal,
        step: (step) => (unattended ? control.step(step) : control.attempt(null, () => control.step(step))),
        tell: (change) => {
          Object.assign(told, change);
          control.touched();
        },
      });
      end(control, 'done');
      return result;
    } catch (error) {
      if (error instanceof Interrupted) {
        end(control, 'aborted');
        throw aborted();
      }
      if (isFailureOfStep(error)) end(control, 'failed');
      throw error;
    }
  });
}

function end(control: Control, how: MigrationState['ended']): void {
  control.state.ended = how;
  control.state.interrupt = null;
  control.publish();
}

/** Of this execution alone, and easy to find again: its workflow's id, and what tells its executions apart. */
export function ownId(): string {
  const { workflowId, runId } = workflowInfo();
  // The beginning of a run id is its time, and the same for two that start within a minute.
  return `${workflowId}-${runId.slice(-12)}`;
}

/** `{document, …}`, or the document itself. */
export function givenIn(input: unknown): Record<string, unknown> {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw invalid('expected a document of kind Reconciliation, or {"document": …}, as input');
  }
  return 'kind' in input ? { document: input } : { ...input };
}

/** Where they aren't registered, a run does the same, and can't be searched for by its state. */
async function hasSearchAttributes(control: Control): Promise<boolean> {
  try {
    await control.step(() => lightActivities().checkNamespace());
    return true;
  } catch (error) {
    if (!isFailureOfStep(error)) throw error;
    return false;
  }
}

function aborted(): ApplicationFailure {
  const message = 'aborted. What was repaired before stays; godwit reconcile undo restores it';
  return ApplicationFailure.create({ type: 'Aborted', message, nonRetryable: true });
}
