/** A migration as it is now: what its workflow says, merged with the heartbeats of what runs at this moment. */
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import type { WorkflowExecutionDescription } from '@temporalio/client';
import { QUERIES } from '../spec/messages.js';
import type { Progress, StatusDocument, UnitStatus } from '../spec/status.js';
import type { Temporal } from './connection.js';
import { answered } from './worker-presence.js';

export interface ExecutionView {
  workflowId: string;
  runId: string;
  /** Temporal's own word: `RUNNING`, `COMPLETED`, `TERMINATED`, … */
  status: string;
  historyEvents: number;
  startedAt: string;
  closedAt: string | null;
}

/** An activity that runs, or waits for its next try. */
export interface PendingWork {
  workflowId: string;
  activity: string;
  attempt: number;
  progress: Progress | null;
  /** Why the try before failed. */
  lastFailure: string | null;
  /** When it is tried again; null while it runs. */
  nextAttemptAt: string | null;
}

export interface MigrationView {
  status: StatusDocument;
  execution: ExecutionView;
  pending: PendingWork[];
}

export function describe(temporal: Temporal, id: string, runId?: string): Promise<WorkflowExecutionDescription> {
  return temporal.client.workflow.getHandle(id, runId).describe();
}

/** Works for closed migrations, too. */
export async function viewMigration(temporal: Temporal, id: string): Promise<MigrationView> {
  const description = await describe(temporal, id);
  const handle = temporal.client.workflow.getHandle(id, description.runId);
  const [status, pending, shifts] = await Promise.all([
    answered(temporal, description.taskQueue, () => handle.query<StatusDocument>(QUERIES.status)),
    pendingWork(temporal, description),
    openShifts(temporal, description),
  ]);
  return { status: withShifts(status, shifts), execution: executionView(description), pending };
}

/** A migration hears of its shifts only what is news; figures of the last look they know themselves. */
async function openShifts(temporal: Temporal, { raw, taskQueue }: WorkflowExecutionDescription): Promise<UnitStatus[]> {
  const shifts = (raw.pendingChildren ?? []).filter(({ workflowTypeName }) => workflowTypeName === 'trafficShift');
  const asked = shifts.map(async ({ workflowId }) => {
    const handle = temporal.client.workflow.getHandle(workflowId ?? '');
    const ask = () => handle.query<StatusDocument>(QUERIES.status);
    // One that has just closed has told everything.
    return (await answered(temporal, taskQueue, ask).catch(() => null))?.units ?? [];
  });
  return (await Promise.all(asked)).flat();
}

function withShifts(status: StatusDocument, shifts: UnitStatus[]): StatusDocument {
  const units = status.units.map((unit) => {
    const traffic = shifts.find((one) => one.unit === unit.unit)?.traffic;
    return traffic === undefined ? unit : { ...unit, traffic };
  });
  return { ...status, units };
}

function executionView(description: WorkflowExecutionDescription): ExecutionView {
  return {
    workflowId: description.workflowId,
    runId: description.runId,
    status: description.status.name,
    historyEvents: description.historyLength,
    startedAt: description.startTime.toISOString(),
    closedAt: description.closeTime?.toISOString() ?? null,
  };
}

/** Of the workflow and, since phases are child workflows, of all below it. */
async function pendingWork(temporal: Temporal, description: WorkflowExecutionDescription): Promise<PendingWork[]> {
  const own = (description.raw.pendingActivities ?? []).map((activity): PendingWork => {
    const failed = activity.lastFailure;
    return {
      workflowId: description.workflowId,
      activity: activity.activityType?.name ?? 'unknown',
      attempt: activity.attempt ?? 1,
      progress: progressOf(activity.heartbeatDetails?.payloads ?? []),
      lastFailure: failed ? deepestMessage(failed) : null,
      nextAttemptAt: activity.nextAttemptScheduleTime
        ? new Date(Number(activity.nextAttemptScheduleTime.seconds ?? 0) * 1000).toISOString()
        : null,
    };
  });
  const children = await Promise.all(
    (description.raw.pendingChildren ?? []).map(async (child) => {
      if (!child.workflowId) return [];
      // One that closed between the two questions has nothing pending any longer.
      const below = await describe(temporal, child.workflowId, child.runId ?? undefined).catch(() => null);
      return below === null ? [] : pendingWork(temporal, below);
    }),
  );
  return [...own, ...children.flat()];
}

function deepestMessage(failure: { message?: string | null; cause?: unknown }): string {
  const cause = failure.cause as { message?: string | null; cause?: unknown } | null | undefined;
  return cause ? deepestMessage(cause) : (failure.message ?? '');
}

/** Null when the heartbeat holds something else: activities may keep what they like in it. */
function progressOf(payloads: Payload[]): Progress | null {
  const [first] = payloads;
  if (first === undefined) return null;
  try {
    const details: unknown = defaultPayloadConverter.fromPayload(first);
    return isProgress(details) ? details : null;
  } catch {
    return null;
  }
}

function isProgress(details: unknown): details is Progress {
  if (typeof details !== 'object' || details === null) return false;
  const { unit, done, total, bytesDone } = details as Partial<Progress>;
  return typeof unit === 'string' && [done, total, bytesDone].every((figure) => typeof figure === 'number');
}
