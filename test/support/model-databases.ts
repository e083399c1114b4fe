/**
 * A model of what Godwit's activities do to two databases, for tests of control flow: who takes writes, what is left
 * behind, and levers that make a step fail or take long. Not a stand-in for Postgres: the activities have tests of
 * their own against real ones.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Decision } from '../../spec/verdict.js';
import type {
  Activities,
  ActivityName,
  DatabaseMove,
  Drift,
  SwitchInput,
  SwitchOutcome,
} from '../../activities/contract.js';
import { cancellation, heartbeat } from '../../activities/activity-context.js';
import { failure } from '../../activities/failure.js';
import { CancelledFailure } from '@temporalio/activity';
import type { FailureType } from '../../spec/failures.js';
import type { Finding } from '../../spec/findings.js';
import type { SideGrants } from '../../spec/grants.js';
import { rulesOf, type NormalDatabase, type NormalMigration } from '../../spec/normal.js';
import type { CertificateSummary, Primary, SwitchFigures, SyncFigures } from '../../spec/status.js';

/** What exists in the two databases for one scope. */
interface Scope {
  things: Set<'claim' | 'schema' | 'fence' | 'publication' | 'sync'>;
  primary: Primary;
}

export interface Call {
  activity: ActivityName;
  database: string | null;
  input: unknown;
}

interface Lever {
  activity: ActivityName;
  database?: string;
  /** How often it still works. */
  times: number;
  act: (input: unknown) => unknown;
}

export class ModelDatabases {
  readonly calls: Call[] = [];
  readonly scopes = new Map<string, Scope>();
  /** Moments at which both sides took writes, or rows were lost: must stay empty. */
  readonly broken: string[] = [];
  findings: Finding[] = [];
  grants: SideGrants = {
    unit: 'database/orders',
    side: 'source',
    role: 'mover',
    database: 'orders',
    serverVersion: '18.1',
    platform: 'postgres',
    superuser: false,
    statements: [
      { sql: 'ALTER ROLE "mover" REPLICATION', why: 'Makes slots.', held: false },
      { sql: 'GRANT pg_create_subscription TO "mover"', why: 'Makes subscriptions.', held: true },
    ],
    settings: [{ name: 'wal_level', found: 'replica', wanted: 'logical', how: 'a flag' }],
    impossible: [],
  };
  digest = 'sha256:model';
  problems: string[] = [];
  drift: Drift | null = null;
  stranger: string | null = null;
  lost: string | null = null;
  /** Clients that come past the pooler. */
  bypassing: string[] = [];
  overLimit: string | null = null;
  warnings: string[] = [];
  lagMs = 3;
  /** Sides whose materialized views were refreshed, in order; beside everything else, so not among the calls. */
  readonly refreshed: Primary[] = [];
  /** Views that can't be. */
  staleViews: string[] = [];
  /** A refresh lasts until this is so. */
  refreshing: Promise<void> = Promise.resolve();
  /** Nothing goes forward. */
  stalled = false;
  verdict: CertificateSummary['verdict'] = 'equal';
  /** Of the user's own, in words. */
  brokenRules: string[] = [];
  rulesNotAsked: string[] = [];
  /** What the judge says of every gate. */
  judged: Decision = 'pass';
  #levers: Lever[] = [];
  #running = new Map<ActivityName, number>();

  constructor(readonly normalOf: (document: unknown) => NormalMigration) {}

  // ── levers ──

