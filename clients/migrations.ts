/** The migrations of a namespace, as its visibility store lists them. */
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { isGrpcServiceError, type WorkflowExecutionInfo } from '@temporalio/client';
import { distance } from 'fastest-levenshtein';
import { SEARCH_ATTRIBUTES } from '../spec/messages.js';
import type { State } from '../spec/status.js';
import type { Temporal } from './connection.js';
import { CliError } from './errors.js';

export interface MigrationSummary {
  id: string;
  /** `GodwitState`; null when the search attributes aren't set up. */
  state: string | null;
  stage: string | null;
  /** Temporal's own word: `RUNNING`, `COMPLETED`, `TERMINATED`, … */
  execution: string;
  startedAt: string;
  closedAt: string | null;
  historyEvents: number;
  runId: string;
}

export interface ListFilter {
  state?: State;
  /** Ended ones, too. */
  all?: boolean;
  limit: number;
}

const KEYS = {
  state: defineSearchAttributeKey(SEARCH_ATTRIBUTES.state, SearchAttributeType.KEYWORD),
  stage: defineSearchAttributeKey(SEARCH_ATTRIBUTES.stage, SearchAttributeType.KEYWORD),
};

/** Newest first. */
export async function listMigrations(temporal: Temporal, filter: ListFilter): Promise<MigrationSummary[]> {
  const conditions = [`WorkflowType = 'migration'`];
  if (filter.state !== undefined) conditions.push(`${SEARCH_ATTRIBUTES.state} = '${filter.state}'`);
  else if (filter.all !== true) conditions.push(`ExecutionStatus = 'Running'`);
  const found: MigrationSummary[] = [];
  try {
    const pageSize = Math.min(filter.limit, 1000);
    for await (const info of temporal.client.workflow.list({ query: conditions.join(' AND '), pageSize })) {
      found.push(summaryOf(info));
      if (found.length >= filter.limit) break;
    }
  } catch (error) {
    throw lacksSearchAttributes(error) ? searchAttributesMissing(error) : error;
  }
  return found;
}

function summaryOf(info: WorkflowExecutionInfo): MigrationSummary {
  return {
    id: info.workflowId,
    state: info.typedSearchAttributes.get(KEYS.state) ?? null,
    stage: info.typedSearchAttributes.get(KEYS.stage) ?? null,
    execution: info.status.name,
    startedAt: info.startTime.toISOString(),
    closedAt: info.closeTime?.toISOString() ?? null,
    historyEvents: info.historyLength,
    runId: info.runId,
  };
}

/** Ids that `typed` may have meant, the most similar first. */
export async function migrationsLike(temporal: Temporal, typed: string, limit = 3): Promise<string[]> {
  const known = await listMigrations(temporal, { all: true, limit: 200 });
  const ids = [...new Set(known.map(({ id }) => id))];
  return ids.sort((a, b) => distance(a, typed) - distance(b, typed)).slice(0, limit);
}

function lacksSearchAttributes(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  const said = isGrpcServiceError(error) ? error.details : isGrpcServiceError(cause) ? cause.details : '';
  return said.includes(SEARCH_ATTRIBUTES.state);
}

function searchAttributesMissing(cause: unknown): CliError {
  return new CliError("this namespace doesn't know the search attributes of Godwit, so it can't filter by state.", {
    next: ['`godwit namespace setup` registers them; it is fine to run at any time'],
    cause,
  });
}
