/** The command line against real workflows on the tests' Temporal server, with a model of the databases behind them. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { inject } from 'vitest';
import type { Activities } from '../../activities/contract.js';
import { run } from '../../clients/command-line.js';
import type { TaskQueues } from '../../spec/normal.js';
import type { StatusDocument } from '../../spec/status.js';
import { normalizeMigration } from '../../spec/normalize.js';
import { makeLog } from '../../workers/log.js';
import { startWorkers, type Workers } from '../../workers/run.js';
import { ModelDatabases } from './model-databases.js';
import { captureTerminal, type CaptureOptions } from './terminal.js';

export interface Outcome {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export class CliWorld {
  readonly model: ModelDatabases;
  readonly address = inject('temporalAddress');
  #workers: Workers | null = null;

  private constructor(
    readonly client: Client,
    readonly queues: TaskQueues,
    readonly folder: string,
  ) {
    this.model = new ModelDatabases((document) => {
      const answer = normalizeMigration(document);
      if (!answer.ok) throw new Error('the test wrote a wrong document');
      const databases = answer.normal.databases.map((database) => ({ ...database, taskQueues: queues }));
      return { ...answer.normal, databases };
    });
  }

  static async start(change: Partial<Activities> = {}): Promise<CliWorld> {
    const connection = await Connection.connect({ address: inject('temporalAddress') });
    const own = randomUUID().slice(0, 8);
    const queues = {
      light: `cli-${own}`,
      bulk: `cli-bulk-${own}`,
      snapshot: `cli-snapshot-${own}`,
      switch: `cli-switch-${own}`,
    };
    const world = new CliWorld(new Client({ connection }), queues, await mkdtemp(join(tmpdir(), 'godwit-cli-')));
    world.#workers = await startWorkers({
      address: world.address,
      queues: Object.values(queues),
      workflowQueue: queues.light,
      activities: { ...world.model.activities, ...change },
      log: makeLog('silent'),
      graceMs: 200,
    });
    return world;
  }

  async stop(): Promise<void> {
    await this.#workers?.stop();
    await this.client.connection.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** A specification with a name of its own, which is the id of its migration, too. */
  async specification(watchFor = '1h'): Promise<{ id: string; file: string }> {
    const id = `orders-${randomUUID().slice(0, 8)}`;
    const file = join(this.folder, `${id}.yaml`);
    await writeFile(
      file,
      `apiVersion: godwit.dev/v1alpha1
kind: Migration
metadata: {name: ${id}}
spec:
  databases:
    orders:
      source: {url: {env: SOURCE}}
      target: {url: {env: TARGET}}
      watch: {for: ${watchFor}, every: 1s}
`,
    );
    return { id, file };
  }

  async cli(words: string[], options: CaptureOptions = {}): Promise<Outcome> {
    const terminal = captureTerminal({ ...options, env: { USER: 'ann@ops', ...options.env } });
    const exitCode = await run([...words, '--address', this.address], terminal);
    return { exitCode, stdout: terminal.stdout, stderr: terminal.stderr };
  }

  /** A migration that waits at its first gate. */
  async atTheSwitch(watchFor?: string): Promise<string> {
    const { id, file } = await this.specification(watchFor);
    const started = await this.cli(['start', file, '--wait', '--task-queue', this.queues.light]);
    if (started.exitCode !== 3) throw new Error(`it didn't come to the gate:\n${started.stderr}`);
    return id;
  }

  /** One whose writes are on the target. */
  async switched(): Promise<string> {
    const id = await this.atTheSwitch();
    await this.cli(['approve', id, 'switch', '--confirm', id]);
    for (;;) {
      const status = await this.status(id);
      if (status.units[0]?.primary === 'target') return id;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async status(id: string): Promise<StatusDocument> {
    return this.client.workflow.getHandle(id).query('status');
  }
}
