/**
 * Target health is what the lab's edge sees, in AWS's words:
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetHealth.html
 */
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import {
  DeregisterTargetsCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
  ModifyTargetGroupAttributesCommand,
  RegisterTargetsCommand,
  type TargetDescription,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { EdgeHealth } from '../../lab/aws/elbv2/targets.js';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import { makeWorld, type AwsWorld } from '../../lab/aws/world.js';
import { newAccount, ONCE, startAws } from '../support/aws.js';

let aws: AwsProxy;
let world: AwsWorld;
let client: ElasticLoadBalancingV2Client;

/** What the edge sees of each target group. */
const seen = new Map<string, EdgeHealth[]>();
const edge = createServer((request, response) => {
  const url = new URL(request.url ?? '', 'http://edge');
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(seen.get(url.searchParams.get('targetGroupArn') ?? '') ?? []));
});

beforeAll(async () => {
  edge.listen(0, '127.0.0.1');
  await once(edge, 'listening');
  aws = await startAws();
});
afterAll(async () => {
  edge.close();
  await aws.stop();
});

beforeEach(async () => {
  seen.clear();
  aws.tell({ edge: `http://127.0.0.1:${(edge.address() as AddressInfo).port}` });
  world = await makeWorld(aws, { account: newAccount(), blue: [9001, 9002], green: [9003] });
  client = new ElasticLoadBalancingV2Client({ ...aws.client(world), ...ONCE });
});

async function health(TargetGroupArn: string, Targets?: TargetDescription[]): Promise<unknown[]> {
  const found = await client.send(new DescribeTargetHealthCommand({ TargetGroupArn, Targets }));
  return (found.TargetHealthDescriptions ?? []).map(({ Target, TargetHealth }) => [
    Target?.Port,
    TargetHealth?.State,
    TargetHealth?.Reason,
  ]);
}

test('without an edge, targets of a group in use are initial, those of another are unused', async () => {
  aws.tell({ edge: null });
  expect(await health(world.blue.arn)).toEqual([
    [9001, 'initial', 'Elb.RegistrationInProgress'],
    [9002, 'initial', 'Elb.RegistrationInProgress'],
  ]);
  expect(await health(world.green.arn)).toEqual([[9003, 'unused', 'Target.NotInUse']]);
});

test('with an edge, they are what it sees; what it has not seen yet is initial', async () => {
  seen.set(world.blue.arn, [
    { targetId: '127.0.0.1', port: 9001, state: 'unhealthy', reason: 'Target.Timeout' },
    { targetId: '127.0.0.1', port: 9004, state: 'healthy' },
  ]);
  expect(await health(world.blue.arn)).toEqual([
    [9001, 'unhealthy', 'Target.Timeout'],
    [9002, 'initial', 'Elb.RegistrationInProgress'],
  ]);
  seen.set(world.blue.arn, [{ targetId: '127.0.0.1', port: 9001, state: 'healthy' }]);
  expect(await health(world.blue.arn)).toEqual([
    [9001, 'healthy', undefined],
    [9002, 'initial', 'Elb.RegistrationInProgress'],
  ]);
});

test('an edge that is away makes nothing healthy', async () => {
  aws.tell({ edge: 'http://127.0.0.1:1' });
  expect(await health(world.blue.arn)).toEqual([
    [9001, 'unhealthy', 'Elb.InternalError'],
    [9002, 'unhealthy', 'Elb.InternalError'],
  ]);
});

// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeregisterTargets.html
test('a target that leaves drains for the deregistration delay, and is gone then', async () => {
  const TargetGroupArn = world.blue.arn;
  seen.set(TargetGroupArn, [
    { targetId: '127.0.0.1', port: 9001, state: 'healthy' },
    { targetId: '127.0.0.1', port: 9002, state: 'healthy' },
  ]);
  const leave = new DeregisterTargetsCommand({ TargetGroupArn, Targets: [{ Id: '127.0.0.1', Port: 9001 }] });
  const delay = (Value: string) =>
    client.send(
      new ModifyTargetGroupAttributesCommand({
        TargetGroupArn,
        Attributes: [{ Key: 'deregistration_delay.timeout_seconds', Value }],
      }),
    );
  await delay('3600');
  await client.send(leave);
  await client.send(leave);
  expect(await health(TargetGroupArn)).toEqual([
    [9001, 'draining', 'Target.DeregistrationInProgress'],
    [9002, 'healthy', undefined],
  ]);
  await delay('0');
  expect(await health(TargetGroupArn)).toEqual([[9002, 'healthy', undefined]]);
});

// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTargetHealth.html
test('a target that is asked for and not registered is unused', async () => {
  expect(await health(world.blue.arn, [{ Id: '127.0.0.1', Port: 9999 }])).toEqual([
    [9999, 'unused', 'Target.NotRegistered'],
  ]);
});

// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RegisterTargets.html, InvalidTarget
test('an instance is no target of a group of addresses', async () => {
  const Targets = [{ Id: 'i-0123456789abcdef0' }];
  await expect(
    client.send(new RegisterTargetsCommand({ TargetGroupArn: world.blue.arn, Targets })),
  ).rejects.toMatchObject({ name: 'InvalidTargetException' });
});

test('the edge itself asks what is registered, and waits for nobody', async () => {
  aws.tell({ edge: 'http://127.0.0.1:1' });
  const observer = new ElasticLoadBalancingV2Client({ ...aws.observer(world), ...ONCE });
  const found = await observer.send(new DescribeTargetHealthCommand({ TargetGroupArn: world.blue.arn }));
  expect(found.TargetHealthDescriptions?.map((one) => one.TargetHealth?.State)).toEqual(['initial', 'initial']);
});
