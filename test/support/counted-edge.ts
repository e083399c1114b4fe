/**
 * The data plane of load balancers in figures alone: every target is healthy, and requests are counted in CloudWatch as the weights
 * in the API say, as if somebody sent some hundred a second. For tests of many listeners at once, which real traffic would be too
 * much for; workflow-traffic has that.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { CloudWatchClient, PutMetricDataCommand, type MetricDatum } from '@aws-sdk/client-cloudwatch';
import {
  DescribeListenersCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { groupsOf } from '../../activities/aws/alb/actions.js';
import type { EdgeHealth } from '../../lab/aws/elbv2/targets.js';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import type { AwsWorld } from '../../lab/aws/world.js';

const COUNT_EVERY_MS = 400;
const REQUESTS = 400;

export class CountedEdge {
  /** Target groups whose targets fail their health checks. */
  readonly unhealthy = new Set<string>();
  /** Listeners to which nobody sends requests. */
  readonly idle = new Set<string>();
  readonly #ended = new AbortController();
  #loop: Promise<void> = Promise.resolve();

  private constructor(
    readonly server: Server,
    readonly elb: ElasticLoadBalancingV2Client,
    readonly cloudwatch: CloudWatchClient,
    readonly loadBalancer: string,
  ) {}

  /** Tells the stand-in to ask it for target health. */
  static async start(aws: AwsProxy, world: AwsWorld): Promise<CountedEdge> {
    const account = aws.observer(world);
    const server = createServer((request, response) => {
      const arn = new URL(request.url ?? '', 'http://edge').searchParams.get('targetGroupArn') ?? '';
      edge.#health(arn).then(
        (targets) => response.end(JSON.stringify(targets)),
        () => response.writeHead(503).end(),
      );
    });
    const edge = new CountedEdge(
      server,
      new ElasticLoadBalancingV2Client(account),
      new CloudWatchClient(account),
      world.loadBalancer.arn,
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    aws.tell({ edge: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
    edge.#loop = edge.#counting();
    return edge;
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#loop;
    this.elb.destroy();
    this.cloudwatch.destroy();
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  async #health(arn: string): Promise<EdgeHealth[]> {
    const answer = await this.elb.send(new DescribeTargetHealthCommand({ TargetGroupArn: arn }));
    const isBad = this.unhealthy.has(arn);
    return (answer.TargetHealthDescriptions ?? []).map(({ Target }) => ({
      targetId: Target?.Id ?? '',
      port: Target?.Port ?? 0,
      state: isBad ? 'unhealthy' : 'healthy',
      reason: isBad ? 'Target.Timeout' : null,
    }));
  }

  async #counting(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      // What could not be counted is a gap in the figures, as there are with AWS.
      await this.#count().catch(() => undefined);
      await sleep(COUNT_EVERY_MS, undefined, { signal: this.#ended.signal }).catch(() => undefined);
    }
  }

  async #count(): Promise<void> {
    const { Listeners = [] } = await this.elb.send(
      new DescribeListenersCommand({ LoadBalancerArn: this.loadBalancer }),
    );
    const Timestamp = new Date();
    const busy = Listeners.filter(({ ListenerArn = '' }) => !this.idle.has(ListenerArn));
    const MetricData = busy.flatMap(({ DefaultActions = [] }): MetricDatum[] => {
      const groups = groupsOf(DefaultActions);
      const whole = groups.reduce((sum, { Weight }) => sum + Weight, 0);
      return groups.map(({ TargetGroupArn, Weight }) => ({
        MetricName: 'RequestCount',
        Dimensions: [
          { Name: 'TargetGroup', Value: TargetGroupArn.split(':').at(-1) },
          { Name: 'LoadBalancer', Value: this.loadBalancer.split(':loadbalancer/').at(-1) },
        ],
        Timestamp,
        Unit: 'Count',
        Value: Math.round((REQUESTS * Weight) / whole),
      }));
    });
    if (MetricData.length === 0) return;
    await this.cloudwatch.send(new PutMetricDataCommand({ Namespace: 'AWS/ApplicationELB', MetricData }));
  }
}
