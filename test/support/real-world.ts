/**
 * The whole stack as users have it: workers in processes of their own, two Postgres servers, shops behind PgBouncer under
 * load, a Temporal server, and the command line. One of these for each test file; a shop for each test. Nothing of it is shared:
 * its workers serve Godwit's own task queues, and would take the work of another file's.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { inject } from 'vitest';
import { run } from '../../clients/command-line.js';
import { check, type SwitchWindow, type Verdict } from '../../lab/check.js';
import { Load } from '../../lab/load.js';
import { PgBouncer } from '../../lab/pgbouncer.js';
import { createShopDatabase, fillShop, SHOP, SMALL_SIZE, type ShopSize } from '../../lab/shop/create.js';
import { TemporalServer } from '../../lab/temporal.js';
import type { MigrationDocument } from '../../spec/schema.js';
import type { Primary, StatusDocument, UnitStatus } from '../../spec/status.js';
import type { MigrationState } from '../../workflows/state.js';
import { catalogOf } from './catalog.js';
import type { Outcome } from './cli-world.js';
import { Faults } from './faults.js';
import { startPair, type ServerPair } from './postgres.js';
import { captureTerminal, type CaptureOptions } from './terminal.js';
import { WorkerProcess } from './worker-process.js';

const execute = promisify(execFile);

export type DatabaseDocument = NonNullable<MigrationDocument['spec']['databases']>[string];

export interface ShopOptions {
  size?: ShopSize;
  /** On top of the shop's part of the specification. */
  change?: Partial<DatabaseDocument>;
  settings?: Record<string, string>;
}

/** A database with rows on the source, an empty one on the target, and a pooler before them. */
export interface Shop {
  name: string;
  pooler: PgBouncer;
  /** Its part of a specification. */
  database: DatabaseDocument;
  /** What both catalogs held before any migration. */
  found: Catalogs;
}

export interface Catalogs {
  source: string[];
  target: string[];
}

/** Long enough for a machine that does other things as well. */
const PATIENCE_MS = 120_000;
const POLL_MS = 50;
/** Requests a second: enough that a lost one would show, and little beside the rest on 2 cores. */
export const RATE = 150;

let shops = 0;

export class RealWorld {
  static readonly #all = new Set<RealWorld>();
  readonly #workers: WorkerProcess[] = [];
  readonly #poolers: PgBouncer[] = [];
  readonly #loads: Load[] = [];

  private constructor(
    readonly pair: ServerPair,
    readonly server: TemporalServer,
    readonly client: Client,
    readonly folder: string,
    readonly faults: Faults,
    /** How many workers it began with. */
    readonly began: { built?: number; faulty?: number },
  ) {
    RealWorld.#all.add(this);
  }

  get address(): string {
    return this.server.address;
  }

  /** @param workers how many of the build; `faulty` ones heed `faults` */
  static async start(workers: { built?: number; faulty?: number }): Promise<RealWorld> {
    const folder = await mkdtemp(join(tmpdir(), 'godwit-e2e-'));
    await chmod(folder, 0o755);
    let seen = (): Promise<string> => Promise.resolve('nothing has begun');
    const [pair, server, faults] = await Promise.all([
      // One apply worker at most is started in this time, whichever subscription wants it; its default is 5 s.
      startPair({ wal_retrieve_retry_interval: '200ms' }),
      TemporalServer.start({ binary: inject('temporalBinary'), folder: join(folder, 'temporal'), uiPort: null }),
      Faults.make(() => seen()),
    ]);
    const connection = await Connection.connect({ address: server.address });
    const world = new RealWorld(pair, server, new Client({ connection }), folder, faults, workers);
    seen = () => world.#seen();
    await Promise.all([
      ...Array.from({ length: workers.built ?? 0 }, () => world.addWorker()),
      ...Array.from({ length: workers.faulty ?? 0 }, () => world.addFaultyWorker()),
    ]);
    return world;
  }

