/** Starts the servers of a lab, those that don't run, on the ports they had before. */
import { join } from 'node:path';
import getPort from 'get-port';
import type { Components, OnProgress } from '../components.js';
import { PgBouncer } from '../pgbouncer.js';
import { PostgresServer } from '../postgres.js';
import { reported } from '../setup/progress.js';
import { createShopDatabase, fillShop, SHOP, type ShopSize } from '../shop/create.js';
import { answers, TemporalServer } from '../temporal.js';
import { isFree } from './port.js';
import { superuserUrl } from './environment.js';
import { identityOf, runs } from './process-identity.js';
import type { ComponentState, LabState } from './state.js';

export interface StartInput {
  /** Changed as servers start. */
  state: LabState;
  components: Components;
  size: ShopSize;
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
  const { state, components, size, onProgress } = input;
  const folder = (name: string): string => join(state.data, name);

  await reported(onProgress, { title: 'starting Temporal', expected: 'about 2 s' }, () => temporal(input));
  await reported(onProgress, { title: 'starting two Postgres servers', expected: 'about 3 s' }, () =>
    Promise.all([postgres(input, 'source'), postgres(input, 'target')]),
  );
  if (!state.filled) {
    const rows =
      size.customers * 1.33 + size.products + size.orders * 4 + size.accounts + size.transfers * 2 + size.events;
    const title = `filling the shop with ${Math.round(rows / 1_000)},000 rows`;
    await reported(onProgress, { title, expected: `about ${Math.ceil(rows / 120_000)} s` }, () => shop(input));
    state.filled = true;
    input.save();
  }
  await reported(onProgress, { title: 'starting PgBouncer', expected: 'less than 1 s' }, async () => {
    const source = state.components.find(({ name }) => name === 'source');
    if (!source) throw new Error('the lab has no source server');
    await ensure(input, 'pgbouncer', 'pgbouncer', join(folder('pgbouncer'), 'pgbouncer.log'), ({ port, detached }) =>
      PgBouncer.start({
        folder: folder('pgbouncer'),
        databases: { [SHOP.database]: { host: '127.0.0.1', port: source.port, dbname: SHOP.database } },
        users: { [SHOP.user]: SHOP.password },
        binary: components.pgbouncer,
        keepConfiguration: true,
        port,
        detached,
      }),
    );
  });
}

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

function postgres(input: StartInput, name: 'source' | 'target'): Promise<void> {
  const folder = join(input.state.data, name);
  return ensure(input, name, 'postgres', join(folder, 'postgres.log'), ({ port, detached }) =>
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
    const component = state.components.find((one) => one.name === name);
    if (!component) throw new Error(`the lab has no ${name} server`);
    const { port } = component;
    const server = { url: (database: string) => superuserUrl(port, database) };
    await createShopDatabase(server);
    if (name === 'source') await fillShop(server, size);
  }
}

/** Starts a server unless it runs, and remembers it from the first moment. */
async function ensure(
  { state, save }: StartInput,
  name: string,
  kind: ComponentState['kind'],
  log: string,
  start: (place: Place) => Promise<unknown>,
): Promise<void> {
  const known = state.components.find((component) => component.name === name);
  if (known?.process && runs(known.process)) return;
  const component: ComponentState = {
    name,
    kind,
    log,
    process: null,
    port: known ? await still(known.port, name) : await getPort({ host: '127.0.0.1' }),
    uiPort:
      kind === 'temporal'
        ? await (known?.uiPort ? still(known.uiPort, 'web UI') : getPort({ host: '127.0.0.1' }))
        : null,
  };
  state.components = [...state.components.filter((one) => one !== known), component];
  await start({
    port: component.port,
    uiPort: component.uiPort,
    detached: (pid) => {
      component.process = identityOf(pid);
      save();
    },
  });
}

/** A lab that was down comes back on its ports, since poolers, subscriptions and people's shells know them. */
async function still(port: number, name: string): Promise<number> {
  if (await isFree(port)) return port;
  throw new Error(
    `port ${port}, which the lab's ${name} had before, is taken by another program; stop that, or make a new lab`,
  );
}
