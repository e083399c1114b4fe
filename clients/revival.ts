/** Migrations whose workflow is gone: what they left, and how they come back. Queries answer for closed workflows. */
import { WorkflowNotFoundError, type WorkflowExecutionDescription } from '@temporalio/client';
import { QUERIES } from '../spec/messages.js';
import type { StatusDocument } from '../spec/status.js';
import type { Temporal } from './connection.js';
import { CliError } from './errors.js';
import { ago } from './output/figures.js';
import type { Terminal } from './terminal.js';
import { describe } from './view.js';
import { answered } from './worker-presence.js';

/** Forward again (only finalize, which has no way back), or back. */
export type Revival = 'resume' | 'rollback' | 'abort';

/** What of a migration's inner state decides whether it can be brought back; the rest is carried as it is. */
interface Carried {
  units: { switchBegan: boolean }[];
  rolledBack: boolean;
  undoing: string;
  finalizing: boolean;
}

const LIVES = ['RUNNING', 'PAUSED'];

export function isClosed({ status }: WorkflowExecutionDescription): boolean {
  return !LIVES.includes(status.name);
}

/** Undo entries that the last run of `id` left; 0 while it runs, and when there was none. */
export async function leftovers(temporal: Temporal, id: string): Promise<number> {
  const description = await describe(temporal, id).catch((error: unknown) => {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  });
  if (description === null || !isClosed(description) || description.status.name === 'COMPLETED') return 0;
  const { undoLog } = await ask<StatusDocument>(temporal, description, QUERIES.status);
  return undoLog.filter((entry) => entry.state !== 'done').length;
}

/** Starts `id` again from what its closed run knew; what the databases say decides the rest. */
export async function bringBack(terminal: Terminal, temporal: Temporal, id: string, wish: Revival): Promise<void> {
  const closed = await describe(temporal, id);
  const [status, carry] = await Promise.all([
    ask<StatusDocument>(temporal, closed, QUERIES.status),
    ask<unknown>(temporal, closed, QUERIES.state),
  ]);
  const reason = impossible(id, wish, status, carry);
  if (reason !== null) throw reason;
  const when = ago((closed.closeTime ?? closed.startTime).toISOString(), new Date());
  const how = closed.status.name.toLowerCase().replaceAll('_', ' ');
  terminal.note(`The workflow of \`${id}\` was ${how} ${when}; bringing it back from what it knew.`);
  await temporal.client.workflow.start('migration', {
    workflowId: id,
    taskQueue: closed.taskQueue,
    args: [wish === 'resume' ? { carry } : { carry, then: wish }],
    staticSummary: `Brings ${status.name} back: ${wish}`,
  });
}

/** Said here, since a run that refuses at its start would hide the one that knows everything. */
function impossible(id: string, wish: Revival, status: StatusDocument, carry: unknown): CliError | null {
  if (status.reconciliation !== undefined) {
    return new CliError(`\`${id}\` has ended, and has nothing to undo.`, {
      next: ['godwit reconcile FILE starts another run', 'godwit reconcile undo FILE REPAIR takes a repair back'],
    });
  }
  if (status.state === 'migrated') {
    const way = wish === 'resume' ? 'there is nothing left to do' : 'finalize closed the way back';
    return new CliError(`\`${id}\` is migrated: ${way}.`, { next: [`godwit report ${id}`] });
  }
  if (status.state === 'undone') return new CliError(`\`${id}\` is undone already: nothing of it is left.`);
  if (!isCarried(carry)) return new CliError(`\`${id}\` ended before it had begun: there is nothing to bring back.`);
  if (carry.finalizing && wish !== 'resume') {
    return new CliError(`\`${id}\` had begun to finalize, which has no way back.`, { next: [`godwit resume ${id}`] });
  }
  if (!carry.finalizing && wish === 'resume') {
    return new CliError(`\`${id}\` has ended; from where it stopped it can only go back.`, {
      next: [`godwit abort ${id}`, ...(maySwitched(carry) ? [`godwit rollback ${id}`] : [])],
    });
  }
  if (wish === 'rollback' && !maySwitched(carry)) {
    return new CliError(`nothing of \`${id}\` had been switched, so there is nothing to roll back.`, {
      next: [`godwit abort ${id} undoes what was prepared`],
    });
  }
  return null;
}

function maySwitched({ units, rolledBack, undoing }: Carried): boolean {
  return rolledBack || undoing === 'switch' || units.some(({ switchBegan }) => switchBegan);
}

function isCarried(carry: unknown): carry is Carried {
  if (typeof carry !== 'object' || carry === null) return false;
  const { units, rolledBack, undoing, finalizing } = carry as Partial<Carried>;
  const flags = typeof rolledBack === 'boolean' && typeof undoing === 'string' && typeof finalizing === 'boolean';
  return flags && Array.isArray(units) && units.length > 0;
}

function ask<T>(
  temporal: Temporal,
  { workflowId, runId, taskQueue }: WorkflowExecutionDescription,
  query: string,
): Promise<T> {
  return answered(temporal, taskQueue, () => temporal.client.workflow.getHandle(workflowId, runId).query<T>(query));
}
