/** Schedules of reconciliations, as Temporal keeps them: those that `godwit schedule create` made, and any other that starts one. */
import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type ScheduleDescription,
  type ScheduleHandle,
  type ScheduleOptions,
  type ScheduleSummary,
} from '@temporalio/client';
import { formatDuration } from '../spec/duration.js';
import type { Milliseconds } from '../spec/normal.js';
import type { NormalReconciliation, NormalSchedule } from '../spec/reconciliation.js';
import type { Temporal } from './connection.js';
import { CliError } from './errors.js';
import { memoOf, nameIn, outcomeOf, type ListedRun } from './runs.js';

/** The workflow that they start. */
const WORKFLOW = 'reconciliation';

export type Overlap = 'skip' | 'buffer-one' | 'buffer-all';

const POLICIES: Record<Overlap, ScheduleOverlapPolicy> = {
  skip: ScheduleOverlapPolicy.SKIP,
  'buffer-one': ScheduleOverlapPolicy.BUFFER_ONE,
  'buffer-all': ScheduleOverlapPolicy.BUFFER_ALL,
};

export interface ListedSchedule {
  id: string;
  /** Null: not made by `godwit schedule create`. */
  reconciliation: string | null;
  paused: boolean;
  /** Said when it was paused or resumed. */
  note: string | null;
  nextAt: string | null;
  last: ScheduledRun | null;
}

export interface ScheduledRun extends Omit<ListedRun, 'level' | 'run' | 'state'> {
  /** When the schedule said; the start is later by the jitter, and by what it waited. */
  scheduledAt: string;
}

export interface ShownSchedule extends Omit<ListedSchedule, 'last' | 'nextAt'> {
  /** In words: `every 15m`, `at 0 2 * * *`. */
  rhythm: string[];
  timeZone: string;
  jitter: string | null;
  overlap: string;
  catchUpWindow: Milliseconds;
  next: string[];
  /** Newest first. */
  runs: ScheduledRun[];
  /** All that there ever were. */
  counts: { started: number; skipped: number; missed: number };
}

export interface Created {
  id: string;
  level: NormalSchedule['level'];
  /** `updated`: it was there. */
  outcome: 'created' | 'updated';
  paused: boolean;
}

/** `NAME-RHYTHM`. */
export const scheduleId = (normal: NormalReconciliation, { name }: NormalSchedule): string => `${normal.name}-${name}`;

