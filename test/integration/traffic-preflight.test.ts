import {
  AddTagsCommand,
  CreateRuleCommand,
  CreateTargetGroupCommand,
  ModifyListenerCommand,
  ModifyLoadBalancerAttributesCommand,
  ModifyTargetGroupAttributesCommand,
  RegisterTargetsCommand,
  type CreateTargetGroupCommandInput,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { ChangeTagsForResourceCommand, type ResourceRecordSet } from '@aws-sdk/client-route-53';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { forgetClients } from '../../activities/aws/clients.js';
import { preflightTraffic } from '../../activities/aws/preflight/preflight.js';
import { trafficActivities } from '../../activities/aws/traffic.js';
import type { TrafficMove } from '../../activities/traffic-contract.js';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import { makeNetwork, type AwsWorld } from '../../lab/aws/world.js';
import { startAws } from '../support/aws.js';
import { NameServers } from '../support/name-servers.js';
import { albMoveOf, Elsewhere, hurry, newListener, newWorld, recordMoveOf, useAccount } from '../support/traffic.js';

let aws: AwsProxy;
let account: string;
let shared: AwsWorld;
let elsewhere: Elsewhere;
let dns: NameServers;
beforeAll(async () => {
  hurry();
  account = useAccount();
  aws = await startAws({ rates: {}, route53: { inSyncAfterMs: 10 } });
  shared = await newWorld(aws, account);
  dns = await NameServers.start(shared.zone.name, shared.zone.nameServers);
});
afterAll(async () => {
  await dns.stop();
  await aws.stop();
});
afterEach(() => {
  aws.heal();
  forgetClients();
});

/** Ids and evidence of what is found, in order. */
const found = async (move: TrafficMove): Promise<[string, string][]> =>
  (await preflightTraffic(move)).map(({ id, evidence }) => [id, evidence]);
const like = (text: RegExp): string => expect.stringMatching(text) as string;

describe('preflight of a load balancer', () => {
  let world: AwsWorld;
  beforeEach(async () => {
    world = await newListener(aws, shared);
    elsewhere = new Elsewhere(aws, world);
  });
  let groups = 0;
  async function newGroup(change: Partial<CreateTargetGroupCommandInput> = {}, ports = [9_010]): Promise<string> {
    groups += 1;
    const input = {
      Name: `group${groups}`,
      Protocol: 'HTTP' as const,
      Port: 80,
      VpcId: world.vpc,
      TargetType: 'ip' as const,
    };
    const made = await elsewhere.elb.send(new CreateTargetGroupCommand({ ...input, ...change }));
    const arn = made.TargetGroups?.[0]?.TargetGroupArn ?? '';
    const Targets = ports.map((Port) => ({ Id: '127.0.0.1', Port }));
    if (ports.length > 0) await elsewhere.elb.send(new RegisterTargetsCommand({ TargetGroupArn: arn, Targets }));
    return arn;
  }

  test('finds nothing where all is as it should be, before and while the traffic moves', async () => {
    const move = albMoveOf(aws, world, { settings: 'compare' });
    expect(await found(move)).toEqual([]);
    const image = await trafficActivities.captureTraffic(move);
    await trafficActivities.lockTraffic({ move, image });
    await trafficActivities.setTraffic({ move, image, from: null, to: 10 });
    expect(await found(move)).toEqual([]);
    expect(await found(albMoveOf(aws, world, {}, 'other'))).toMatchObject(
      [
        ['alb-traffic-elsewhere', like(/-blue 90, .*-green 10/)],
        ['alb-locked', like(/has the tag godwit\.dev\/lock\/.* of shift/)],
      ].sort(),
    );
    await trafficActivities.undoTraffic({ move, image });
  });

  test('finds what is not there', async () => {
    const move = albMoveOf(aws, world, {
      listener: `${world.listener.slice(0, -4)}0000`,
      green: `${world.green.arn.slice(0, -4)}0000`,
    });
    expect(await found(move)).toEqual([
      ['alb-not-found', like(/DescribeListeners: ListenerNotFound/)],
      ['alb-not-found', like(/DescribeTargetGroups: TargetGroupNotFound/)],
    ]);
  });

  test('finds a green in another network, without targets, or of another kind', async () => {
    const { vpc } = await makeNetwork(aws, shared);
    const far = await newGroup({ VpcId: vpc });
    expect(await found(albMoveOf(aws, world, { green: far }))).toEqual([
      ['green-in-other-vpc', like(new RegExp(`-blue is in ${world.vpc}, group\\d+ in ${vpc}`))],
    ]);
    const empty = await newGroup({ ProtocolVersion: 'HTTP2' }, []);
    expect(await found(albMoveOf(aws, world, { green: empty }))).toEqual([
      ['green-without-targets', like(/has no registered target/)],
      ['green-protocol-version', like(/is spoken to by HTTP HTTP1, group\d+ by HTTP HTTP2/)],
    ]);
    const tcp = await newGroup({ Protocol: 'TCP' });
    expect(await found(albMoveOf(aws, world, { green: tcp }))).toEqual([
      ['green-protocol', like(/has the protocol TCP; expected HTTP or HTTPS/)],
    ]);
  });

  test('finds a green that is used elsewhere', async () => {
    const other = await newWorld(aws, account);
    await new Elsewhere(aws, other).elb.send(
      new ModifyListenerCommand({
        ListenerArn: other.listener,
        DefaultActions: [{ Type: 'forward', TargetGroupArn: other.green.arn }],
      }),
    );
    expect((await found(albMoveOf(aws, world, { green: other.green.arn }))).map(([id]) => id)).toEqual([
      'green-in-other-vpc',
      'green-on-other-load-balancer',
    ]);
    const Conditions = [{ Field: 'path-pattern', PathPatternConfig: { Values: ['/beta/*'] } }];
    const green = await newGroup();
    const actions = [{ Type: 'forward' as const, TargetGroupArn: green }];
    await elsewhere.elb.send(
      new CreateRuleCommand({ ListenerArn: world.listener, Priority: 20, Conditions, Actions: actions }),
    );
    expect(await found(albMoveOf(aws, world, { green }))).toEqual([
      ['green-serves-already', like(/listener-rule.*: forward to group\d+$/)],
    ]);
  });

  test('finds settings that differ, unless they are to be made equal or left', async () => {
    const green = await newGroup({ HealthCheckPath: '/other' });
    const Attributes = [
      { Key: 'slow_start.duration_seconds', Value: '60' },
      { Key: 'deregistration_delay.timeout_seconds', Value: '3600' },
    ];
    await elsewhere.elb.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn: green, Attributes }));
    expect(await found(albMoveOf(aws, world, { green, settings: 'compare' }))).toEqual([
      [
        'green-settings-differ',
        like(
          /deregistration_delay\.timeout_seconds: green has 3600, blue has \d+; slow_start\.duration_seconds: green has 60, blue has 0; .*HealthCheckPath: green has \/other, blue has \/health/,
        ),
      ],
    ]);
    expect(await found(albMoveOf(aws, world, { green, settings: 'apply' }))).toEqual([]);
    expect(await found(albMoveOf(aws, world, { green, settings: 'ignore' }))).toEqual([]);
  });

  test('finds who else manages the listener, and stickiness', async () => {
    const Tags = [
      { Key: 'elbv2.k8s.aws/cluster', Value: 'main' },
      { Key: 'team', Value: 'shop' },
    ];
    await elsewhere.elb.send(new AddTagsCommand({ ResourceArns: [world.listener], Tags }));
    const TargetGroupStickinessConfig = { Enabled: true, DurationSeconds: 3_600 };
    const ForwardConfig = {
      TargetGroups: [{ TargetGroupArn: world.blue.arn, Weight: 1 }],
      TargetGroupStickinessConfig,
    };
    await elsewhere.elb.send(
      new ModifyListenerCommand({ ListenerArn: world.listener, DefaultActions: [{ Type: 'forward', ForwardConfig }] }),
    );
    expect(await found(albMoveOf(aws, world))).toEqual([
      ['alb-managed-elsewhere', like(/elbv2\.k8s\.aws\/cluster=main \(the AWS Load Balancer Controller\)$/)],
      ['alb-stickiness', like(/keeps users for 3600 s$/)],
    ]);
  });

  test('finds refused credentials and missing rights, once each', async () => {
    const move = albMoveOf(aws, world);
    aws.fail({ fault: { kind: 'expired credentials' }, times: Infinity });
    const [first] = await preflightTraffic(move);
    expect(first).toMatchObject({ id: 'aws-credentials', severity: 'error', unit: 'traffic/web', side: 'endpoint' });
    aws.heal();
    const denied = { kind: 'error', code: 'AccessDenied', status: 403, message: 'no policy allows it' } as const;
    aws.fail({ operation: 'DescribeTags', fault: denied, times: Infinity });
    expect(await found(move)).toEqual([
      ['aws-permission', like(/may not elasticloadbalancing:DescribeTags: no policy allows it/)],
    ]);
  });
});

