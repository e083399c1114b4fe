/** Starts the servers of a lab, those that don't run, on the ports they had before. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Components, OnProgress } from '../components.js';
import { moduleCommand } from '../module-command.js';
import { PgBouncer } from '../pgbouncer.js';
import { PostgresServer } from '../postgres.js';
import { LabProcess } from '../process.js';
import { reported } from '../setup/progress.js';
import { createShopDatabase, fillShop, SHOP, type ShopSize } from '../shop/create.js';
import { answers, TemporalServer } from '../temporal.js';
import { onFreePorts } from '../free-port.js';
import { isFree } from './port.js';
import { environmentOf, superuserUrl } from './environment.js';
import { identityOf, runs } from './process-identity.js';
import { startTraffic, type TrafficComponents } from './start-traffic.js';
import type { ComponentState, LabState } from './state.js';

/** Measured: 900,000 rows in 7 s on 2 cores. */
const ROWS_PER_SECOND = 120_000;

export interface StartInput {
  /** Changed as servers start. */
  state: LabState;
  components: Components;
  size: ShopSize;
  /** Requests a second that clients of the shop send for as long as the lab stands; null: none. */
  load: number | null;
  /** What the part that serves traffic needs; null: there is none. */
  traffic: TrafficComponents | null;
  onProgress: OnProgress;
  /** Writes `state` down. */
  save: () => void;
}

interface Place {
  port: number;
  uiPort: number | null;
  /** To be called as soon as the process is there. */
  detached: (pid: number) => void;
}

export async function startServers(input: StartInput): Promise<void> {
  const { state, size, onProgress } = input;
  const step = (title: string, expected: string, work: () => Promise<unknown>): Promise<unknown> =>
    reported(onProgress, { title, expected }, work);

  await step('starting Temporal', 'about 2 s', () => temporal(input));
  await step('starting two Postgres servers', 'about 3 s', () =>
    Promise.all([postgres(input, 'source'), postgres(input, 'target')]),
  );
  if (!state.filled) {
    const rows = rowsOf(size);
    const title = `filling the shop with ${Math.round(rows / 1_000)},000 rows`;
    await step(title, `about ${Math.ceil(rows / ROWS_PER_SECOND)} s`, () => shop(input));
    state.filled = true;
    input.save();
  }
  await step('starting PgBouncer', 'less than 1 s', () => pgbouncer(input));
  const { traffic, load: rate } = input;
  if (traffic !== null) {
    const title = 'starting AWS, a load balancer, name servers, Prometheus, and the shop as blue and green';
    await step(title, 'about 6 s', () => startTraffic(input, traffic));
  }
  if (rate !== null) await step(`starting ${rate} requests a second`, 'less than 1 s', () => load(input, rate));
}

/** Enough to keep two cores busy: eight answered no more requests a second, and waited for each other inside Postgres. */
const POOL_SIZE = '3';

async function pgbouncer(input: StartInput): Promise<void> {
  const folder = join(input.state.data, 'pgbouncer');
  const { port: source } = named(input.state, 'source');
  await ensure(input, 'pgbouncer', 'pgbouncer', join(folder, 'pgbouncer.log'), ({ port, detached }) =>
    PgBouncer.start({
      folder,
      databases: { [SHOP.database]: { host: '127.0.0.1', port: source, dbname: SHOP.database } },
      users: { [SHOP.user]: SHOP.secret },
      binary: input.components.pgbouncer,
      settings: { default_pool_size: POOL_SIZE },
      keepConfiguration: true,
      port,
      detached,
    }),
  );
}

/** Outlives us as the servers do, and keeps no record; what the demo measures with is another one. */
async function load(input: StartInput, rate: number): Promise<void> {
  const url = environmentOf(input.state)?.SHOP_URL;
  if (url === undefined) throw new Error('a load needs the whole lab');
  const log = join(input.state.data, 'load.log');
  await ensure(input, 'load', 'load', log, async ({ detached }) => {
    const { command, args } = moduleCommand(import.meta.url, '../load/run');
    const env = { ...process.env, SHOP_URL: url, LOAD_RATE: String(rate) };
    const started = LabProcess.start({ name: 'the load', command, args, log, env, detached });
    // Its first line says that all clients are connected.
    await started.ready(async () => (await readFile(log, 'utf8')).includes('"seconds"'));
  });
}

function named(state: LabState, name: string): ComponentState {
  const component = state.components.find((one) => one.name === name);
  if (!component) throw new Error(`the lab has no ${name} server`);
  return component;
}

const rowsOf = (size: ShopSize): number =>
  size.customers +
  size.customers / 3 +
  size.products +
  size.orders * 4 +
  size.accounts +
  size.transfers * 2 +
  size.events;

async function temporal(input: StartInput): Promise<void> {
  const { state, components } = input;
  if (components.temporal.kind === 'server') {
    const { address } = components.temporal;
    await answers(address).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(
        `TEMPORAL_ADDRESS is ${address}, where no Temporal answers (${why}); unset it for a server of the lab's own`,
      );
    });
    state.temporalAddress = address;
    input.save();
    return;
  }
  const binary = components.temporal.path;
  const folder = join(state.data, 'temporal');
  await ensure(input, 'temporal', 'temporal', join(folder, 'temporal.log'), ({ port, uiPort, detached }) =>
    TemporalServer.start({ binary, folder, port, uiPort, detached }),
  );
  state.temporalAddress = null;
}

async function postgres(input: StartInput, name: 'source' | 'target'): Promise<void> {
  const folder = join(input.state.data, name);
  await ensure(input, name, 'postgres', join(folder, 'postgres.log'), ({ port, detached }) =>
    PostgresServer.start({
      name,
      folder,
      port,
      detached,
      binaries: input.components.postgres,
      settings: { cluster_name: `'${name}'` },
    }),
  );
}

/** From nothing, since a filling that was interrupted left some of it. */
async function shop({ state, size }: StartInput): Promise<void> {
  for (const name of ['source', 'target']) {
    const { port } = named(state, name);
    const server = { url: (database: string) => superuserUrl(port, database) };
    await createShopDatabase(server);
    if (name === 'source') await fillShop(server, size);
  }
}

/** Starts a server unless it runs, and remembers it from the first moment. Answers whether it had to. */
export async function ensure(
  { state, save }: Pick<StartInput, 'state' | 'save'>,
  name: string,
  kind: ComponentState['kind'],
  log: string,
  start: (place: Place) => Promise<unknown>,
): Promise<boolean> {
  const known = state.components.find((component) => component.name === name);
  if (known?.process && runs(known.process)) return false;
  await onFreePorts(async (pick) => {
    const fresh = async (before: number | null | undefined, what: string): Promise<number> =>
      before ? still(before, what) : pick();
    const component: ComponentState = {
      name,
      kind,
      log,
      process: null,
      port: kind === 'load' ? 0 : await fresh(known?.port, name),
      uiPort: kind === 'temporal' ? await fresh(known?.uiPort, 'web UI') : null,
    };
    // Others start at the same time.
    state.components = [...state.components.filter((one) => one.name !== name), component];
    await start({
      port: component.port,
      uiPort: component.uiPort,
      detached: (pid) => {
        component.process = identityOf(pid);
        save();
      },
    });
  });
  return true;
}

/** A lab that was down comes back on its ports, since poolers, subscriptions and people's shells know them. */
async function still(port: number, name: string): Promise<number> {
  if (await isFree(port)) return port;
  throw new Error(
    `port ${port}, which the lab's ${name} had before, is taken by another program; stop that, or make a new lab`,
  );
}
