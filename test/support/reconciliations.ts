/** Runs reconciliations on the tests' Temporal server, by workflows and by the command line, over a model of the databases. */
import { randomUUID } from 'node:crypto';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { inject } from 'vitest';
import { run } from '../../clients/command-line.js';
import { QUERIES, type MessageName } from '../../spec/messages.js';
import type { ReconciliationDocument } from '../../spec/reconciliation-schema.js';
import type { RepairSummary, RunSummary } from '../../spec/reconciliation.js';
import type { State, StatusDocument } from '../../spec/status.js';
import { ModelReconciliation, type RunActivities } from './model-reconciliation.js';
import { OwnWorkers, type Served } from './own-workers.js';
import { captureTerminal, type CaptureOptions } from './terminal.js';

const POLL_MS = 50;
const temporalCli = promisify(execFile);

export interface Outcome {
  exitCode: number;
  stdout: string;
  stderr: string;
}

type Spec = Partial<ReconciliationDocument['spec']>;

export class ReconciliationLab extends OwnWorkers {
  /** By name of the reconciliation, so that levers of one test don't reach into another. */
  readonly #models = new Map<string, ModelReconciliation>();

  private constructor(
    client: Client,
    readonly queues: { light: string; bulk: string },
    readonly folder: string,
  ) {
    super(client, inject('temporalAddress'));
  }

  static async start(): Promise<ReconciliationLab> {
    const connection = await Connection.connect({ address: inject('temporalAddress') });
    const own = randomUUID().slice(0, 8);
    // As a specification names them by `taskQueue`.
    const queues = { light: `godwit-r-${own}`, bulk: `godwit-r-${own}-bulk` };
    const folder = await mkdtemp(join(tmpdir(), 'godwit-reconcile-'));
    const lab = new ReconciliationLab(new Client({ connection }), queues, folder);
    await lab.startWorkers();
    return lab;
  }

  protected get served(): Served {
    const { light, bulk } = this.queues;
    return { queues: [light, bulk], workflowQueue: light, activities: this.#routed() };
  }

  override async stop(): Promise<void> {
    await super.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  model(name: string): ModelReconciliation {
    const known = this.#models.get(name) ?? new ModelReconciliation(this.queues);
    this.#models.set(name, known);
    return known;
  }

  /** A document with a name that no other test has, its file, and its model. */
  async reconciliation(spec: Spec = {}): Promise<Reconciliation> {
    const name = `shop-${randomUUID().slice(0, 8)}`;
    const document: ReconciliationDocument = {
      apiVersion: 'godwit.dev/v1alpha1',
      kind: 'Reconciliation',
      metadata: { name },
      spec: { source: { url: { env: 'SOURCE' } }, target: { url: { env: 'TARGET' } }, ...spec },
    };
    const file = join(this.folder, `${name}.json`);
    await writeFile(file, JSON.stringify(document, null, 2));
    return { name, document, file, model: this.model(name) };
  }

  async start<R extends RunSummary | RepairSummary = RunSummary>(
    input: unknown,
    type = 'reconciliation',
  ): Promise<StartedRun<R>> {
    const handle = await this.client.workflow.start<(input: unknown) => Promise<R>>(type, {
      workflowId: `r-${randomUUID().slice(0, 8)}`,
      taskQueue: this.queues.light,
      args: [input],
    });
    return new StartedRun(handle);
  }

  async cli(words: string[], options: CaptureOptions = {}): Promise<Outcome> {
    const terminal = captureTerminal({ ...options, env: { USER: 'ann@ops', ...options.env } });
    const exitCode = await run([...words, '--address', this.address], terminal);
    return { exitCode, stdout: terminal.stdout, stderr: terminal.stderr };
  }

  /** Temporal's own CLI. */
  async temporal(...words: string[]): Promise<string> {
    const connection = ['--address', this.address, '--disable-config-file', '--disable-config-env'];
    const { stdout } = await temporalCli(inject('temporalBinary'), [...words, ...connection]);
    return stdout;
  }

  /** One set of activities for all: each call goes to the model of its reconciliation. */
  #routed(): RunActivities {
    const of = (input: unknown): RunActivities => this.model(nameIn(input)).activities;
    return {
      checkNamespace: () => Promise.resolve(),
      normalizeReconciliation: (input) => of(input).normalizeReconciliation(input),
      reconcile: (input) => of(input).reconcile(input),
      repair: (input) => of(input).repair(input),
      undoRepair: (input) => of(input).undoRepair(input),
      forgetReconciliation: (input) => of(input).forgetReconciliation(input),
    };
  }
}

/** In documents and in normal forms, the first name is that of the reconciliation. */
function nameIn(input: unknown): string {
  return /"name":"(shop-[^"]+)"/.exec(JSON.stringify(input))?.[1] ?? '';
}

export interface Reconciliation {
  name: string;
  document: ReconciliationDocument;
  file: string;
  model: ModelReconciliation;
}

export class StartedRun<R> {
  constructor(readonly handle: WorkflowHandle<(input: unknown) => Promise<R>>) {}

  status(): Promise<StatusDocument> {
    return this.handle.query<StatusDocument>(QUERIES.status);
  }

  async reaches(state: State): Promise<StatusDocument> {
    for (;;) {
      const status = await this.status();
      if (status.state === state) return status;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async send(name: MessageName, payload: unknown = {}): Promise<void> {
    await this.handle.executeUpdate<unknown, [unknown]>(name, { args: [payload] });
  }

  result(): Promise<R> {
    return this.handle.result();
  }

  /** What it fails with, innermost. */
  async failure(): Promise<{ type: string; message: string }> {
    try {
      await this.handle.result();
    } catch (error) {
      let inner = error as Error & { type?: string };
      while (inner.cause instanceof Error) inner = inner.cause;
      return { type: inner.type ?? '', message: inner.message };
    }
    throw new Error('it did not fail');
  }
}

/** Waits for a fact. */
export async function untilFact(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  timeoutMs = 60_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`waited for ${what} in vain`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
