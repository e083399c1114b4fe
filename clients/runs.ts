/** The runs of reconciliations, as Temporal lists them, with what each came to. */
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { WorkflowFailedError, type WorkflowExecutionInfo } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../spec/messages.js';
import type { RunSummary } from '../spec/reconciliation.js';
import type { Temporal } from './connection.js';
import { EXIT, type ExitCode } from './exit.js';
import { innermost } from './temporal-errors.js';

export interface ListedRun {
  /** Of the workflow; `run` is what is kept in the database, known once it has compared. */
  id: string;
  run: string | null;
  /** `GodwitState`; null where the search attributes aren't set up. */
  state: string | null;
  level: string | null;
  /** Temporal's own word: `RUNNING`, `COMPLETED`, … */
  execution: string;
  startedAt: string;
  closedAt: string | null;
  summary: RunSummary | null;
  /** Why it failed. */
  failure: string | null;
}

const KEYS = {
  state: defineSearchAttributeKey(SEARCH_ATTRIBUTES.state, SearchAttributeType.KEYWORD),
  stage: defineSearchAttributeKey(SEARCH_ATTRIBUTES.stage, SearchAttributeType.KEYWORD),
};

export interface RunFilter {
  /** Only those of this reconciliation. */
  name?: string;
  /** Only those that go on. */
  running?: boolean;
  limit: number;
}

/** Newest first. */
export async function listRuns(temporal: Temporal, { name, running = false, limit }: RunFilter): Promise<ListedRun[]> {
  const conditions = [`WorkflowType = 'reconciliation'`];
  if (running) conditions.push(`ExecutionStatus = 'Running'`);
  // Ids that people chose themselves are found by their memo.
  const found: WorkflowExecutionInfo[] = [];
  for await (const info of temporal.client.workflow.list({ query: conditions.join(' AND '), pageSize: 100 })) {
    if (name !== undefined && nameIn(info.memo) !== name) continue;
    found.push(info);
    if (found.length >= limit) break;
  }
  return Promise.all(found.map((info) => listed(temporal, info)));
}

/** Carried by each run and schedule, so that those of one reconciliation are found again. */
export const memoOf = (name: string): Record<string, unknown> => ({ godwitReconciliation: name });

export function nameIn(memo: Record<string, unknown> | undefined): string | null {
  const name = memo?.['godwitReconciliation'];
  return typeof name === 'string' ? name : null;
}

async function listed(temporal: Temporal, info: WorkflowExecutionInfo): Promise<ListedRun> {
  const { summary, failure } = await outcomeOf(temporal, info.workflowId, info.runId, info.status.name);
  return {
    id: info.workflowId,
    run: summary?.run ?? null,
    state: info.typedSearchAttributes.get(KEYS.state) ?? null,
    level: summary?.level ?? info.typedSearchAttributes.get(KEYS.stage) ?? null,
    execution: info.status.name,
    startedAt: info.startTime.toISOString(),
    closedAt: info.closeTime?.toISOString() ?? null,
    summary,
    failure,
  };
}

/** Answered by Temporal alone: no worker is asked. */
export async function outcomeOf(
  temporal: Temporal,
  workflowId: string,
  runId: string,
  execution: string,
): Promise<Pick<ListedRun, 'summary' | 'failure'>> {
  if (execution === 'RUNNING' || execution === 'PAUSED') return { summary: null, failure: null };
  const handle = temporal.client.workflow.getHandle<() => Promise<RunSummary>>(workflowId, runId, {
    followRuns: false,
  });
  try {
    return { summary: await handle.result(), failure: null };
  } catch (error) {
    if (error instanceof WorkflowFailedError) return { summary: null, failure: innermost(error) };
    // Past its retention between two questions.
    return { summary: null, failure: null };
  }
}

/** Of a run that nobody waits for any more: 0 only if all was compared, and nothing differs that wasn't mended or accepted. */
export function exitCodeOfRun(summary: RunSummary): ExitCode {
  const clean = summary.outcome === 'done' && summary.remaining === 0 && isWhole(summary);
  return clean ? EXIT.done : EXIT.failed;
}

/** Everything could be looked at; a verdict says it only where nothing differs. */
export const isWhole = ({ verdict, suspects, notChecked = 0 }: RunSummary): boolean =>
  verdict !== 'incomplete' && suspects === 0 && notChecked === 0;
