/** Runs workflows on the tests' Temporal server, with a model of the databases behind them. */
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { randomUUID } from 'node:crypto';
import { inject } from 'vitest';
import type { MessageName } from '../../spec/messages.js';
import { QUERIES } from '../../spec/messages.js';
import type { NormalDatabase, NormalGate, NormalMigration, TaskQueues } from '../../spec/normal.js';
import type { MessageRecord, State, StatusDocument } from '../../spec/status.js';
import type { MigrationResult } from '../../workflows/migration.js';
import type { MigrationState } from '../../workflows/state.js';
import { ModelDatabases } from './model-databases.js';
import { OwnWorkers, type Served } from './own-workers.js';

/** Each look is a query, and so a task of the worker: 66 a second of ten migrations at once took all of two cores. */
const POLL_MS = 100;

/** What a test asks for; the rest is as short as a test wants it. */
export interface TestDocument {
  databases?: (Partial<NormalDatabase> & { name: string })[];
  gates?: NormalGate[];
  rollback?: number;
}

export const gate = (id: string, change: Partial<NormalGate> = {}): NormalGate => {
  const [stage, unit] = id.split(':');
  return {
    id,
    stage: stage === 'finalize' ? 'finalize' : 'switch',
    unit: unit === undefined ? null : `database/${unit.replace('database/', '')}`,
    approvals: 1,
    validFor: 86_400_000,
    ...change,
  };
};

export const NO_GATES = { gates: [] };

/** A validation with one rule of the user's own. */
export const RULED: NormalDatabase['validation'] = {
  parallelism: 2,
  leafRows: 1_000,
  lockTimeout: 2_000,
  exclude: [],
  rules: [{ kind: 'no-rows', name: 'paid', sql: 'select 1', on: ['source', 'target'], severity: null }],
  ruleTimeout: 60_000,
  ignoreRules: [],
};

export class Lab extends OwnWorkers {
  /** One for each migration, so that levers of one test don't reach into another. */
  readonly #models = new Map<string, ModelDatabases>();

  private constructor(
    client: Client,
    readonly queues: TaskQueues,
    address: string,
  ) {
    super(client, address);
  }

  static async start(): Promise<Lab> {
    const address = inject('temporalAddress');
    const connection = await Connection.connect({ address });
    const own = randomUUID().slice(0, 8);
    const queues = {
      light: `godwit-${own}`,
      bulk: `godwit-bulk-${own}`,
      snapshot: `godwit-snapshot-${own}`,
      switch: `godwit-switch-${own}`,
    };
    const lab = new Lab(new Client({ connection }), queues, address);
    await lab.startWorkers();
    return lab;
  }

  protected get served(): Served {
    return {
      queues: Object.values<string>({ ...this.queues }),
      workflowQueue: this.queues.light,
      activities: this.#routed(),
    };
  }

  /** A migration's model, by the id that its activities name. */
  model(id: string): ModelDatabases {
    const known = this.#models.get(id) ?? new ModelDatabases((document) => this.normal(document));
    this.#models.set(id, known);
    return known;
  }

  async migrate(
    document: TestDocument = {},
    prepare: (model: ModelDatabases) => void = () => undefined,
  ): Promise<Migration> {
    const id = `m-${randomUUID().slice(0, 8)}`;
    prepare(this.model(id));
    return this.startAs(id, { ...document, marks: id });
  }

  async startAs(id: string, input: unknown): Promise<Migration> {
    const handle = await this.client.workflow.start<(input: unknown) => Promise<MigrationResult>>('migration', {
      workflowId: id,
      taskQueue: this.queues.light,
      args: [input],
    });
    return new Migration(handle, this.model(id));
  }

  normal(document: unknown): NormalMigration {
    const {
      databases = [{ name: 'orders' }],
      gates = [gate('switch'), gate('finalize')],
      rollback = 60_000,
    } = document as TestDocument;
    return {
      version: 1,
      name: 'move-shop',
      databases: databases.map((database) => this.#database(database)),
      gates,
      rollback: { databases: rollback, infrastructure: rollback, services: rollback, traffic: rollback },
    };
  }

  #database({ name, ...change }: Partial<NormalDatabase> & { name: string }): NormalDatabase {
    return {
      name,
      unit: `database/${name}`,
      dependsOn: [],
      source: { env: 'SOURCE' },
      target: { env: 'TARGET' },
      tables: { include: ['*.*'], exclude: [] },
      schema: 'copy',
      endpoints: [],
      copy: { parallelism: 2, rangeSize: 16_777_216, rateLimit: null },
      cutover: { maxPause: 5_000, maxLag: 5_000, attempts: 3, waitBetweenAttempts: 20, window: null },
      watch: { for: 20, every: 10, validateEvery: null, onFailure: 'hold' },
      validation: { parallelism: 2, leafRows: 1_000, lockTimeout: 2_000, exclude: [] },
      taskQueues: this.queues,
      ...change,
    };
  }

