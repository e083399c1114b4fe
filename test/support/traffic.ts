/** Units of traffic over the AWS stand-in: one account for a test file, with as many load balancers and zones as it needs. */
import {
  CreateListenerCommand,
  CreateRuleCommand,
  DescribeListenersCommand,
  DescribeRulesCommand,
  DescribeTagsCommand,
  ElasticLoadBalancingV2Client,
  type Action,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import {
  ChangeResourceRecordSetsCommand,
  ListResourceRecordSetsCommand,
  Route53Client,
  type Change,
  type ResourceRecordSet,
} from '@aws-sdk/client-route-53';
import { PATIENCE } from '../../activities/aws/patience.js';
import type { TrafficImage, TrafficMove } from '../../activities/traffic-contract.js';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import { makeWorld, type AwsWorld } from '../../lab/aws/world.js';
import type { NormalAlb, NormalRoute53, NormalTraffic } from '../../spec/normal-traffic.js';
import { scopeKey } from '../../spec/scope-key.js';
import { newAccount } from './aws.js';

/** What AWS takes in practice, in the time of a test. */
export function hurry(change: Partial<typeof PATIENCE> = {}): void {
  const soon = { stale: 400, secondLook: 20, readBack: 2_000, inSync: 2_500, listed: 600, released: 2_000 };
  Object.assign(PATIENCE, { ...soon, ...change });
}

/** The account that the activities of this file act in: as with a worker, its credentials are in the environment. */
export function useAccount(account = newAccount()): string {
  process.env['AWS_ACCESS_KEY_ID'] = account;
  process.env['AWS_SECRET_ACCESS_KEY'] = 'lab';
  return account;
}

let worlds = 0;
let listeners = 0;

/** A load balancer, two target groups and zones of their own. */
export function newWorld(
  aws: AwsProxy,
  account: string,
  ports = { blue: [9001, 9002], green: [9003] },
): Promise<AwsWorld> {
  worlds += 1;
  return makeWorld(aws, { account, name: `shop${worlds}`, domain: `shop${worlds}.example.com`, ...ports });
}

/** Another listener of the same load balancer, with a rule, over the same target groups; quicker made than a world. */
export async function newListener(aws: AwsProxy, world: AwsWorld): Promise<AwsWorld> {
  listeners += 1;
  const elb = new ElasticLoadBalancingV2Client(aws.observer(world));
  const actions: Action[] = [{ Type: 'forward', TargetGroupArn: world.blue.arn }];
  const made = await elb.send(
    new CreateListenerCommand({
      LoadBalancerArn: world.loadBalancer.arn,
      Protocol: 'HTTP',
      Port: 8_000 + listeners,
      DefaultActions: actions,
    }),
  );
  const listener = made.Listeners?.[0]?.ListenerArn ?? '';
  const Conditions = [{ Field: 'path-pattern', PathPatternConfig: { Values: ['/shop/*'] } }];
  const ruled = await elb.send(
    new CreateRuleCommand({ ListenerArn: listener, Priority: 10, Conditions, Actions: actions }),
  );
  return { ...world, listener, rule: ruled.Rules?.[0]?.RuleArn ?? '' };
}

function trafficOf(aws: AwsProxy, name: string, route: NormalTraffic['route'], role: string | null): NormalTraffic {
  return {
    name,
    unit: `traffic/${name}`,
    dependsOn: [],
    route,
    subject: { blue: { labels: {} }, green: { labels: {} } },
    aws: { region: null, role, endpoint: aws.url },
    steps: [{ weight: 100, hold: 0, approvals: 0, gates: [] }],
    every: 1_000,
    stall: 60_000,
    watch: { for: 0, every: 1_000, onFailure: 'hold', gates: [] },
    taskQueue: 'godwit',
  };
}

export function albMoveOf(
  aws: AwsProxy,
  world: AwsWorld,
  change: Partial<NormalAlb> = {},
  migration = 'shift',
  role: string | null = null,
): TrafficMove {
  const route: NormalAlb = {
    kind: 'alb',
    listener: world.listener,
    rules: null,
    blue: world.blue.arn,
    green: world.green.arn,
    settings: 'ignore',
    ...change,
  };
  const traffic = trafficOf(aws, 'web', route, role);
  return { migration, key: scopeKey(migration, traffic.unit), traffic };
}

export function recordMoveOf(
  aws: AwsProxy,
  world: Pick<AwsWorld, 'zone'>,
  change: Partial<NormalRoute53>,
  migration = 'shift',
): TrafficMove {
  const route: NormalRoute53 = {
    kind: 'route53',
    zone: world.zone.id,
    recordName: `shop.${world.zone.name.replace(/\.$/, '')}`,
    type: 'A',
    ttl: 60_000,
    blue: null,
    green: { setIdentifier: null, target: { values: ['10.0.1.1'] } },
    ...change,
  };
  const traffic = trafficOf(aws, 'dns', route, null);
  return { migration, key: scopeKey(migration, traffic.unit), traffic };
}

/** Past the stand-in's faults and the log of calls: what is there, and what somebody else does. */
export class Elsewhere {
  readonly elb: ElasticLoadBalancingV2Client;
  readonly route53: Route53Client;

  constructor(
    readonly aws: AwsProxy,
    readonly world: AwsWorld,
  ) {
    this.elb = new ElasticLoadBalancingV2Client(aws.observer(world));
    this.route53 = new Route53Client(aws.observer(world));
  }

  /** Listener and rules, byte by byte as the API shows them. */
  async listener(): Promise<string> {
    const { listener } = this.world;
    const { Listeners } = await this.elb.send(new DescribeListenersCommand({ ListenerArns: [listener] }));
    const { Rules } = await this.elb.send(new DescribeRulesCommand({ ListenerArn: listener }));
    return JSON.stringify({ Listeners, Rules });
  }

  async defaultActions(): Promise<Action[]> {
    const { Listeners } = await this.elb.send(new DescribeListenersCommand({ ListenerArns: [this.world.listener] }));
    return Listeners?.[0]?.DefaultActions ?? [];
  }

  /** By the last part of the target group's name; those of the default action. */
  async weights(): Promise<Record<string, number | undefined>> {
    const [forward] = (await this.defaultActions()).filter(({ Type }) => Type === 'forward');
    const groups = forward?.ForwardConfig?.TargetGroups ?? [];
    return Object.fromEntries(
      groups.map(({ TargetGroupArn = '', Weight }) => [TargetGroupArn.split('/')[1]?.split('-')[1] ?? '', Weight]),
    );
  }

  async tags(resource = this.world.listener): Promise<Record<string, string | undefined>> {
    const { TagDescriptions = [] } = await this.elb.send(new DescribeTagsCommand({ ResourceArns: [resource] }));
    return Object.fromEntries(
      TagDescriptions.flatMap(({ Tags = [] }) => Tags).map(({ Key = '', Value }) => [Key, Value]),
    );
  }

  records(): Promise<ResourceRecordSet[]> {
    return this.recordsOf(this.world.zone.id);
  }

  async recordsOf(zone: string): Promise<ResourceRecordSet[]> {
    const { ResourceRecordSets = [] } = await this.route53.send(
      new ListResourceRecordSetsCommand({ HostedZoneId: zone }),
    );
    return ResourceRecordSets.filter(({ Type }) => Type !== 'NS' && Type !== 'SOA');
  }

  changeRecords(...changes: Change[]): Promise<void> {
    return this.changeZone(this.world.zone.id, ...changes);
  }

  async changeZone(zone: string, ...changes: Change[]): Promise<void> {
    await this.route53.send(
      new ChangeResourceRecordSetsCommand({ HostedZoneId: zone, ChangeBatch: { Changes: changes } }),
    );
  }
}

/** As workflows keep it: nothing may be lost in between. */
export const throughHistory = (image: TrafficImage): TrafficImage => JSON.parse(JSON.stringify(image)) as TrafficImage;
