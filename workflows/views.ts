/** Has the materialized views of a side refreshed that has just been opened. */
import {
  ChildWorkflowCancellationType,
  ParentClosePolicy,
  patched,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import type { Primary } from '../spec/status.js';
import { isFailureOfStep } from './problem.js';
import { refreshViews } from './refreshViews.js';
import type { UnitProgress } from './state.js';
import { moveOfUnit, type Trip } from './trip.js';

/** Returns once that has begun. It is never waited for, and whatever becomes of it fails nothing. */
export async function refreshAfterwards(trip: Trip, unit: UnitProgress, side: Primary): Promise<void> {
  unit.staleViews = null;
  if (!patched('refreshes-views')) return;
  unit.children += 1;
  const parent = workflowInfo().workflowId;
  try {
    await startChild(refreshViews, {
      workflowId: `${parent}/${unit.unit}/${refreshViews.name}/${unit.children}`,
      args: [{ move: moveOfUnit(trip, unit), side, parent }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      cancellationType: ChildWorkflowCancellationType.ABANDON,
    });
  } catch (error) {
    if (!isFailureOfStep(error)) throw error;
  }
}