  /** One set of activities for all: each call goes to the model of its migration. */
  #routed(): ModelDatabases['activities'] {
    const of = (input: unknown): ModelDatabases['activities'] => this.model(migrationOf(input)).activities;
    return {
      normalize: (input) => of(input).normalize(input),
      checkNamespace: () => Promise.resolve(),
      preflightDatabase: (move) => of(move).preflightDatabase(move),
      preflightWorkers: (input) => of(input).preflightWorkers(input),
      planDatabase: (move) => of(move).planDatabase(move),
      grantsDatabase: (input) => of(input).grantsDatabase(input),
      assemblePlan: (input) => of(input).assemblePlan(input),
      observe: (move) => of(move).observe(move),
      judge: (input) => of(input).judge(input),
      adoptShape: (move) => of(move).adoptShape(move),
      adoptPartitions: (move) => of(move).adoptPartitions(move),
      acceptFailover: (move) => of(move).acceptFailover(move),
      giveUpSlot: (move) => of(move).giveUpSlot(move),
      checkReferences: (move) => of(move).checkReferences(move),
      checkRules: (move) => of(move).checkRules(move),
      refreshViews: (input) => of(input.move).refreshViews(input),
      claim: (move) => of(move).claim(move),
      prepareSchema: (move) => of(move).prepareSchema(move),
      installFence: (move) => of(move).installFence(move),
      createPublication: (move) => of(move).createPublication(move),
      initialSync: (move) => of(move).initialSync(move),
      holdSnapshot: (move) => of(move).holdSnapshot(move),
      copyRanges: (input) => of(input).copyRanges(input),
      finishSync: (move) => of(move).finishSync(move),
      catchUp: (move) => of(move).catchUp(move),
      validate: (move) => of(move).validate(move),
      switchWrites: (input) => of(input).switchWrites(input),
      settle: (move) => of(move).settle(move),
      finalizeDatabase: (move) => of(move).finalizeDatabase(move),
      undoSwitch: (move) => of(move).undoSwitch(move),
      undoInitialSync: (move) => of(move).undoInitialSync(move),
      undoPublication: (move) => of(move).undoPublication(move),
      undoFence: (move) => of(move).undoFence(move),
      undoSchema: (move) => of(move).undoSchema(move),
      undoClaim: (move) => of(move).undoClaim(move),
    };
  }
}

/** Where an input names its migration: as a move, as a switch of one, as workers, as the document or the plan of a test. */
function migrationOf(input: unknown): string {
  return /"(?:migration|marks)":"([^"]+)"/.exec(JSON.stringify(input))?.[1] ?? '';
}

export class Migration {
  constructor(
    readonly handle: WorkflowHandle<(input: unknown) => Promise<MigrationResult>>,
    readonly model: ModelDatabases,
  ) {}

  get id(): string {
    return this.handle.workflowId;
  }

  status(): Promise<StatusDocument> {
    return this.handle.query<StatusDocument>(QUERIES.status);
  }

  state(): Promise<MigrationState> {
    return this.handle.query<MigrationState>(QUERIES.state);
  }

  /** Waits for a fact; says what was seen instead when it doesn't come. */
  async until(what: string, isSo: (status: StatusDocument) => boolean, timeoutMs = 60_000): Promise<StatusDocument> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const status = await this.status();
      if (isSo(status)) return status;
      if (Date.now() > deadline) {
        throw new Error(
          `waited for ${what}, and saw ${status.state} in ${status.stage}: ${status.reason ?? 'no reason'}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Fills the history with signals that change nothing, until the server suggests a new run: past 4 MB it does. */
  async fillHistory(): Promise<void> {
    const ballast = 'x'.repeat(200_000);
    for (let sent = 0; sent < 25; sent += 1) await this.handle.signal('godwit-note', ballast);
  }

  /** Waits for a fact that no query of the migration shows. */
  async untilFact(what: string, isSo: () => Promise<boolean>, timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!(await isSo())) {
      if (Date.now() > deadline) throw new Error(`waited for ${what} in vain`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  reaches(state: State): Promise<StatusDocument> {
    return this.until(state, (status) => status.state === state);
  }

  /** Waits at this gate. */
  reachesGate(id: string): Promise<StatusDocument> {
    return this.until(`the gate ${id}`, ({ gates }) => gates.some((one) => one.id === id && one.state === 'open'));
  }

  signal(name: MessageName, payload?: unknown): Promise<void> {
    return payload === undefined ? this.handle.signal(name) : this.handle.signal(name, payload);
  }

  send(name: MessageName, payload: unknown = {}): Promise<MessageRecord> {
    return this.handle.executeUpdate<MessageRecord, [unknown]>(name, { args: [payload] });
  }

  /** Why an update is refused. */
  async refused(name: MessageName, payload: unknown = {}): Promise<string> {
    try {
      await this.send(name, payload);
    } catch (error) {
      return error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    }
    throw new Error(`${name} was accepted`);
  }

  approve(gateId: string, by = 'ana'): Promise<MessageRecord> {
    return this.send('approve', { gate: gateId, confirm: 'move-shop', by });
  }

  async approveAtGate(gateId: string): Promise<void> {
    await this.reachesGate(gateId);
    await this.approve(gateId);
  }

  result(): Promise<MigrationResult> {
    return this.handle.result();
  }
}
