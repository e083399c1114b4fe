/** Places whose traffic whole migrations move, several side by side in one account: listeners, and records in zones of their own. */
import {
  CreateListenerCommand,
  CreateTargetGroupCommand,
  DescribeListenersCommand,
  ModifyListenerCommand,
  ModifyTargetGroupAttributesCommand,
  RegisterTargetsCommand,
  type Action,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { CreateHostedZoneCommand, type ResourceRecordSet } from '@aws-sdk/client-route-53';
import { groupsOf } from '../../activities/aws/alb/actions.js';
import type { Call } from '../../lab/aws/call.js';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import type { AwsWorld } from '../../lab/aws/world.js';
import { Elsewhere } from './traffic.js';
import type { TrafficDocument } from './traffic-runs.js';

/** What a test moves, looks at and puts back. */
export interface Place {
  name: string;
  /** But for its steps. */
  document: TrafficDocument;
  /** Whether a call is about this place and no other. */
  owns(call: Pick<Call, 'region' | 'parameters'>): boolean;
  /** All that users meet, and locks, as the API shows them. */
  image(): Promise<string>;
  /** What `image` is before anything, and once all is done. */
  before: string;
  after: string;
  /** Percent at green; null: green isn't attached. */
  weight(): Promise<number | null>;
  /** Somebody else's hand: as before. */
  restore(): Promise<void>;
}

let listeners = 0;

/** A listener with target groups of its own, at the load balancer of `world`. */
export class ListenerPlace implements Place {
  before = '';

  private constructor(
    readonly aws: AwsProxy,
    readonly elsewhere: Elsewhere,
    readonly name: string,
    readonly listener: string,
    readonly blue: string,
    readonly green: string,
  ) {}

  static async make(aws: AwsProxy, world: AwsWorld): Promise<ListenerPlace> {
    listeners += 1;
    const name = `place${listeners}x`;
    const elsewhere = new Elsewhere(aws, world);
    const [blue, green] = [await groupOf(elsewhere, `${name}-blue`), await groupOf(elsewhere, `${name}-green`)];
    const { Listeners } = await elsewhere.elb.send(
      new CreateListenerCommand({
        LoadBalancerArn: world.loadBalancer.arn,
        Protocol: 'HTTP',
        Port: 9_000 + listeners,
        DefaultActions: toBlue(blue),
      }),
    );
    const place = new ListenerPlace(aws, elsewhere, name, Listeners?.[0]?.ListenerArn ?? '', blue, green);
    place.before = await place.image();
    return place;
  }

  get document(): TrafficDocument {
    return {
      alb: { listener: this.listener, settings: 'compare', metricPeriod: '1s' },
      blue: { targetGroup: this.blue },
      green: { targetGroup: this.green },
      aws: { endpoint: this.aws.url },
    };
  }

  get after(): string {
    return this.before.replaceAll(this.blue, this.green);
  }

  owns({ parameters }: Pick<Call, 'region' | 'parameters'>): boolean {
    const text = JSON.stringify(parameters);
    return text.includes(this.listener) || text.includes(`/${this.name}-`);
  }

  async image(): Promise<string> {
    const { Listeners } = await this.elsewhere.elb.send(
      new DescribeListenersCommand({ ListenerArns: [this.listener] }),
    );
    return JSON.stringify({ Listeners, tags: await this.elsewhere.tags(this.listener) });
  }

  async actions(): Promise<Action[]> {
    const { Listeners } = await this.elsewhere.elb.send(
      new DescribeListenersCommand({ ListenerArns: [this.listener] }),
    );
    return Listeners?.[0]?.DefaultActions ?? [];
  }

  async weight(): Promise<number | null> {
    const groups = groupsOf(await this.actions());
    const whole = groups.reduce((sum, { Weight }) => sum + Weight, 0);
    const green = groups.find(({ TargetGroupArn }) => TargetGroupArn === this.green);
    return green === undefined ? null : Math.round((green.Weight * 100) / whole);
  }

  /** Somebody else's hand. */
  async forward(weights: Record<string, number>): Promise<void> {
    const TargetGroups = Object.entries(weights).map(([TargetGroupArn, Weight]) => ({ TargetGroupArn, Weight }));
    await this.modify([{ Type: 'forward', ForwardConfig: { TargetGroups } }]);
  }

  async restore(): Promise<void> {
    await this.modify(toBlue(this.blue));
  }

  async modify(DefaultActions: Action[]): Promise<void> {
    await this.elsewhere.elb.send(new ModifyListenerCommand({ ListenerArn: this.listener, DefaultActions }));
  }
}

const toBlue = (blue: string): Action[] => [{ Type: 'forward', TargetGroupArn: blue }];

/** With one target. */
export async function groupOf({ elb, world }: Elsewhere, Name: string): Promise<string> {
  const made = await elb.send(
    new CreateTargetGroupCommand({ Name, Protocol: 'HTTP', Port: 80, VpcId: world.vpc, TargetType: 'ip' }),
  );
  const TargetGroupArn = made.TargetGroups?.[0]?.TargetGroupArn ?? '';
  const Attributes = [{ Key: 'deregistration_delay.timeout_seconds', Value: '0' }];
  await elb.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn, Attributes }));
  await elb.send(new RegisterTargetsCommand({ TargetGroupArn, Targets: [{ Id: '127.0.0.1', Port: 9_001 }] }));
  return TargetGroupArn;
}