  /** What a test that failed has left must not be met by the next one, nor by itself when it is tried again. */
  static async forgetAll(): Promise<void> {
    await Promise.all([...RealWorld.#all].map((world) => world.#forget()));
  }

  async #forget(): Promise<void> {
    for (const workflowId of await this.#running()) {
      // it may end meanwhile
      await this.client.workflow
        .getHandle(workflowId)
        .terminate('its test has failed')
        .catch(() => undefined);
    }
    await this.faults.clear();
    await Promise.all(this.#loads.map((load) => load.kill()));
    const { built = 0, faulty = 0 } = this.began;
    while (this.workers.length < built + faulty) await (faulty > 0 ? this.addFaultyWorker() : this.addWorker());
  }

  async stop(): Promise<void> {
    RealWorld.#all.delete(this);
    await Promise.all(this.#workers.map((worker) => worker.kill()));
    await Promise.all(this.#loads.map((load) => load.kill()));
    await Promise.all(this.#poolers.map((pooler) => pooler.stop()));
    await this.client.connection.close();
    await Promise.all([this.pair.destroy(), this.server.stop('SIGKILL'), this.faults.remove()]);
    await rm(this.folder, { recursive: true, force: true });
  }

  // ── workers ──

  get workers(): WorkerProcess[] {
    return this.#workers.filter(({ alive }) => alive);
  }

  /** Of all workers there ever were. */
  get logs(): string[] {
    return this.#workers.map(({ log }) => log);
  }

  /** @param queues those of Godwit by default */
  async addWorker(queues?: string[]): Promise<WorkerProcess> {
    return this.#add(queues === undefined ? {} : { queues });
  }

  async addFaultyWorker(): Promise<WorkerProcess> {
    return this.#add({ faults: this.faults.folder });
  }

  async #add(how: { faults?: string; queues?: string[] }): Promise<WorkerProcess> {
    const worker = await WorkerProcess.start({ folder: this.folder, address: this.address, ...how });
    this.#workers.push(worker);
    return worker;
  }

  // ── shops ──

  async shop({ size = SMALL_SIZE, change = {}, settings = {} }: ShopOptions = {}): Promise<Shop> {
    shops += 1;
    const name = `shop-${process.pid}-${shops}`;
    const { source, target } = this.pair;
    await createShopDatabase(source, name);
    await createShopDatabase(target, name);
    await fillShop(source, size, name);
    const pooler = await PgBouncer.start({
      folder: join(this.folder, `pgbouncer-${name}`),
      databases: { [name]: { host: '127.0.0.1', port: source.port, dbname: name } },
      users: { [SHOP.user]: SHOP.password },
      settings,
    });
    this.#poolers.push(pooler);
    const database: DatabaseDocument = {
      source: { url: await this.secret(source.url(name)) },
      target: { url: await this.secret(target.url(name)) },
      tables: { include: ['shop.*'] },
      endpoints: [
        {
          pgbouncer: { admin: await this.secret(pooler.adminUrl), database: name, configFile: pooler.configFile },
        },
      ],
      cutover: { attempts: 20, waitBetweenAttempts: '200ms' },
      watch: { for: '1h', every: '500ms', validateEvery: 'none' },
      ...change,
    };
    return { name, pooler, database, found: await this.catalogs(name) };
  }

  #secrets = 0;

  /** A secret in a file, as the specification refers to it. */
  async secret(text: string): Promise<{ file: string }> {
    this.#secrets += 1;
    const file = join(this.folder, `secret-${this.#secrets}`);
    await writeFile(file, `${text}\n`, { mode: 0o600 });
    return { file };
  }

  async catalogs(name: string): Promise<Catalogs> {
    const [source, target] = await Promise.all([catalogOf(this.pair.source, name), catalogOf(this.pair.target, name)]);
    return { source, target };
  }

  /** Requests of the shop's clients through its pooler, until `verdict`. */
  async load(shop: Shop, rate = RATE): Promise<Load> {
    const record = join(this.folder, `${shop.name}-${this.#loads.length}.record`);
    const load = await Load.start({ url: shop.pooler.url(shop.name, SHOP.user, SHOP.password), record, rate });
    this.#loads.push(load);
    return load;
  }

  /** Ends the load and holds its record against the database that is primary now. */
  async verdict(shop: Shop, load: Load, primary: Primary, switches: SwitchWindow[]): Promise<Verdict> {
    await load.stop();
    return check({ record: await load.record(), primary: this.pair[primary].url(shop.name), switches });
  }

  /** A file as a user writes it, of one shop or several. Its name is the migration's id, too. */
  async specification(
    databases: Record<string, DatabaseDocument>,
    gates: MigrationDocument['spec']['gates'] = {},
    metrics: MigrationDocument['spec']['metrics'] = {},
  ): Promise<{ id: string; file: string; document: MigrationDocument }> {
    shops += 1;
    const id = `move-${process.pid}-${shops}`;
    const document: MigrationDocument = {
      apiVersion: 'godwit.dev/v1alpha1',
      kind: 'Migration',
      metadata: { name: id },
      spec: { databases, gates, metrics },
    };
    const file = join(this.folder, `${id}.json`);
    await writeFile(file, JSON.stringify(document));
    return { id, file, document };
  }

  // ── driving it ──

  /** The code of the command line, and what it said. */
  async godwit(words: string[], options: CaptureOptions = {}): Promise<Outcome> {
    const terminal = captureTerminal({ ...options, env: { USER: 'ann@ops', ...options.env } });
    const exitCode = await run([...words, '--address', this.address], terminal);
    return { exitCode, stdout: terminal.stdout, stderr: terminal.stderr };
  }

  /** As `godwit`, where only success will do. */
  async must(words: string[], exitCode = 0): Promise<Outcome> {
    const outcome = await this.godwit(words);
    if (outcome.exitCode === exitCode) return outcome;
    throw new Error(
      `godwit ${words.join(' ')} ended with ${outcome.exitCode}, not ${exitCode}:\n${outcome.stdout}\n${outcome.stderr}`,
    );
  }

  /** Temporal's own command line. */
  async temporal(...words: string[]): Promise<string> {
    const connection = ['--address', this.address, '--disable-config-file', '--disable-config-env'];
    const { stdout } = await execute(inject('temporalBinary'), [...words, ...connection], { maxBuffer: 64 << 20 });
    return stdout;
  }

  status(id: string): Promise<StatusDocument> {
    return this.client.workflow.getHandle(id).query<StatusDocument>('status');
  }

  state(id: string): Promise<MigrationState> {
    return this.client.workflow.getHandle(id).query<MigrationState>('state');
  }

  /** Waits for a fact; says what was seen instead when it doesn't come. */
  async until(
    id: string,
    what: string,
    isSo: (status: StatusDocument, unit: UnitStatus) => boolean,
  ): Promise<UnitStatus> {
    const deadline = Date.now() + PATIENCE_MS;
    let seen: string | undefined;
    for (;;) {
      try {
        const status = await this.status(id);
        const [unit] = status.units;
        if (unit !== undefined && isSo(status, unit)) return unit;
        seen = `${status.state} in ${status.stage}: ${status.reason ?? 'no reason'}`;
      } catch (error) {
        // No worker answers just now, or the workflow isn't there yet.
        seen = String(error);
      }
      if (Date.now() > deadline) throw new Error(`waited for ${what}, and saw ${seen ?? 'nothing'}`);
      await sleep(POLL_MS);
    }
  }

  atGate(id: string, gate: string): Promise<UnitStatus> {
    return this.until(id, `the gate ${gate}`, ({ gates }) =>
      gates.some((one) => one.id === gate && one.state === 'open'),
    );
  }

  switched(id: string, primary: Primary, switches: number): Promise<UnitStatus> {
    return this.until(
      id,
      `switch ${switches}, to the ${primary}`,
      (_, unit) => unit.primary === primary && unit.switches.length === switches,
    );
  }

  /** Ids of the workflows that run, of a migration and its children or of all. */
  async #running(id?: string): Promise<string[]> {
    const found: string[] = [];
    const query = `ExecutionStatus = 'Running'${id === undefined ? '' : ` and WorkflowId starts_with '${id}'`}`;
    for await (const { workflowId } of this.client.workflow.list({ query })) found.push(workflowId);
    return found;
  }

  async #activitiesOf(workflowId: string) {
    const { raw } = await this.client.workflow.getHandle(workflowId).describe();
    return raw.pendingActivities ?? [];
  }

  /** In few words, for the message of an error: who runs, what they wait for, and why the last attempt failed. */
  async #seen(): Promise<string> {
    const lines = [`${this.workers.length} of ${this.#workers.length} workers are alive`];
    for (const workflowId of await this.#running()) {
      const waits = (await this.#activitiesOf(workflowId)).map(
        ({ activityType, attempt, lastFailure }) =>
          `${activityType?.name ?? ''} in attempt ${attempt ?? 0}, ${lastFailure?.message ?? 'without a failure'}`,
      );
      const status = await this.status(workflowId).catch(() => undefined);
      const problems = (status?.units ?? []).flatMap(({ problem }) => (problem === null ? [] : [problem.message]));
      lines.push([workflowId, status?.state ?? '', status?.reason ?? '', ...problems, ...waits].join(': '));
    }
    return lines.join('\n');
  }

  /** Finished ranges of tables to which the load only adds: all of them but the last can be kept. */
  async keepable(shop: Shop): Promise<number> {
    const tables = await Promise.all(['customers', 'orders', 'ledger_entry'].map((table) => this.ranges(shop, table)));
    return tables.reduce((sum, ranges) => sum + Math.max(0, ranges - 1), 0);
  }

  /** Activities of a migration and its children that run or wait, each with the process that runs it. */
  async pending(id: string): Promise<{ activity: string; pid: number }[]> {
    const found: { activity: string; pid: number }[] = [];
    for (const workflowId of await this.#running(id)) {
      for (const { activityType, lastWorkerIdentity } of await this.#activitiesOf(workflowId)) {
        found.push({ activity: activityType?.name ?? '', pid: Number.parseInt(lastWorkerIdentity ?? '', 10) });
      }
    }
    return found;
  }

  /** Finished ranges of the copy, of all tables or of one. */
  async ranges({ name }: Shop, table = '%'): Promise<number> {
    const target = this.pair.target;
    const there = await target.query(`select to_regclass('godwit.copy_range') is not null as so`, [], name);
    if (there[0]?.['so'] !== true) return 0;
    const done = `select from godwit.copy_range where state = 'done' and table_name like $1`;
    return (await target.query(done, [table], name)).length;
  }

  /** Process of the worker that has the workflow in its cache. */
  async holder(id: string): Promise<number> {
    const { events } = await this.client.workflow.getHandle(id).fetchHistory();
    const done = events?.findLast((event) => event.workflowTaskCompletedEventAttributes);
    return Number.parseInt(done?.workflowTaskCompletedEventAttributes?.identity ?? '', 10);
  }

  /** Answers how the workflow of a migration ended. */
  async ended(id: string): Promise<string> {
    const { status } = await this.client.workflow.getHandle(id).describe();
    return status.name;
  }

  /** Waits for a fact of one database. */
  async fact(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    while (!(await isSo())) {
      if (Date.now() > deadline) throw new Error(`waited for ${what} in vain; ${await this.#seen()}`);
      await sleep(POLL_MS);
    }
  }
}

/** The writes may have moved at any moment of some work, whose figures are kept nowhere: those of an undo. */
export async function during(work: () => Promise<unknown>): Promise<SwitchWindow> {
  const from = Date.now() * 1_000;
  await work();
  return { from, to: Date.now() * 1_000 };
}

/** What must be so of a verdict, whatever else happened. */
export const NOTHING_LOST = { lost: [], doubled: [], unexpected: [], misplaced: [], twoWriters: [], doubts: [] };
