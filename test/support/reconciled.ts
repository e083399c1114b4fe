/** Two databases that a subscription of the user's own keeps alike, and runs that compare them. */
import { randomUUID } from 'node:crypto';
import type { Level, NormalReconciliation, RepairSummary, RunSummary } from '../../spec/reconciliation.js';
import { reconcileUntil } from '../../activities/reconciliation/reconcile.js';
import { repairUntil } from '../../activities/reconciliation/repair.js';
import { undoRepairUntil } from '../../activities/reconciliation/undo.js';
import type { RepairRun } from '../../activities/reconciliation-contract.js';
import type { PostgresServer } from '../../lab/postgres.js';
import { normalOf } from './normal-reconciliation.js';
import type { ServerPair } from './postgres.js';
import { until } from './sync.js';

const never = new AbortController().signal;

export class Reconciled {
  static #made = 0;
  readonly #variables: Record<'source' | 'target', string>;

  private constructor(
    readonly pair: ServerPair,
    readonly name: string,
  ) {
    Reconciled.#made += 1;
    const suffix = `${process.pid}_${Reconciled.#made}`;
    this.#variables = { source: `RECONCILED_SOURCE_${suffix}`, target: `RECONCILED_TARGET_${suffix}` };
    process.env[this.#variables.source] = pair.source.url(name);
    process.env[this.#variables.target] = pair.target.url(name);
  }

  /**
   * Runs `schema` on both sides, `rows` on the source; with `replicated`, a publication of all tables and a subscription copy
   * them and keep them alike; otherwise `rows` runs on both.
   */
  static async start(
    pair: ServerPair,
    name: string,
    { schema, rows, replicated = true }: { schema: string; rows: string; replicated?: boolean },
  ): Promise<Reconciled> {
    const made = new Reconciled(pair, name);
    const prepare = async (side: 'source' | 'target'): Promise<void> => {
      await pair[side].createDatabase(name);
      await made.on(side, schema);
      if (side === 'source' || !replicated) await made.on(side, rows);
    };
    await Promise.all([prepare('source'), prepare('target')]);
    if (replicated) await made.subscribe();
    return made;
  }

  async subscribe(): Promise<void> {
    await this.on('source', `create publication copy for all tables`);
    await this.on(
      'target',
      `create subscription "${this.name}" connection '${this.pair.source.url(this.name)}' publication copy`,
    );
    await until(async () => {
      const waiting = await this.on<{ open: number }>(
        'target',
        `select count(*)::int as open from pg_subscription_rel where srsubstate <> 'r'`,
      );
      return waiting[0]?.open === 0;
    }, 'all tables are copied');
  }

  on<R extends Record<string, unknown>>(side: 'source' | 'target', sql: string, values: unknown[] = []): Promise<R[]> {
    return this.#server(side).query<R>(sql, values, this.name);
  }

  #server(side: 'source' | 'target'): PostgresServer {
    return this.pair[side];
  }

  /** As a document of a few lines is understood, with `spec` on top. */
  normal(spec: Record<string, unknown> = {}): NormalReconciliation {
    const { source, target } = this.#variables;
    return normalOf(this.name, { source: { env: source }, target: { env: target } }, spec);
  }

  async run(
    normal: NormalReconciliation,
    {
      level = 'comprehensive',
      full = false,
      partial = false,
      run = randomUUID(),
      signal = never,
      keepProgressEvery,
    }: RunOptions = {},
  ): Promise<RunSummary> {
    const asked = { run, workflow: 'test', normal, level, full, partial, scheduled: false };
    return reconcileUntil(asked, signal, keepProgressEvery);
  }

  async repair(normal: NormalReconciliation, run: string, change: Partial<RepairRun> = {}): Promise<RepairSummary> {
    return repairUntil(
      { repair: randomUUID(), run, normal, what: 'all', deletions: true, by: 'test', ...change },
      never,
    );
  }

  async undo(normal: NormalReconciliation, repair: string, patience?: number): Promise<RepairSummary> {
    return undoRepairUntil({ repair, normal, by: 'test' }, never, patience);
  }

  /** Rows that repairs and undos left as they were, and why. */
  async refused(): Promise<string[]> {
    const rows = await this.on<{ line: string }>(
      'target',
      `select concat_ws(' ', state, side, action, table_name, key[1], why) as line from godwit.reconciliation_audit
       where state in ('refused', 'undo-refused') order by 1`,
    );
    return rows.map(({ line }) => line);
  }

  /** What a run found, as `table kind key columns state`. */
  async found(run: string): Promise<string[]> {
    const rows = await this.on<{ line: string }>(
      'target',
      `select concat_ws(' ', table_name, kind, array_to_string(key, ','), nullif('(' || array_to_string(columns, ',') || ')', '()'),
                        nullif(state, 'confirmed')) as line
       from godwit.reconciliation_finding where run = $1 order by 1`,
      [run],
    );
    return rows.map(({ line }) => line);
  }
}

export interface RunOptions {
  level?: Level;
  full?: boolean;
  partial?: boolean;
  run?: string;
  signal?: AbortSignal;
  /** Milliseconds; as a worker does where it isn't said. */
  keepProgressEvery?: number | undefined;
}