describe('preflight of records', () => {
  let name: string;
  let tests = 0;
  beforeEach(() => {
    tests += 1;
    name = `look${tests}.${shared.zone.name}`;
    elsewhere = new Elsewhere(aws, shared);
    dns.delegated = shared.zone.nameServers;
  });
  const moveOf = (migration = 'shift'): TrafficMove =>
    recordMoveOf(aws, shared, { recordName: name.slice(0, -1) }, migration);
  const create = (change: Partial<ResourceRecordSet> = {}): Promise<void> =>
    elsewhere.changeRecords({
      Action: 'CREATE',
      ResourceRecordSet: { Name: name, Type: 'A', TTL: 300, ResourceRecords: [{ Value: '10.0.0.1' }], ...change },
    });

  test('finds nothing where all is as it should be, and a migration that holds it', async () => {
    await create();
    const move = moveOf();
    expect(await found(move)).toEqual([]);
    const image = await trafficActivities.captureTraffic(move);
    await trafficActivities.lockTraffic({ move, image });
    await trafficActivities.setTraffic({ move, image, from: null, to: 10 });
    expect(await found(move)).toEqual([]);
    expect((await found(moveOf('other'))).map(([id]) => id)).toEqual(['record-locked', 'record-traffic-elsewhere']);
  });

  test('finds what can not be moved', async () => {
    expect(await found(moveOf())).toEqual([['record-not-movable', like(/^there is no A look\d+/)]]);
    await create({ SetIdentifier: 'eu', Region: 'eu-west-1' });
    expect(await found(moveOf())).toEqual([['record-not-movable', like(/has latency routing/)]]);
    const hidden = recordMoveOf(aws, shared, { zone: shared.privateZone.id });
    expect((await found(hidden))[0]).toEqual(['record-not-movable', like(/is private/)]);
    const nowhere = recordMoveOf(aws, shared, { zone: 'Z0000000000000' });
    expect(await found(nowhere)).toEqual([['record-not-found', like(/NoSuchHostedZone/)]]);
  });

  test('finds a zone that is delegated elsewhere, and name servers that can not be asked', async () => {
    await create();
    dns.delegated = ['ns1.registrar.example'];
    expect(await found(moveOf())).toEqual([['record-delegated-elsewhere', like(/nobody asks this zone/)]]);
    onTestFinished(() => {
      process.env['GODWIT_DNS'] = `127.0.0.1:${dns.port}`;
    });
    process.env['GODWIT_DNS'] = '127.0.0.99:1';
    expect(await found(moveOf())).toEqual([['dns-unreachable', like(/127\.0\.0\.99 \(port 1\) did not answer/)]]);
  });

  test('finds external-dns and others who manage it, aliases and long times to live', async () => {
    await create({ TTL: 86_400 });
    await elsewhere.changeRecords({
      Action: 'CREATE',
      ResourceRecordSet: {
        Name: `a-${name}`,
        Type: 'TXT',
        TTL: 300,
        ResourceRecords: [{ Value: '"heritage=external-dns,external-dns/owner=main"' }],
      },
    });
    const AddTags = [{ Key: 'managed-by', Value: 'terraform' }];
    const zone = { ResourceType: 'hostedzone' as const, ResourceId: shared.zone.id };
    const untag = new ChangeTagsForResourceCommand({ ...zone, RemoveTagKeys: ['managed-by'] });
    onTestFinished(async () => {
      await elsewhere.route53.send(untag);
    });
    await elsewhere.route53.send(new ChangeTagsForResourceCommand({ ...zone, AddTags }));
    expect(await found(moveOf())).toEqual([
      ['record-managed-elsewhere', like(/^TXT a-look\d+.* says "heritage=external-dns/)],
      ['record-managed-elsewhere', like(/managed-by=terraform \(Terraform\)$/)],
      ['record-long-ttl', like(/^the TTL is 86400 s: 1d pass/)],
    ]);
    await elsewhere.route53.send(untag);
    const { dnsName, zoneId } = shared.loadBalancer;
    name = `alias${tests}.${shared.zone.name}`;
    await elsewhere.changeRecords({
      Action: 'CREATE',
      ResourceRecordSet: {
        Name: name,
        Type: 'A',
        AliasTarget: { DNSName: dnsName, HostedZoneId: zoneId, EvaluateTargetHealth: true },
      },
    });
    expect((await found(moveOf())).map(([id]) => id)).toEqual(['record-alias']);
  });

  test('finds load balancers behind aliases that are set up in different ways, and says when one can not be seen', async () => {
    const other = await newWorld(aws, account);
    const aliasOf = ({ loadBalancer }: AwsWorld, before = '') => ({
      dnsName: `${before}${loadBalancer.dnsName}`.toLowerCase(),
      zone: loadBalancer.zoneId,
      evaluateTargetHealth: true,
    });
    const { dnsName, zone } = aliasOf(shared, 'dualstack.');
    await create({
      TTL: undefined,
      ResourceRecords: undefined,
      AliasTarget: { DNSName: dnsName, HostedZoneId: zone, EvaluateTargetHealth: true },
    });
    const to = (alias: ReturnType<typeof aliasOf>): TrafficMove =>
      recordMoveOf(aws, shared, { recordName: name.slice(0, -1), green: { setIdentifier: null, target: { alias } } });
    expect((await found(to(aliasOf(other)))).map(([id]) => id)).toEqual(['record-alias']);
    await new Elsewhere(aws, other).elb.send(
      new ModifyLoadBalancerAttributesCommand({
        LoadBalancerArn: other.loadBalancer.arn,
        Attributes: [
          { Key: 'idle_timeout.timeout_seconds', Value: '300' },
          { Key: 'deletion_protection.enabled', Value: 'true' },
        ],
      }),
    );
    expect(await found(to(aliasOf(other)))).toEqual([
      [
        'record-load-balancers-differ',
        like(
          /deletion_protection\.enabled: shop\d+ has true, shop\d+ has false; idle_timeout\.timeout_seconds: .* 300, .* 60$/,
        ),
      ],
      ['record-alias', like(/blue leads to dualstack\./)],
    ]);
    const elsewhere = { ...aliasOf(other), dnsName: 'shop-1.eu-west-3.elb.amazonaws.com' };
    expect(await found(to(elsewhere))).toEqual([
      ['record-alias', like(/leads to/)],
      [
        'record-alias-not-compared',
        like(/^there is no load balancer shop-1\.eu-west-3\.elb\.amazonaws\.com in eu-west-3/),
      ],
    ]);
  });
});
