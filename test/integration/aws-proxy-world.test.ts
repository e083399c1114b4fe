/** The account that the lab begins with, and the channels through which its own parts follow it. */
import {
  DescribeListenersCommand,
  DescribeRulesCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { GetHostedZoneCommand, ListResourceRecordSetsCommand, Route53Client } from '@aws-sdk/client-route-53';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import { makeWorld, type AwsWorld } from '../../lab/aws/world.js';
import { newAccount, ONCE, startAws } from '../support/aws.js';

let aws: AwsProxy;
let world: AwsWorld;

beforeAll(async () => {
  aws = await startAws();
  world = await makeWorld(aws, { account: newAccount(), blue: [9001, 9002], green: [9003] });
});
afterAll(() => aws.stop());

test('a listener and a rule lead to blue, with what AWS adds to an action of one target group', async () => {
  const client = new ElasticLoadBalancingV2Client({ ...aws.client(world), ...ONCE });
  const { Listeners } = await client.send(new DescribeListenersCommand({ LoadBalancerArn: world.loadBalancer.arn }));
  const toBlue = {
    Type: 'forward',
    TargetGroupArn: world.blue.arn,
    ForwardConfig: {
      TargetGroups: [{ TargetGroupArn: world.blue.arn, Weight: 1 }],
      TargetGroupStickinessConfig: { Enabled: false },
    },
  };
  expect(Listeners).toEqual([
    {
      ListenerArn: world.listener,
      LoadBalancerArn: world.loadBalancer.arn,
      Port: 80,
      Protocol: 'HTTP',
      DefaultActions: [toBlue],
    },
  ]);
  const { Rules } = await client.send(new DescribeRulesCommand({ ListenerArn: world.listener }));
  expect(Rules?.map((rule) => [rule.Priority, rule.IsDefault, rule.Actions])).toEqual([
    ['10', false, [toBlue]],
    ['default', true, [toBlue]],
  ]);
  expect(Rules?.[0]?.Conditions).toEqual([
    { Field: 'path-pattern', Values: ['/shop/*'], PathPatternConfig: { Values: ['/shop/*'] } },
  ]);
});

test('target groups know who uses them, and two ports of one address are two targets', async () => {
  const client = new ElasticLoadBalancingV2Client(aws.client(world));
  const { TargetGroups } = await client.send(new DescribeTargetGroupsCommand({}));
  expect(TargetGroups?.map((group) => [group.TargetGroupName, group.LoadBalancerArns])).toEqual([
    ['shop-blue', [world.loadBalancer.arn]],
    ['shop-green', []],
  ]);
  const health = await client.send(new DescribeTargetHealthCommand({ TargetGroupArn: world.blue.arn }));
  expect(health.TargetHealthDescriptions?.map((one) => one.Target)).toEqual([
    { Id: '127.0.0.1', Port: 9001 },
    { Id: '127.0.0.1', Port: 9002 },
  ]);
});

test('zones have name servers of their own, and records', async () => {
  const client = new Route53Client(aws.client(world));
  const { DelegationSet, HostedZone } = await client.send(new GetHostedZoneCommand({ Id: world.zone.id }));
  expect(DelegationSet?.NameServers).toEqual(world.zone.nameServers);
  expect(new Set(world.zone.nameServers).size).toBe(4);
  expect(HostedZone).toMatchObject({ Name: 'example.com.', ResourceRecordSetCount: 3, Config: { PrivateZone: false } });
  const { ResourceRecordSets } = await client.send(new ListResourceRecordSetsCommand({ HostedZoneId: world.zone.id }));
  expect(ResourceRecordSets?.map(({ Name, Type, TTL }) => [Name, Type, TTL])).toEqual([
    ['example.com.', 'NS', 172_800],
    ['example.com.', 'SOA', 900],
    ['www.example.com.', 'CNAME', 300],
  ]);
  const hidden = await client.send(new GetHostedZoneCommand({ Id: world.privateZone.id }));
  expect(hidden.HostedZone?.Config?.PrivateZone).toBe(true);
  expect(hidden.DelegationSet).toBeUndefined();
  expect(hidden.VPCs).toEqual([{ VPCId: world.vpc, VPCRegion: world.region }]);
});

test('accounts have nothing in common', async () => {
  const client = new ElasticLoadBalancingV2Client(aws.client({ account: newAccount() }));
  expect((await client.send(new DescribeTargetGroupsCommand({}))).TargetGroups).toEqual([]);
});
