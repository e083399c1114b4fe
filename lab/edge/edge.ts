/**
 * The data plane of Application Load Balancers: it takes from the AWS API what they shall do, and does it on ports of this machine.
 * While the API doesn't answer it goes on with what it knew.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { CloudWatchClient, PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { ClientConfiguration } from '../aws/proxy.js';
import type { Random } from './choose.js';
import type { EdgeConfiguration, ListenerConfiguration } from './configuration.js';
import { Forwarder } from './forward.js';
import { LiveListener, type ListenerParts } from './listener.js';
import { EdgeMetrics, type HostCount } from './metrics.js';
import { readConfiguration } from './read.js';
import { LiveTargetGroup } from './target-group.js';
import type { Locate, TargetHealth } from './target.js';

export interface EdgeOptions {
  /** Each account and region whose load balancers it is. The API for the lab's own parts, which is never told to fail. */
  aws: ClientConfiguration[];
  /**
   * Where targets are on this machine, by `id:port` or by `id`: `{ '10.0.0.7:8080': '127.0.0.1:40123' }`. A loopback address is
   * itself; any other is an address without a host.
   */
  hosts?: Record<string, string>;
  /** @default 1000 */
  refreshEveryMs?: number;
  /** How long after it was read a change takes effect. AWS needs seconds. @default 0 */
  delayMs?: number;
  /**
   * How long a second of the API lasts: of health check intervals, deregistration delay, slow start and stickiness. Time-outs
   * are real ones, whatever this is. @default 1000
   */
  secondMs?: number;
  /** Null: CloudWatch gets nothing. ALB: a minute. @default 2000 */
  cloudWatchEveryMs?: number | null;
  random?: Random;
  onProblem?: (problem: string) => void;
}

/** An account in one region. */
interface Account {
  elb: ElasticLoadBalancingV2Client;
  cloudWatch: CloudWatchClient;
  /** Dimensions of its load balancers: whose figures are its own. */
  balancers: Set<string>;
}

const NAMESPACE = 'AWS/ApplicationELB';

/** Where a listener of the API is to be reached. */
export interface ListenerAddress {
  listenerArn: string;
  loadBalancerArn: string;
  dnsName: string;
  /** As the API has it. */
  apiPort: number;
  /** Each target group that it leads to has a healthy target: what an alias record with EvaluateTargetHealth looks at. */
  healthy: boolean;
  host: string;
  port: number;
}