  /** The next `times` calls fail like this. */
  fail(activity: ActivityName, type: FailureType, message: string, times = 1, database?: string): void {
    this.#pull({
      activity,
      times,
      act: () => {
        throw failure(type, message);
      },
      ...(database === undefined ? {} : { database }),
    });
  }

  /** The next call throws this, as an activity with a mistake would. */
  break(activity: ActivityName, error: unknown): void {
    this.#pull({
      activity,
      times: 1,
      act: () => {
        throw error;
      },
    });
  }

  /** The next switches undo themselves, `times` of them, or until the answer is called. */
  notNow(reason: string, times = 1): () => void {
    const lever: Lever = { activity: 'switchWrites', times, act: () => ({ kind: 'not-now', reason }) };
    this.#pull(lever);
    return () => void (lever.times = 0);
  }

  /** The next call runs until released; a cancel ends it, unless it is one that must not be cut short. */
  hold(activity: ActivityName, database?: string): { reached: Promise<void>; release: () => void } {
    let reach = (): void => undefined;
    let release = (): void => undefined;
    const reached = new Promise<void>((resolve) => (reach = resolve));
    const released = new Promise<void>((resolve) => (release = resolve));
    const act = async (): Promise<undefined> => {
      reach();
      await Promise.race([released, cancelled()]);
      return undefined;
    };
    this.#pull({ activity, times: 1, act, ...(database === undefined ? {} : { database }) });
    return { reached, release };
  }

  #pull(lever: Lever): void {
    this.#levers.push(lever);
  }

  // ── what a test asks ──

  count(activity: ActivityName, database?: string): number {
    return this.calls.filter(
      (call) => call.activity === activity && (database === undefined || call.database === database),
    ).length;
  }

  /** Activities in the order in which they began, without those that only look. */
  get order(): string[] {
    return this.calls.map(({ activity, database }) => (database === null ? activity : `${activity} ${database}`));
  }

  running(activity: ActivityName): number {
    return this.#running.get(activity) ?? 0;
  }

  get primaries(): Primary[] {
    return [...this.scopes.values()].map(({ primary }) => primary);
  }

  get leftBehind(): string[] {
    return [...this.scopes].flatMap(([key, { things }]) => [...things].map((thing) => `${key}: ${thing}`));
  }

  // ── the activities ──

  readonly activities: Activities = {
    normalize: (input) => this.#run('normalize', input, () => this.normalOf(input.document)),
    checkNamespace: () => this.#run('checkNamespace', null, () => undefined),
    preflightDatabase: (move) => this.#run('preflightDatabase', move, () => this.findings),
    grantsDatabase: (input) =>
      this.#run('grantsDatabase', input, () => [{ ...this.grants, platform: input.platform ?? this.grants.platform }]),
    preflightWorkers: (input) => this.#run('preflightWorkers', input, () => []),
    planDatabase: (move) =>
      this.#run('planDatabase', move, () => ({
        facts: {
          unit: move.database.unit,
          marks: move.migration,
          source: { systemIdentifier: '1', serverVersion: '15', database: move.database.name },
          target: { systemIdentifier: '2', serverVersion: '15', database: move.database.name },
          tables: 1,
          bytes: 1,
          rowsEstimate: 1,
          schemaSignature: 'model',
        },
        steps: [],
        findings: this.findings,
      })),
    assemblePlan: (input) =>
      this.#run('assemblePlan', input, () => ({
        version: 1 as const,
        name: input.normal.name,
        digest: this.digest,
        spec: input.normal,
        facts: input.parts.map((part) => part.facts),
        steps: [],
        findings: this.findings,
      })),
    observe: (move) =>
      this.#run('observe', move, () => {
        const { primary } = this.#scope(move);
        return {
          primary,
          authority: { source: null, target: null },
          replicating: primary === 'target' ? ('back' as const) : ('forward' as const),
          lagMs: this.lagMs,
          retainedBytes: 0,
          problems: this.problems,
          drift: this.drift,
          stranger: this.stranger,
          lost: this.lost,
          bypassing: this.bypassing,
          overLimit: this.overLimit,
          warnings: this.warnings,
          progress: this.stalled ? 'as before' : String(this.calls.length),
          waiting: [],
        };
      }),
    judge: (input) =>
      this.#run('judge', input, () => ({
        overall: input.gates.length === 0 ? ('pass' as const) : this.judged,
        gates: input.gates.map(({ name, onFailure }) => ({
          gate: name,
          verdict: this.judged === 'hold' ? ('no-data' as const) : this.judged,
          decision: this.judged,
          onFailure,
          explanation: `the model says: ${this.judged}`,
          figures: null,
          breachMs: 0,
        })),
        state: { version: 1 as const, gates: {} },
      })),
    adoptShape: (move) =>
      this.#run('adoptShape', move, () => {
        const adopted = this.drift !== null;
        this.drift = null;
        return { adopted };
      }),
    adoptPartitions: (move) => this.#run('adoptPartitions', move, () => ({ adopted: 0 })),
    acceptFailover: (move) =>
      this.#run('acceptFailover', move, () => {
        this.stranger = null;
        return { resync: this.#scope(move).primary === 'source' };
      }),
    giveUpSlot: (move) => this.#run('giveUpSlot', move, () => void (this.overLimit = null)),
    refreshViews: async ({ side }) => {
      this.refreshed.push(side);
      await this.refreshing;
      return { refreshed: 1, failed: this.staleViews };
    },
    checkReferences: (move) => this.#run('checkReferences', move, () => undefined),
    checkRules: (move) =>
      this.#run('checkRules', move, () => {
        const { asked, ignored } = rulesOf(move.database);
        return {
          asked: asked.length,
          held: asked.length - this.brokenRules.length - this.rulesNotAsked.length,
          broken: this.brokenRules,
          noted: [],
          notAsked: this.rulesNotAsked,
          ignored,
          primary: this.#scope(move).primary,
          lsn: '0/2',
          at: new Date().toISOString(),
          tookMs: 1,
        };
      }),
    claim: (move) => this.#make(move, 'claim', 'claim', { tables: 3 }),
    prepareSchema: (move) => this.#make(move, 'prepareSchema', 'schema', { created: 3 }),
    installFence: (move) => this.#make(move, 'installFence', 'fence', undefined),
    createPublication: (move) => this.#make(move, 'createPublication', 'publication', undefined),
    initialSync: (move) => this.#make(move, 'initialSync', 'sync', SYNCED),
    holdSnapshot: async (move) => {
      await this.#run('holdSnapshot', move, () => this.#scope(move).things.add('sync'));
      await cancelled();
    },
    copyRanges: (input) => this.#run('copyRanges', input, () => undefined),
    finishSync: (move) => this.#make(move, 'finishSync', 'sync', SYNCED),
    catchUp: (move) => this.#run('catchUp', move, () => ({ lagMs: 3 })),
    validate: (move) =>
      this.#run('validate', move, () => ({
        id: `certificate-${this.calls.length}`,
        verdict: this.verdict,
        tables: 3,
        rows: 30,
        differences: this.verdict === 'different' ? 1 : 0,
        lsn: '0/1',
        at: new Date().toISOString(),
        tookMs: 1,
      })),
    switchWrites: (input) => this.#run('switchWrites', input, () => this.#switch(input)),
    settle: (move) => this.#run('settle', move, () => ({ primary: this.#scope(move).primary })),
    finalizeDatabase: (move) => this.#run('finalizeDatabase', move, () => this.#scope(move).things.clear()),
    undoSwitch: (move) => this.#run('undoSwitch', move, () => void (this.#scope(move).primary = 'source')),
    undoInitialSync: (move) => this.#remove(move, 'undoInitialSync', 'sync'),
    undoPublication: (move) => this.#remove(move, 'undoPublication', 'publication'),
    undoFence: (move) => this.#remove(move, 'undoFence', 'fence'),
    undoSchema: (move) => this.#remove(move, 'undoSchema', 'schema'),
    undoClaim: (move) => this.#remove(move, 'undoClaim', 'claim'),
  };

  #scope(move: DatabaseMove): Scope {
    const known = this.scopes.get(move.key) ?? { things: new Set(), primary: 'source' };
    this.scopes.set(move.key, known);
    return known;
  }

  #make<T>(move: DatabaseMove, activity: ActivityName, thing: ThingName, result: T): Promise<T> {
    return this.#run(activity, move, () => {
      this.#scope(move).things.add(thing);
      return result;
    });
  }

  #remove(move: DatabaseMove, activity: ActivityName, thing: ThingName): Promise<void> {
    return this.#run(activity, move, () => {
      const scope = this.#scope(move);
      if (scope.primary === 'target') this.broken.push(`${activity} ran while the writes were on the target`);
      scope.things.delete(thing);
    });
  }

  #switch({ move, direction, mode, attempt }: SwitchInput): SwitchOutcome {
    const scope = this.#scope(move);
    for (const thing of ['claim', 'schema', 'fence', 'publication', 'sync'] as const) {
      if (!scope.things.has(thing)) this.broken.push(`switched without ${thing}`);
    }
    const figures: SwitchFigures = {
      direction,
      attempt,
      at: new Date().toISOString(),
      pauseMs: 25,
      fencedMs: 10,
      steps: [],
    };
    if (mode === 'rehearse') return { kind: 'rehearsed', figures };
    scope.primary = direction === 'forward' ? 'target' : 'source';
    return { kind: 'switched', figures };
  }

  /** A lever's answer, if it gives one, stands for the step's own. */
  async #run<T>(activity: ActivityName, input: unknown, step: () => T): Promise<T> {
    const database = databaseOf(input);
    this.calls.push({ activity, database, input });
    this.#running.set(activity, this.running(activity) + 1);
    try {
      const lever = this.#levers.find(
        (one) => one.activity === activity && one.times > 0 && (one.database ?? database) === database,
      );
      if (lever !== undefined) {
        lever.times -= 1;
        const answer = (await lever.act(input)) as T | undefined;
        if (answer !== undefined) return answer;
      }
      return step();
    } finally {
      this.#running.set(activity, this.running(activity) - 1);
    }
  }
}

const SYNCED: SyncFigures = { tables: 3, rows: 30, bytes: 300, copyMs: 1, indexMs: 1, rangesKept: 0 };

type ThingName = 'claim' | 'schema' | 'fence' | 'publication' | 'sync';

async function cancelled(): Promise<never> {
  for (;;) {
    heartbeat();
    if (cancellation().aborted) throw new CancelledFailure('cancelled');
    await sleep(20, undefined, { signal: cancellation() }).catch(() => undefined);
  }
}

function databaseOf(input: unknown): string | null {
  if (typeof input !== 'object' || input === null) return null;
  const move = 'move' in input ? input.move : input;
  if (typeof move !== 'object' || move === null || !('database' in move)) return null;
  const { database } = move as { database: NormalDatabase };
  return database.name;
}
