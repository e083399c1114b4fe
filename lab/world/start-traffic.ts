/** Starts what traffic moves through: moto, the process with AWS, edge, name servers and applications, and Prometheus. */
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MotoServer } from '../aws/moto.js';
import { moduleCommand } from '../module-command.js';
import { LabProcess } from '../process.js';
import { Prometheus } from '../prometheus.js';
import { scrapedOf, type TrafficPlaces, type TrafficWorldOptions } from '../traffic-world.js';
import { environmentOf } from './environment.js';
import { ensure, type StartInput } from './start.js';
import type { ComponentState } from './state.js';
import { stopAll } from './stop.js';

export interface TrafficComponents {
  /** Python that has moto. */
  python: string;
  /** Path of Prometheus. */
  prometheus: string;
}

/** Its parts say when they are there; on busy cores that takes several times the 4 s that it takes alone. */
const READY_MS = 120_000;
/** Requests are counted this often, so that people needn't wait minutes for what AWS sends by the minute. */
const METRIC_PERIOD_MS = 1_000;

/** What moto held is lost when it ends, so whatever was made in it is made anew. */
export async function startTraffic(input: StartInput, { python, prometheus }: TrafficComponents): Promise<void> {
  const { state } = input;
  const folder = join(state.data, 'traffic');
  await mkdir(folder, { recursive: true });
  const isNew = await ensure(input, 'moto', 'moto', join(folder, 'moto.log'), ({ port, detached }) =>
    MotoServer.start({ python, folder, port, detached }),
  );
  if (isNew) await stopAll(state.components.filter(({ kind }) => kind === 'traffic'));
  const isMade = await ensure(input, 'aws', 'traffic', join(folder, 'traffic.log'), async ({ port, detached }) => {
    state.traffic = await serve(input, folder, port, detached);
  });
  const { traffic: places } = state;
  if (places === null) throw new Error('it is not known where the traffic of this lab is; `godwit lab down` and `up`');
  if (isMade) await stopAll(state.components.filter(({ kind }) => kind === 'prometheus'));
  const metrics = join(state.data, 'prometheus');
  await ensure(input, 'prometheus', 'prometheus', join(metrics, 'prometheus.log'), ({ port, detached }) =>
    Prometheus.start({ folder: metrics, binary: prometheus, port, detached, jobs: scrapedOf(places.metrics) }),
  );
}

async function serve(
  { state }: StartInput,
  folder: string,
  port: number,
  detached: (pid: number) => void,
): Promise<TrafficPlaces> {
  const database = environmentOf({ ...state, traffic: null })?.SHOP_URL;
  const moto = state.components.find(({ kind }: ComponentState) => kind === 'moto')?.port;
  if (database === undefined || moto === undefined) throw new Error('traffic needs the whole lab');
  const options: TrafficWorldOptions = {
    folder,
    moto: `http://127.0.0.1:${moto}`,
    database,
    port,
    edge: { cloudWatchEveryMs: METRIC_PERIOD_MS, refreshEveryMs: 500 },
    names: { refreshEveryMs: 500 },
  };
  const file = join(folder, 'places.json');
  await rm(file, { force: true });
  const env = { ...process.env, TRAFFIC_OPTIONS: JSON.stringify(options), TRAFFIC_PLACES: file };
  const { command, args } = moduleCommand(import.meta.url, '../traffic/run');
  const log = join(folder, 'traffic.log');
  const started = LabProcess.start({ name: 'what serves the traffic', command, args, log, env, detached });
  let text = '';
  await started.ready(async () => (text = await readFile(file, 'utf8')) !== '', READY_MS);
  return JSON.parse(text) as TrafficPlaces;
}
