/**
 * Everything that traffic moves through, of real parts on this machine: a strict AWS, the data plane of its load balancers and of
 * its DNS, and the shop as blue and green over one database. A worker reaches it by `environment`.
 *
 *     const world = await TrafficWorld.start({ folder, moto, database });
 *     const load = await Load.start({ url: world.namedUrl, dns: world.nameServers.root, record });
 *     await world.green.behave({ errorRate: 0.05 });
 *     await world.stop();
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  ChangeResourceRecordSetsCommand,
  CreateHostedZoneCommand,
  Route53Client,
  type ResourceRecordSet,
} from '@aws-sdk/client-route-53';
import { AppProcess } from './app/app-process.js';
import { AwsProxy, type ClientConfiguration } from './aws/proxy.js';
import type { Place } from './dns/listener.js';
import { NameServers, type NameServersOptions } from './dns/name-servers.js';
import { Resolver } from './dns/resolver.js';
import { EdgeProcess } from './edge/edge-process.js';
import type { EdgeOptions } from './edge/edge.js';
import { Prometheus, type PrometheusOptions } from './prometheus.js';
import { forward, LoadBalancers, type MadeBalancer } from './traffic/load-balancers.js';

export interface TrafficWorldOptions {
  /** Of logs; made if missing. */
  folder: string;
  /** `MotoServer.url`. It may be shared: the world has an account of its own in it. */
  moto: string;
  /** Twelve digits. */
  account?: string;
  /** Of AWS. @default any that is free */
  port?: number;
  /** Of the shop, where both versions connect: a pooler that a cutover moves, or the server itself. */
  database: string;
  /** Path of its binary; null: nobody scrapes. @default null */
  prometheus?: string | null;
  edge?: Pick<EdgeOptions, 'refreshEveryMs' | 'delayMs' | 'secondMs' | 'cloudWatchEveryMs'>;
  names?: Pick<NameServersOptions, 'refreshEveryMs' | 'delaysMs'>;
}

/** What was made in the API before anything moves. */
export interface Estate {
  balancer: MadeBalancer;
  /** Its default action leads to blue; green's group is there, and attached to nothing. */
  listener: string;
  blueGroup: string;
  greenGroup: string;
  zone: string;
  /** An alias record of the load balancer. */
  name: string;
  /** A simple CNAME record of it, as a name has that shall move to another load balancer. */
  www: string;
  /** Another load balancer, which leads to green alone. */
  next: MadeBalancer;
}

export const ZONE = 'example.org';
const NAME = `shop.${ZONE}`;
const WWW = `www.${ZONE}`;
/** Seconds. */
const WWW_TTL = 5;
const BLUE = { id: '10.0.0.10', port: 8080 };
const GREEN = { id: '10.0.0.20', port: 8080 };

interface WorldParts {
  /** Takes orders to fail, to be slow, stale or throttled. */
  aws: AwsProxy;
  /** Of clients of that API. */
  account: ClientConfiguration;
  edge: EdgeProcess;
  nameServers: NameServers;
  /** For workers: they ask it by packets. */
  resolver: Resolver;
  blue: AppProcess;
  green: AppProcess;
  /** Its jobs are `edge` and `shop`; the latter's series have a label `version`. */
  prometheus: Prometheus | null;
  estate: Estate;
  /** Of the load balancer's listener, by its address. */
  url: string;
}

/** How another process reaches a world. */
export interface TrafficPlaces {
  /** With the name that users know: of `Estate.www`. */
  url: string;
  /** Where their resolvers begin. */
  dns: Place;
  /** Of a worker. */
  environment: Record<string, string>;
  estate: Estate;
  metrics: TrafficWorld['metrics'];
  /** Take `PUT /behaviour`. */
  controls: Record<'blue' | 'green', string>;
}

export class TrafficWorld {
  readonly aws: AwsProxy;
  readonly account: ClientConfiguration;
  readonly edge: EdgeProcess;
  readonly nameServers: NameServers;
  readonly resolver: Resolver;
  readonly blue: AppProcess;
  readonly green: AppProcess;
  readonly prometheus: Prometheus | null;
  readonly estate: Estate;
  readonly url: string;

  private constructor(parts: WorldParts) {
    this.aws = parts.aws;
    this.account = parts.account;
    this.edge = parts.edge;
    this.nameServers = parts.nameServers;
    this.resolver = parts.resolver;
    this.blue = parts.blue;
    this.green = parts.green;
    this.prometheus = parts.prometheus;
    this.estate = parts.estate;
    this.url = parts.url;
  }

  /** All of it answers, and blue is healthy. What was started stops again when something doesn't. */
  static async start(options: TrafficWorldOptions): Promise<TrafficWorld> {
    const started: (() => Promise<void>)[] = [];
    const stopping = <T>(part: T, stop: () => Promise<void>): T => {
      started.unshift(stop);
      return part;
    };
    try {
      return new TrafficWorld(await startParts(options, stopping));
    } catch (error) {
      for (const stop of started) await stop().catch(() => undefined);
      throw error;
    }
  }

  /** With the name that users know; who asks needs `nameServers.root`. */
  get namedUrl(): string {
    return `http://${this.estate.name}:${new URL(this.url).port}`;
  }

  /** Where Prometheus scrapes. */
  get metrics(): Record<'edge' | 'blue' | 'green', string> {
    return metricsOf(this);
  }

  /** Of a worker. */
  get environment(): Record<string, string> {
    const { endpoint, region, credentials } = this.account;
    const { address, port } = this.resolver.place;
    return {
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      GODWIT_DNS: `${address}:${port}`,
    };
  }