/** Makes it, or brings it up to date; what is paused stays paused. */
export async function putSchedule(
  temporal: Temporal,
  { document, normal }: { document: unknown; normal: NormalReconciliation },
  schedule: NormalSchedule,
  { taskQueue, paused }: { taskQueue: string; paused: boolean },
): Promise<Created> {
  const id = scheduleId(normal, schedule);
  const options = {
    spec: specOf(schedule),
    action: {
      type: 'startWorkflow',
      workflowType: WORKFLOW,
      workflowId: id,
      taskQueue,
      args: [{ document, level: schedule.level, scheduled: true }],
      memo: memoOf(normal.name),
    },
    policies: {
      overlap: POLICIES[schedule.overlap],
      catchupWindow: schedule.catchUpWindow,
      // One that failed says so in its outcome; a pause that nobody asked for would be found weeks later.
      pauseOnFailure: false,
    },
  } satisfies Omit<ScheduleOptions, 'scheduleId'>;
  const told = { id, level: schedule.level };
  try {
    await temporal.client.schedule.create({ ...options, scheduleId: id, memo: memoOf(normal.name), state: { paused } });
    return { ...told, outcome: 'created', paused };
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
  const handle = temporal.client.schedule.getHandle(id);
  const before = await handle.describe();
  refuseForeign(before);
  const stays = { ...before.state, paused: before.state.paused || paused };
  await handle.update(() => ({ ...options, state: stays }));
  return { ...told, outcome: 'updated', paused: stays.paused };
}

function specOf({ every, cron, timeZone, jitter }: NormalSchedule): ScheduleOptions['spec'] {
  return {
    ...(every === null ? {} : { intervals: [{ every }] }),
    // Temporal keeps calendars, and of what was written only a comment.
    ...(cron === null ? {} : { cronExpressions: [`${cron} # ${cron}`] }),
    timezone: timeZone,
    jitter,
  };
}

function refuseForeign({ scheduleId: id, action }: ScheduleDescription): void {
  if (action.workflowType === WORKFLOW) return;
  throw new CliError(
    `there is a schedule \`${id}\` already, and it starts no reconciliation but \`${action.workflowType}\`.`,
    {
      next: ['give the reconciliation another metadata.name, or the schedule another name'],
    },
  );
}

/** @param name only those of this reconciliation */
export async function listSchedules(temporal: Temporal, name?: string): Promise<ListedSchedule[]> {
  const found: ScheduleSummary[] = [];
  for await (const summary of temporal.client.schedule.list()) {
    if (summary.action?.workflowType !== WORKFLOW) continue;
    if (name === undefined || nameIn(summary.memo) === name) found.push(summary);
  }
  found.sort((a, b) => a.scheduleId.localeCompare(b.scheduleId));
  return Promise.all(found.map((summary) => listed(temporal, summary)));
}

async function listed(
  temporal: Temporal,
  { scheduleId: id, memo, state, info }: ScheduleSummary,
): Promise<ListedSchedule> {
  const newest = info.recentActions.at(-1);
  return {
    id,
    reconciliation: nameIn(memo),
    paused: state.paused,
    note: noteOf(state.note),
    nextAt: state.paused ? null : (info.nextActionTimes[0]?.toISOString() ?? null),
    last: newest === undefined ? null : await runOf(temporal, newest),
  };
}

export async function showSchedule(temporal: Temporal, id: string): Promise<ShownSchedule> {
  const description = await describe(temporal, id);
  const { memo, state, policies, info, spec } = description;
  const runs = await Promise.all(info.recentActions.toReversed().map((action) => runOf(temporal, action)));
  return {
    id,
    reconciliation: nameIn(memo),
    paused: state.paused,
    note: noteOf(state.note),
    rhythm: rhythmOf(description),
    timeZone: spec.timezone === undefined || spec.timezone === '' ? 'UTC' : spec.timezone,
    jitter: spec.jitter === undefined ? null : formatDuration(Number(spec.jitter)),
    overlap: (policies.overlap ?? 'SKIP').toLowerCase().replaceAll('_', '-'),
    catchUpWindow: policies.catchupWindow,
    next: state.paused ? [] : info.nextActionTimes.map((at) => at.toISOString()),
    runs,
    counts: {
      started: info.numActionsTaken,
      skipped: info.numActionsSkippedOverlap,
      missed: info.numActionsMissedCatchupWindow,
    },
  };
}

/** As it was written: Temporal turns what cron wrote into calendars, and keeps the text as their comment. */
function rhythmOf({ spec }: ScheduleDescription): string[] {
  const intervals = (spec.intervals ?? []).map(({ every }) => `every ${formatDuration(Number(every))}`);
  const calendars = (spec.calendars ?? []).map(({ comment }) => (comment ? `at ${comment}` : 'at times of a calendar'));
  return [...intervals, ...calendars];
}

function noteOf(note: string | undefined): string | null {
  return note === undefined || note === '' ? null : note;
}

async function runOf(
  temporal: Temporal,
  { scheduledAt, action }: ScheduleDescription['info']['recentActions'][number],
): Promise<ScheduledRun> {
  const { workflowId, firstExecutionRunId } = action.workflow;
  const execution = await temporal.client.workflow
    .getHandle(workflowId, firstExecutionRunId)
    .describe()
    // Past its retention.
    .catch(() => null);
  const status = execution?.status.name ?? 'UNKNOWN';
  const outcome = await outcomeOf(temporal, workflowId, firstExecutionRunId, execution === null ? 'RUNNING' : status);
  return {
    id: workflowId,
    scheduledAt: scheduledAt.toISOString(),
    startedAt: execution?.startTime.toISOString() ?? scheduledAt.toISOString(),
    closedAt: execution?.closeTime?.toISOString() ?? null,
    execution: status,
    ...outcome,
  };
}

// ── the hand on it ──

/** @param overlap by default the schedule's own policy: the SDK's default would start it beside one that goes on */
export async function triggerSchedule(temporal: Temporal, id: string, overlap?: Overlap): Promise<void> {
  await known(temporal, id, (handle, own) => handle.trigger(overlap === undefined ? own : POLICIES[overlap]));
}

export async function backfillSchedule(
  temporal: Temporal,
  id: string,
  { from, to, overlap }: { from: number; to: number; overlap?: Overlap | undefined },
): Promise<void> {
  await known(temporal, id, (handle, own) =>
    handle.backfill({
      start: new Date(from),
      end: new Date(to),
      overlap: overlap === undefined ? own : POLICIES[overlap],
    }),
  );
}

export async function steerSchedule(
  temporal: Temporal,
  id: string,
  what: 'pause' | 'resume' | 'delete',
  reason: string,
): Promise<void> {
  await known(temporal, id, (handle) => {
    switch (what) {
      case 'pause':
        return handle.pause(reason);
      case 'resume':
        return handle.unpause(reason);
      case 'delete':
        return handle.delete();
    }
  });
}

/** What starts something else is left alone: a slip of the pen must not delete somebody's schedule. */
async function known<T>(
  temporal: Temporal,
  id: string,
  use: (handle: ScheduleHandle, overlap: ScheduleOverlapPolicy) => Promise<T>,
): Promise<T> {
  const { policies } = await describe(temporal, id);
  return use(temporal.client.schedule.getHandle(id), policies.overlap ?? ScheduleOverlapPolicy.SKIP);
}

async function describe(temporal: Temporal, id: string): Promise<ScheduleDescription> {
  try {
    const description = await temporal.client.schedule.getHandle(id).describe();
    if (description.action.workflowType === WORKFLOW) return description;
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
  }
  throw new CliError(`there is no schedule \`${id}\` of a reconciliation in namespace ${temporal.namespace}.`, {
    next: ['`godwit schedule list` shows all; `godwit schedule create FILE` makes them'],
  });
}
