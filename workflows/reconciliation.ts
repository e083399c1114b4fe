import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { workflowInfo } from '@temporalio/workflow';
import type { ReconcileRun } from '../activities/reconciliation-contract.js';
import { LEVELS, REPAIRABLE_KINDS, type Level, type RepairSummary, type RunSummary } from '../spec/reconciliation.js';
import { invalid } from './phase.js';
import { runActivities } from './proxies.js';
import { givenIn, ownId, running, type Running } from './runs.js';

/** From a person or a schedule. */
export interface ReconciliationInput {
  /** `kind: Reconciliation`. */
  document: unknown;
  /** Default: the document's. */
  level?: Level;
  /** All rows, even where the document says `incremental`. */
  full?: boolean;
  /** Of a document that was narrowed to some tables or rows. */
  partial?: boolean;
  /** Never waits for a person. Default: whether a schedule has started it. */
  scheduled?: boolean;
}

/**
 * One run: compares, then mends what the rules mend by themselves. Input: the document, or `ReconciliationInput`. A
 * difference is an answer, not a failure; what needs a person waits in the review queue, in the database, and not here.
 */
export async function reconciliation(input: unknown): Promise<RunSummary> {
  const { document, level, full = false, partial = false, scheduled = startedBySchedule() } = readInput(input);
  const id = ownId();
  return running({ document, run: id, unattended: scheduled }, async (own) => {
    const run: ReconcileRun = {
      run: id,
      workflow: workflowInfo().workflowId,
      normal: own.normal,
      level: level ?? own.normal.level,
      full,
      ...(partial ? { partial } : {}),
      scheduled,
    };
    const found = await compare(own, run);
    if (!mendsByItself(found, run)) return found;
    const summary = afterRepair(found, await repairByItself(own, { ...run, run: found.run }));
    own.tell({ summary });
    return summary;
  });
}

async function compare({ step, tell }: Running, run: ReconcileRun): Promise<RunSummary> {
  tell({ level: run.level, step: 'comparing' });
  const summary = await step(() => runActivities(run.normal.taskQueues).reconcile(run));
  // Of a workflow that was reset: the run that compared was that of the execution before.
  tell({ run: summary.run, summary });
  return summary;
}

/** The databases aren't asked where no rule could mend anything of what was found. */
function mendsByItself({ outcome, found }: RunSummary, { normal }: ReconcileRun): boolean {
  const rules = normal.repair.rules.filter(({ action }) => action === 'repair');
  const kinds = REPAIRABLE_KINDS.filter((kind) => rules.some((rule) => rule.kinds.includes(kind)));
  return outcome === 'done' && found.some(({ kind, count }) => count > 0 && kinds.some((one) => one === kind));
}

async function repairByItself({ step, tell }: Running, { run, normal }: ReconcileRun): Promise<RepairSummary> {
  const repair = `${run}-repair`;
  tell({ step: 'repairing', repair });
  return step(() =>
    runActivities(normal.taskQueues).repair({ repair, run, normal, what: 'policy', deletions: false, by: null }),
  );
}

function afterRepair(summary: RunSummary, { inserted, updated, deleted, unneeded }: RepairSummary): RunSummary {
  const repaired = inserted + updated + deleted;
  const remaining = Math.max(0, summary.remaining - repaired - unneeded);
  return { ...summary, repaired: summary.repaired + repaired, remaining };
}

function readInput(input: unknown): ReconciliationInput {
  const { document, level, full, partial, scheduled } = givenIn(input);
  if (level !== undefined && level !== null && !isLevel(level)) {
    throw invalid(`expected level, one of ${LEVELS.join(', ')}`);
  }
  return {
    document,
    ...(isLevel(level) ? { level } : {}),
    ...(typeof full === 'boolean' ? { full } : {}),
    ...(typeof partial === 'boolean' ? { partial } : {}),
    ...(typeof scheduled === 'boolean' ? { scheduled } : {}),
  };
}

function isLevel(value: unknown): value is Level {
  return LEVELS.some((level) => level === value);
}

/** Written down by Temporal itself of whatever one of its schedules starts, by whichever client it was made. */
const SCHEDULED_BY = defineSearchAttributeKey('TemporalScheduledById', SearchAttributeType.KEYWORD);

function startedBySchedule(): boolean {
  return workflowInfo().typedSearchAttributes.get(SCHEDULED_BY) !== undefined;
}
