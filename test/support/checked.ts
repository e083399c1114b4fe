/** Two databases that replicate, and what a check is given to look at them: a reconciliation as defaults would give it. */
import type { CheckRun, Checked, Finding } from '../../activities/reconciliation/findings.js';
import { resolveTables } from '../../activities/postgres/scope.js';
import type { NormalDatabase } from '../../spec/normal.js';
import type { NormalReconciliation } from '../../spec/reconciliation.js';
import { normalOf } from './normal-reconciliation.js';
import type { ServerPair } from './postgres.js';
import { replicated, type Replicated } from './replicated.js';

export interface Reconciled extends Omit<Replicated, 'caughtUp' | 'close'> {
  run: CheckRun;
  caughtUp: () => Promise<void>;
  close: () => Promise<void>;
}

/**
 * Both sides with `ddl`, replicating from source to target.
 * @param change of the reconciliation
 */
export async function reconciled(
  pair: ServerPair,
  name: string,
  ddl: string,
  change: Partial<NormalReconciliation> = {},
  options: { targetDdl?: string; rows?: string; change?: Partial<NormalDatabase> } = {},
): Promise<Reconciled> {
  const databases = await replicated(pair, name, ddl, options);
  const { source, target } = databases;
  const run: CheckRun = {
    source,
    target,
    primary: 'source',
    tables: await resolveTables(source, databases.move.database.tables),
    normal: normalReconciliation(databases, change),
    caughtUp: async (timeoutMs) => {
      const late = new Promise<false>((resolve) => setTimeout(() => resolve(false), timeoutMs).unref());
      return Promise.race([databases.caughtUp().then(() => true as const), late]);
    },
    signal: new AbortController().signal,
  };
  // As the engine's own sessions are.
  for (const session of [source, target]) await session.run('set search_path = pg_catalog');
  return { ...databases, run, caughtUp: () => databases.caughtUp(), close: () => databases.close() };
}

export function normalReconciliation(
  { move }: { move: Replicated['move'] },
  change: Partial<NormalReconciliation> = {},
): NormalReconciliation {
  const { name, source, target } = move.database;
  return { ...normalOf(name, { source, target }), ...change };
}

/** One line a finding, sorted: side, kind, table, columns, key, count, words. */
export const lines = ({ findings }: Checked): string[] => findings.map(lineOf).sort();

function lineOf({ kind, schema, table, columns, key, side, count, detail }: Finding): string {
  const about = [kind, `${schema}.${table}`, columns?.join('+'), key === null ? undefined : `[${key.join()}]`];
  return `${side ?? 'both'}: ${about.filter((part) => part !== undefined).join(' ')} ×${count}: ${detail}`;
}