export class Edge {
  readonly metrics = new EdgeMetrics(() => this.#hostCounts());
  readonly #options: Required<EdgeOptions>;
  readonly #accounts: Account[];
  readonly #parts: ListenerParts;
  readonly #listeners = new Map<string, LiveListener>();
  readonly #groups = new Map<string, LiveTargetGroup>();
  /** The last number of 127.0.1.x, by load balancer. */
  readonly #balancers = new Map<string, number>();
  /** Port of the API → port on this machine, the same for all load balancers. */
  readonly #ports = new Map<number, number>();
  readonly #ended = new AbortController();
  #hosts: Record<string, string>;
  #loops: Promise<void>[] = [];
  /** Readings of the API are numbered. */
  #begun = 0;
  #inEffect = 0;
  #last: Promise<void> = Promise.resolve();

  private constructor(options: EdgeOptions) {
    this.#options = {
      hosts: {},
      refreshEveryMs: 1_000,
      delayMs: 0,
      secondMs: 1_000,
      cloudWatchEveryMs: 2_000,
      random: Math.random,
      onProblem: (problem) => console.error(problem),
      ...options,
    };
    this.#hosts = this.#options.hosts;
    this.#accounts = options.aws.map((account) => ({
      elb: new ElasticLoadBalancingV2Client(account),
      cloudWatch: new CloudWatchClient(account),
      balancers: new Set(),
    }));
    this.#parts = {
      group: (arn) => this.#groups.get(arn),
      forwarder: new Forwarder(this.metrics),
      metrics: this.metrics,
      secondMs: this.#options.secondMs,
      random: this.#options.random,
    };
  }

  /** Listens on all ports when this answers. */
  static async start(options: EdgeOptions): Promise<Edge> {
    const edge = new Edge(options);
    await edge.refresh();
    edge.#loops = [edge.#follow(), edge.#report()];
    return edge;
  }

  get listeners(): ListenerAddress[] {
    return [...this.#listeners.values()].map(({ configuration, address }) => ({
      listenerArn: configuration.arn,
      loadBalancerArn: configuration.loadBalancer.arn,
      dnsName: configuration.loadBalancer.dnsName,
      apiPort: configuration.port,
      healthy: groupsOf(configuration).every((arn) => (this.#groups.get(arn)?.count('healthy') ?? 0) > 0),
      ...address,
    }));
  }

  /** Null: the edge knows no such group. */
  targetHealth(targetGroupArn: string): TargetHealth[] | null {
    return this.#groups.get(targetGroupArn)?.health ?? null;
  }

  /** Tells where targets are, on top of what is known. */
  place(hosts: Record<string, string>): void {
    this.#hosts = { ...this.#hosts, ...hosts };
  }

  /** Reads what there is to serve, and serves it at once. */
  refresh(): Promise<void> {
    return this.#take(0);
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await Promise.all([...this.#loops, this.#last]);
    for (const group of this.#groups.values()) group.close();
    await Promise.all([...this.#listeners.values()].map((listener) => listener.close()));
    for (const { elb, cloudWatch } of this.#accounts) {
      elb.destroy();
      cloudWatch.destroy();
    }
  }

  readonly #locate: Locate = ({ id, port }) => {
    const known = this.#hosts[`${id}:${port}`] ?? this.#hosts[id];
    if (known === undefined) return id.startsWith('127.') ? { host: id, port } : null;
    const [host = '', ownPort = String(port)] = known.split(':');
    return { host, port: Number(ownPort) };
  };

  async #follow(): Promise<void> {
    const { refreshEveryMs, delayMs } = this.#options;
    await this.#every(refreshEveryMs, () => this.#take(delayMs));
  }

  /** Readings may overtake each other; one that was begun before the newest in effect is dropped. */
  async #take(delayMs: number): Promise<void> {
    const number = (this.#begun += 1);
    const read = await this.#read();
    await this.#wait(delayMs);
    const done = this.#last.then(async () => {
      if (number < this.#inEffect || this.#ended.signal.aborted) return;
      this.#inEffect = number;
      await this.#apply(read);
    });
    this.#last = done.catch(() => undefined);
    await done;
  }

  async #read(): Promise<EdgeConfiguration> {
    const parts = await Promise.all(
      this.#accounts.map(async (account) => {
        const part = await readConfiguration(account.elb);
        account.balancers = new Set(part.listeners.map(({ loadBalancer }) => loadBalancer.dimension));
        return part;
      }),
    );
    return {
      listeners: parts.flatMap(({ listeners }) => listeners),
      targetGroups: parts.flatMap(({ targetGroups }) => targetGroups),
    };
  }

  async #report(): Promise<void> {
    const { cloudWatchEveryMs } = this.#options;
    if (cloudWatchEveryMs === null) return;
    await this.#every(cloudWatchEveryMs, async () => {
      const data = this.metrics.take();
      const put = this.#accounts.map(async ({ cloudWatch, balancers }) => {
        const own = data.filter(({ Dimensions }) => balancers.has(Dimensions?.at(-1)?.Value ?? ''));
        if (own.length === 0) return;
        await cloudWatch.send(new PutMetricDataCommand({ Namespace: NAMESPACE, MetricData: own }));
      });
      await Promise.all(put);
    });
  }

  async #every(ms: number, work: () => Promise<void>): Promise<void> {
    while (!this.#ended.signal.aborted) {
      await this.#wait(ms);
      if (this.#ended.signal.aborted) return;
      await work().catch(this.#complain);
    }
  }

  #wait(ms: number): Promise<void> {
    return sleep(ms, undefined, { signal: this.#ended.signal }).catch(() => undefined);
  }

  readonly #complain = (error: unknown): void => {
    if (!this.#ended.signal.aborted) this.#options.onProblem(error instanceof Error ? error.message : String(error));
  };

  async #apply({ listeners, targetGroups }: EdgeConfiguration): Promise<void> {
    const used = new Set(listeners.flatMap(groupsOf));
    for (const group of targetGroups) {
      const live = this.#groups.get(group.arn) ?? new LiveTargetGroup(group, this.#locate, this.#options.secondMs);
      this.#groups.set(group.arn, live);
      live.update(group, used.has(group.arn));
    }
    const wanted = new Map(listeners.map((listener) => [listener.arn, listener]));
    for (const [arn, live] of this.#listeners) {
      const listener = wanted.get(arn);
      if (listener?.port === live.configuration.port) live.configuration = listener;
      else {
        this.#listeners.delete(arn);
        await live.close();
      }
    }
    for (const [arn, listener] of wanted) {
      if (!this.#listeners.has(arn)) this.#listeners.set(arn, await this.#open(listener));
    }
    for (const [arn, live] of this.#groups) {
      if (targetGroups.some((group) => group.arn === arn)) continue;
      live.close();
      this.#groups.delete(arn);
    }
  }

  /**
   * Each load balancer has an address of its own, as in a real network, so that a name leads to it. Where a machine has only
   * 127.0.0.1, each listener has a port of its own instead.
   */
  async #open(listener: ListenerConfiguration): Promise<LiveListener> {
    const { arn } = listener.loadBalancer;
    const number = this.#balancers.get(arn) ?? this.#balancers.size + 1;
    this.#balancers.set(arn, number);
    const port = this.#ports.get(listener.port) ?? 0;
    const own = { host: `127.0.1.${number}`, port };
    const live = await LiveListener.open(listener, this.#parts, own).catch((error: unknown) => {
      if (!(error instanceof Error) || !('code' in error) || error.code !== 'EADDRNOTAVAIL') throw error;
      return LiveListener.open(listener, this.#parts, { host: '127.0.0.1', port: 0 });
    });
    this.#ports.set(listener.port, live.address.port);
    return live;
  }

  #hostCounts(): HostCount[] {
    return [...this.#listeners.values()].flatMap(({ configuration }) =>
      groupsOf(configuration).flatMap((arn) => {
        const group = this.#groups.get(arn);
        if (!group) return [];
        return {
          loadBalancer: configuration.loadBalancer.dimension,
          targetGroup: group.configuration.dimension,
          healthy: group.count('healthy'),
          unhealthy: group.count('unhealthy'),
        };
      }),
    );
  }
}

/** ARNs of the groups that some rule names, each once. */
function groupsOf({ rules }: ListenerConfiguration): string[] {
  return [
    ...new Set(rules.flatMap(({ action }) => (action.type === 'forward' ? action.groups.map(({ arn }) => arn) : []))),
  ];
}
