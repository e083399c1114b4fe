/** What a lab lays out for its user: the variables that workers and CLI need, and migrations of the shop. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { MigrationDocument } from '../../spec/schema.js';
import { SHOP } from '../shop/create.js';
import type { TrafficPlaces } from '../traffic-world.js';
import type { LabState } from './state.js';

export interface Environment extends Partial<TrafficEnvironment> {
  GODWIT_SOURCE_URL: string;
  GODWIT_TARGET_URL: string;
  GODWIT_PGBOUNCER_ADMIN_URL: string;
  TEMPORAL_ADDRESS: string;
  /** Where the shop's clients connect; nothing of Godwit reads it. */
  SHOP_URL: string;
}

/** Of a lab that serves traffic; those of AWS are in it as the SDK reads them. Nothing of Godwit reads the named ones. */
export interface TrafficEnvironment extends Record<string, string> {
  /** Where the shop's users go, by a name that SHOP_DNS knows. */
  SHOP_WEB_URL: string;
  /** `address:port` where resolvers of the shop's users begin. */
  SHOP_DNS: string;
  /** `PUT /behaviour` there makes green slow, faulty or down. */
  GREEN_CONTROL_URL: string;
}

export interface LabFiles {
  /** Read by `godwit worker` and by a shell: `. FILE`. */
  environment: string;
  /** For `godwit start`. */
  migration: string;
  /** As `migration`, with the traffic to the shop; null: this lab serves none. */
  whole: string | null;
}

export function filesIn(folder: string, state: LabState): LabFiles {
  return {
    environment: join(folder, 'environment'),
    migration: join(folder, 'shop.yaml'),
    whole: state.traffic === null ? null : join(folder, 'whole-shop.yaml'),
  };
}

export async function writeFiles(folder: string, state: LabState, environment: Environment): Promise<LabFiles> {
  const files = filesIn(folder, state);
  const lines = Object.entries(environment).map(([name, value]) => `export ${name}='${value}'`);
  await writeFile(files.environment, `${lines.join('\n')}\n`, { mode: 0o600 });
  const database = databaseOf(join(state.data, 'pgbouncer', 'pgbouncer.ini'));
  const about = "# Moves the lab's shop to the second server. The worker finds the URLs in its environment.\n";
  await writeFile(files.migration, about + stringify(documentOf('shop', { databases: { shop: database } })));
  const { traffic } = state;
  const prometheus = state.components.find(({ kind }) => kind === 'prometheus');
  if (files.whole !== null && traffic !== null && prometheus !== undefined) {
    const moved = { databases: { shop: database }, ...trafficOf(traffic, `http://127.0.0.1:${prometheus.port}`) };
    await writeFile(files.whole, WHOLE + stringify(documentOf('whole-shop', moved)));
  }
  return files;
}

const WHOLE = `\
# Moves the lab's whole shop: first its database, then its users to the green service, 10, 25, 50, 100 %, then its name to
# another load balancer. Each step is judged by what Prometheus says of green.
`;

const documentOf = (name: string, spec: MigrationDocument['spec']): MigrationDocument => ({
  apiVersion: 'godwit.dev/v1alpha1',
  kind: 'Migration',
  metadata: { name },
  spec,
});

const databaseOf = (configFile: string): NonNullable<MigrationDocument['spec']['databases']>[string] => ({
  source: { url: { env: 'GODWIT_SOURCE_URL' } },
  target: { url: { env: 'GODWIT_TARGET_URL' } },
  tables: { include: ['shop.*'] },
  endpoints: [{ pgbouncer: { admin: { env: 'GODWIT_PGBOUNCER_ADMIN_URL' }, database: SHOP.database, configFile } }],
  watch: { for: '1h' },
});

function trafficOf(
  { estate }: TrafficPlaces,
  prometheus: string,
): Pick<MigrationDocument['spec'], 'traffic' | 'metrics'> {
  const [blue, green] = [{ version: 'blue' }, { version: 'green' }];
  const hold = '10s';
  const gates: NonNullable<NonNullable<MigrationDocument['spec']['traffic']>[string]['gates']> = [
    { errorRatio: { absolute: '5%' }, minSamples: 20, window: '10s', sustained: '1s', consecutive: 2 },
    { latency: { quantile: 'p95', absolute: '2s' }, minSamples: 20, window: '10s', sustained: '5s', onFailure: 'hold' },
  ];
  return {
    metrics: { prom: { prometheus: { url: prometheus, template: 'http' } } },
    traffic: {
      web: {
        dependsOn: ['database/shop'],
        alb: { listener: estate.listener, metricPeriod: '1s' },
        blue: { targetGroup: estate.blueGroup, labels: blue },
        green: { targetGroup: estate.greenGroup, labels: green },
        steps: [10, 25, 50, 100].map((weight) => ({ weight, hold })),
        gates,
        every: '1s',
        // Once the name leads elsewhere nobody comes by here, and there is nothing to watch.
        watch: { for: '0s' },
      },
      names: {
        dependsOn: ['traffic/web'],
        route53: { zone: estate.zone.replace('/hostedzone/', ''), name: estate.www, type: 'CNAME', ttl: '1s' },
        green: { values: [estate.next.dnsName] },
        steps: [50, 100].map((weight) => ({ weight, hold })),
        every: '1s',
        watch: { for: '1h', every: '10s' },
      },
    },
  };
}