  get places(): TrafficPlaces {
    const { environment, estate, metrics, blue, green } = this;
    return {
      url: `http://${estate.www}:${new URL(this.url).port}`,
      dns: this.nameServers.root,
      environment,
      estate,
      metrics,
      controls: { blue: blue.controlUrl, green: green.controlUrl },
    };
  }

  /** What the API says takes effect now, at the edge and at the name servers. */
  async refresh(): Promise<void> {
    await this.edge.refresh();
    await this.nameServers.refresh();
  }

  async stop(): Promise<void> {
    await this.prometheus?.stop();
    await this.resolver.close();
    await this.nameServers.stop();
    await Promise.all([this.edge.stop(), this.blue.stop(), this.green.stop()]);
    await this.aws.stop();
  }
}

async function startParts(
  options: TrafficWorldOptions,
  stopping: <T>(part: T, stop: () => Promise<void>) => T,
): Promise<WorldParts> {
  const { folder, database } = options;
  await mkdir(folder, { recursive: true });
  const identity = options.account === undefined ? {} : { account: options.account };
  const aws = await AwsProxy.start({
    moto: options.moto,
    ...(options.port === undefined ? {} : { port: options.port }),
  });
  stopping(aws, () => aws.stop());
  const [blue, green] = await Promise.all(
    (['blue', 'green'] as const).map(async (version) => {
      const app = await AppProcess.start(folder, { version, database });
      return stopping(app, () => app.stop());
    }),
  );
  if (blue === undefined || green === undefined) throw new Error('the application did not start');

  const estate = await makeEstate(aws.observer(identity));
  const hosts = { [`${BLUE.id}:${BLUE.port}`]: blue.address, [`${GREEN.id}:${GREEN.port}`]: green.address };
  const edge = await EdgeProcess.start(folder, { ...options.edge, aws: [aws.observer(identity)], hosts });
  stopping(edge, () => edge.stop());
  aws.tell({ edge: edge.controlUrl });
  await edge.process.ready(async () =>
    (await edge.targetHealth(estate.blueGroup)).every(({ state }) => state === 'healthy'),
  );

  const nameServers = await NameServers.start({
    ...options.names,
    aws: [aws.observer(identity)],
    edge: edge.controlUrl,
  });
  stopping(nameServers, () => nameServers.stop());
  const resolver = await Resolver.listen({ root: nameServers.root });
  stopping(resolver, () => resolver.close());
  const binary = options.prometheus ?? null;
  const jobs = scrapedOf(metricsOf({ edge, blue, green }));
  const prometheus =
    binary === null ? null : await Prometheus.start({ folder: join(folder, 'prometheus'), binary, jobs });
  if (prometheus !== null) stopping(prometheus, () => prometheus.stop());
  const listener = (await edge.listeners()).find(({ listenerArn }) => listenerArn === estate.listener);
  if (listener === undefined) throw new Error('the edge does not serve the listener of the shop');
  const url = `http://${listener.host}:${listener.port}`;
  return { aws, account: aws.client(identity), edge, nameServers, resolver, blue, green, prometheus, estate, url };
}

function metricsOf({ edge, blue, green }: Pick<TrafficWorld, 'edge' | 'blue' | 'green'>): TrafficWorld['metrics'] {
  const page = ({ controlUrl }: { controlUrl: string }): string => `${controlUrl}/metrics`;
  return { edge: page(edge), blue: page(blue), green: page(green) };
}

/** Jobs of Prometheus. */
export function scrapedOf({ edge, ...shop }: TrafficWorld['metrics']): PrometheusOptions['jobs'] {
  const address = (url: string): string => new URL(url).host;
  return {
    edge: [{ address: address(edge) }],
    shop: Object.entries(shop).map(([version, url]) => ({ address: address(url), labels: { version } })),
  };
}

async function makeEstate(account: ClientConfiguration): Promise<Estate> {
  const elb = await LoadBalancers.in(account);
  const route53 = new Route53Client(account);
  try {
    const balancer = await elb.balancer('shop');
    const [blueGroup, greenGroup] = [await elb.targetGroup('shop-blue'), await elb.targetGroup('shop-green')];
    await elb.register(blueGroup, BLUE);
    await elb.register(greenGroup, GREEN);
    const listener = await elb.listener(balancer.arn, forward({ [blueGroup]: 1 }));
    const { HostedZone } = await route53.send(
      new CreateHostedZoneCommand({ Name: ZONE, CallerReference: balancer.arn }),
    );
    const zone = HostedZone?.Id ?? '';
    const alias = { HostedZoneId: balancer.zoneId, DNSName: balancer.dnsName, EvaluateTargetHealth: false };
    const records: ResourceRecordSet[] = [
      { Name: NAME, Type: 'A', AliasTarget: alias },
      { Name: WWW, Type: 'CNAME', TTL: WWW_TTL, ResourceRecords: [{ Value: balancer.dnsName }] },
    ];
    const Changes = records.map((one) => ({ Action: 'CREATE', ResourceRecordSet: one }) as const);
    await route53.send(new ChangeResourceRecordSetsCommand({ HostedZoneId: zone, ChangeBatch: { Changes } }));
    return { balancer, listener, blueGroup, greenGroup, zone, name: NAME, www: WWW, next: await nextBalancer(elb) };
  } finally {
    elb.close();
    route53.destroy();
  }
}

async function nextBalancer(elb: LoadBalancers): Promise<MadeBalancer> {
  const next = await elb.balancer('shop-next');
  // A target group belongs to one load balancer, so this has one of its own.
  const group = await elb.targetGroup('shop-next');
  await elb.register(group, GREEN);
  await elb.listener(next.arn, forward({ [group]: 1 }));
  return next;
}
