/** Runs a short workflow that only looks, and gives its answer: workers do the looking. */
import { randomUUID } from 'node:crypto';
import type { Platform } from '../spec/grants.js';
import type { Temporal } from './connection.js';
import { answered } from './worker-presence.js';

export interface Look {
  /** Workflow id that the migration will have: the names of what it makes, and with them the digest, hang on it. */
  migration: string;
  taskQueue: string;
  document: unknown;
  /** Of a look at rights: what the administrator says the servers are. */
  platform?: Platform;
  /** Of a look at metrics, in milliseconds since the epoch. */
  at?: number;
  since?: number;
  /** TYPE/NAME, and percent: whose gates are asked. */
  unit?: string;
  step?: number;
}

export async function runToResult<T>(
  temporal: Temporal,
  type: 'preflight' | 'plan' | 'grants' | 'analyze',
  { migration, taskQueue, ...input }: Look,
): Promise<T> {
  const handle = await temporal.client.workflow.start(type, {
    workflowId: `${migration}-${type}-${randomUUID().slice(0, 8)}`,
    taskQueue,
    args: [{ ...input, migration }],
    staticSummary: `${type} of ${migration}`,
  });
  try {
    return await answered(temporal, taskQueue, () => handle.result() as Promise<T>);
  } catch (error) {
    // Nobody waits for its answer any more, and without a worker it would stay for ever.
    await handle.terminate('its answer is no longer waited for').catch(() => undefined);
    throw error;
  }
}
