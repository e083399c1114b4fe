/**
 * The undo log: written before a step runs, undone last in first out. Data, not closures, so that it shows in `status`,
 * survives continue-as-new, and can be carried out by a later run of a workflow that was terminated.
 */
import { ApplicationFailure, CancellationScope, sleep } from '@temporalio/workflow';
import type { DatabaseMove } from '../activities/contract.js';
import type { CertificateMove, TrafficImage, TrafficMove, ValidationRecord } from '../activities/traffic-contract.js';
import type { Milliseconds } from '../spec/normal.js';
import type { UndoEntry, UndoRecord } from '../spec/undo.js';
import type { UnitRef, UnitType } from '../spec/units.js';
import type { Control } from './control.js';
import { describe, isFailureOfStep } from './problem.js';
import { undoActivity } from './proxies.js';
import { byHand, inputOfNow, UNDO, type UndoneStep } from './undo-steps.js';

export type Unfinished = Extract<UndoRecord, { state: 'failed' }>;

/** What undo entries are about. */
export interface Undoable {
  unit: UnitRef;
  type: UnitType;
  /** Of the undo activities. */
  input: unknown;
  taskQueue: string;
}

export function ofDatabase(move: DatabaseMove): Undoable {
  const { unit, taskQueues } = move.database;
  return { unit, type: 'database', input: move, taskQueue: taskQueues.switch };
}

export function ofTraffic(move: TrafficMove, image: TrafficImage): Undoable {
  const { unit, taskQueue } = move.traffic;
  return { unit, type: 'traffic', input: { move, image }, taskQueue };
}

export function ofCertificate(request: CertificateMove & { records?: ValidationRecord[] }): Undoable {
  const { unit, taskQueue } = request.move.traffic;
  return { unit, type: 'traffic', input: request, taskQueue };
}

export class Saga {
  constructor(readonly control: Control) {}

  get #log(): UndoRecord[] {
    return this.control.state.undoLog;
  }

  /** Before the step runs. A step that runs again, after a retry or a rollback, keeps the entry it has. */
  record({ unit, type, input, taskQueue }: Undoable, ...steps: UndoneStep[]): void {
    const budgets = this.control.state.normal?.rollback;
    const budget = (type === 'database' ? budgets?.databases : budgets?.traffic) ?? DEFAULT_BUDGET;
    for (const step of steps) {
      const { activity, title, guardsRest } = UNDO[step];
      if (this.#log.some((entry) => entry.unit === unit && entry.activity === activity && entry.state === 'pending'))
        continue;
      const entry: UndoEntry = {
        seq: this.#log.length + 1,
        unit,
        title,
        activity,
        input,
        taskQueue,
        budget,
      };
      this.#log.push({ ...entry, ...(guardsRest ? { guardsRest } : {}), state: 'pending' });
    }
    this.control.touched();
  }

  /** Undoes all that isn't undone yet, also what failed in an earlier run. Answers what remains. */
  async undo(): Promise<Unfinished[]> {
    const guarded = new Map<UnitRef, string>();
    for (const entry of [...this.#log].reverse()) {
      if (entry.state === 'done') continue;
      await this.control.checkpoint();
      const guard = guarded.get(entry.unit);
      const record = guard === undefined ? await this.#undoOne(entry) : failed(entry, `not tried, since ${guard}`);
      if (record.state === 'failed' && entry.guardsRest) guarded.set(entry.unit, `"${entry.title}" failed`);
      this.#replace(record);
    }
    return this.#log.filter((entry): entry is Unfinished => entry.state === 'failed');
  }

  async #undoOne(entry: UndoEntry): Promise<UndoRecord> {
    const began = Date.now();
    let answer: unknown;
    try {
      answer = await this.#reportingOverBudget(entry, () =>
        undoActivity(entry.activity, inputOfNow(entry, this.control.state.normal), entry.taskQueue, entry.budget),
      );
    } catch (error) {
      if (!isFailureOfStep(error)) throw error;
      return failed(entry, describe(error).message);
    }
    const tookMs = Date.now() - began;
    return { ...plain(entry), state: 'done', tookMs, overBudget: tookMs > entry.budget, ...differenceIn(answer) };
  }

  /** A budget that passes is said, and never a reason to stop undoing. */
  async #reportingOverBudget<T>(entry: UndoEntry, undo: () => Promise<T>): Promise<T> {
    const clock = new CancellationScope({ cancellable: true });
    const late = clock
      .run(() => sleep(entry.budget))
      .then(() =>
        this.#note(
          `"${entry.title}" (${entry.unit}) takes longer than its budget of ${seconds(entry.budget)}; it goes on`,
        ),
      )
      .catch(() => undefined);
    try {
      return await undo();
    } finally {
      clock.cancel();
      await late;
      this.#note(null);
    }
  }

  #note(note: string | null): void {
    this.control.state.note = note;
    this.control.touched();
  }

  #replace(record: UndoRecord): void {
    this.control.state.undoLog = this.#log.map((entry) => (entry.seq === record.seq ? record : entry));
    this.control.touched();
  }
}

/** When no specification says otherwise. */
const DEFAULT_BUDGET: Milliseconds = 30 * 60_000;

function plain({ seq, unit, title, activity, input, taskQueue, budget, guardsRest }: UndoEntry): UndoEntry {
  return { seq, unit, title, activity, input, taskQueue, budget, ...(guardsRest ? { guardsRest } : {}) };
}

/** Undos of traffic tell what somebody else has changed, and they therefore leave. */
function differenceIn(answer: unknown): { different?: string } {
  const told = typeof answer === 'object' && answer !== null && 'different' in answer ? answer.different : null;
  return typeof told === 'string' ? { different: told } : {};
}

/** What was undone, and is not as it was all the same, in words; null: nothing. */
export function leftDifferent(log: UndoRecord[]): string | null {
  const told = log.flatMap((entry) =>
    entry.state === 'done' && entry.different !== undefined ? [entry.different] : [],
  );
  return told.length === 0 ? null : [...new Set(told)].join('\n');
}

function failed(entry: UndoEntry, error: string): UndoRecord {
  return { ...plain(entry), state: 'failed', error, byHand: byHand(entry.activity, entry.input) };
}

const seconds = (ms: Milliseconds): string => `${Math.round(ms / 1000)} s`;

/** Fails the workflow, listing exactly what remains. Details carry no rows and no secrets: the log has none. */
export function undoIncomplete(remaining: Unfinished[]): ApplicationFailure {
  const lines = remaining.map(
    ({ unit, title, error, byHand: how }) => `- ${unit}: ${title}: ${error}. By hand: ${how}`,
  );
  return ApplicationFailure.create({
    type: 'UndoIncomplete',
    message: `${remaining.length} of the undo steps failed, and this remains:\n${lines.join('\n')}`,
    nonRetryable: true,
  });
}
