/**
 * Materialized views of a side that has just been opened. A workflow of its own, that its migration never waits for: a refresh
 * may take hours, and it goes on when the migration continues as new or ends. What can't be refreshed, its migration is told.
 */
import { getExternalWorkflowHandle } from '@temporalio/workflow';
import type { RefreshInput, RefreshOutcome } from '../activities/contract.js';
import { describe, isFailureOfStep } from './problem.js';
import { bulkActivities } from './proxies.js';
import { viewsSignal } from './views-messages.js';

export interface RefreshViewsInput extends RefreshInput {
  /** Workflow id of the migration. */
  parent: string;
}

export async function refreshViews({ parent, ...input }: RefreshViewsInput): Promise<RefreshOutcome> {
  const { unit, taskQueues } = input.move.database;
  const outcome = await refresh();
  // A migration that has ended can't be told any more; what failed is the answer of this workflow, too.
  await getExternalWorkflowHandle(parent)
    .signal(viewsSignal, { unit, side: input.side, failed: outcome.failed })
    .catch(() => undefined);
  return outcome;

  async function refresh(): Promise<RefreshOutcome> {
    try {
      return await bulkActivities(taskQueues).refreshViews(input);
    } catch (error) {
      if (!isFailureOfStep(error)) throw error;
      return { refreshed: 0, failed: [describe(error).message] };
    }
  }
}