/** A simple record in a public zone of its own. Its calls are told by their region, which Route 53 has none of. */
export class RecordPlace implements Place {
  before = '';
  after = '';

  private constructor(
    readonly aws: AwsProxy,
    readonly elsewhere: Elsewhere,
    readonly zone: string,
    readonly name: string,
    readonly region: string,
  ) {}

  static async make(aws: AwsProxy, world: AwsWorld, number: number): Promise<RecordPlace> {
    const name = `place${number}.example.net`;
    const elsewhere = new Elsewhere(aws, world);
    const { HostedZone } = await elsewhere.route53.send(
      new CreateHostedZoneCommand({ Name: name, CallerReference: name }),
    );
    const zone = (HostedZone?.Id ?? '').replace('/hostedzone/', '');
    const place = new RecordPlace(aws, elsewhere, zone, `shop.${name}`, `eu-${String.fromCharCode(97 + number)}-1`);
    await elsewhere.changeZone(zone, { Action: 'CREATE', ResourceRecordSet: place.record(BLUE) });
    place.before = await place.image();
    place.after = place.before.replace(BLUE, GREEN);
    return place;
  }

  /** TTLs of a second, since each is waited out. */
  get document(): TrafficDocument {
    return {
      route53: { zone: this.zone, name: this.name, ttl: '1s' },
      green: { values: [GREEN] },
      aws: { endpoint: this.aws.url, region: this.region },
    };
  }

  record(value: string): ResourceRecordSet {
    return { Name: `${this.name}.`, Type: 'A', TTL: 1, ResourceRecords: [{ Value: value }] };
  }

  owns({ region }: Pick<Call, 'region' | 'parameters'>): boolean {
    return region === this.region;
  }

  async image(): Promise<string> {
    return JSON.stringify(await this.elsewhere.recordsOf(this.zone));
  }

  async weight(): Promise<number | null> {
    const records = await this.elsewhere.recordsOf(this.zone);
    const green = records.find(({ SetIdentifier }) => SetIdentifier === 'green');
    return green?.Weight ?? null;
  }

  async restore(): Promise<void> {
    const records = await this.elsewhere.recordsOf(this.zone);
    await this.elsewhere.changeZone(
      this.zone,
      ...records.map((ResourceRecordSet) => ({ Action: 'DELETE' as const, ResourceRecordSet })),
      { Action: 'CREATE', ResourceRecordSet: this.record(BLUE) },
    );
  }
}

export const BLUE = '10.0.0.1';
export const GREEN = '10.0.1.1';
