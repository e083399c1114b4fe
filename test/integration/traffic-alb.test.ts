import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  AddTagsCommand,
  CreateTargetGroupCommand,
  DeleteRuleCommand,
  DescribeTargetGroupAttributesCommand,
  DescribeTargetGroupsCommand,
  ModifyListenerCommand,
  ModifyTargetGroupAttributesCommand,
  ModifyTargetGroupCommand,
  type Action,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { clientsOf, forgetClients } from '../../activities/aws/clients.js';
import { trafficActivities } from '../../activities/aws/traffic.js';
import { injectFaults } from '../../activities/fault.js';
import type { TrafficImage, TrafficMove } from '../../activities/traffic-contract.js';
import type { EdgeHealth } from '../../lab/aws/elbv2/targets.js';
import type { Fault } from '../../lab/aws/faults.js';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import { makeRole, type AwsWorld } from '../../lab/aws/world.js';
import { startAws } from '../support/aws.js';
import { retried } from '../support/retried.js';
import { albMoveOf, Elsewhere, hurry, newListener, newWorld, throughHistory, useAccount } from '../support/traffic.js';

const {
  captureTraffic,
  lockTraffic,
  prepareGreen,
  greenHealth,
  blueHealth,
  setTraffic,
  finalizeTraffic,
  undoShift,
  undoTraffic,
} = trafficActivities;

let aws: AwsProxy;
let makeListener: () => Promise<AwsWorld>;
let account: string;
let world: AwsWorld;
let move: TrafficMove;
let elsewhere: Elsewhere;
beforeAll(async () => {
  hurry();
  account = useAccount();
  aws = await startAws();
  const shared = await newWorld(aws, account);
  makeListener = () => newListener(aws, shared);
});
afterAll(() => aws.stop());
beforeEach(async () => {
  world = await makeListener();
  move = albMoveOf(aws, world);
  elsewhere = new Elsewhere(aws, world);
});
afterEach(() => {
  injectFaults(null);
  forgetClients();
  aws.heal();
  aws.tell({ staleness: {}, pageSize: null });
});

const capture = async (of = move): Promise<TrafficImage> => throughHistory(await captureTraffic(of));
const set = (image: TrafficImage, from: number | null, to: number) => setTraffic({ move, image, from, to });
const forward = (...groups: [string, number][]): Action[] => [
  {
    Type: 'forward',
    ForwardConfig: { TargetGroups: groups.map(([TargetGroupArn, Weight]) => ({ TargetGroupArn, Weight })) },
  },
];
const setDefault = (DefaultActions: Action[]) =>
  elsewhere.elb.send(new ModifyListenerCommand({ ListenerArn: world.listener, DefaultActions }));
async function newGroup(name: string): Promise<string> {
  const made = await elsewhere.elb.send(
    new CreateTargetGroupCommand({ Name: `${name}-${world.blue.name}`, Protocol: 'HTTP', Port: 80, VpcId: world.vpc }),
  );
  return made.TargetGroups?.[0]?.TargetGroupArn ?? '';
}

const target = (port: number, state: EdgeHealth['state'], reason: string | null = null): EdgeHealth => ({
  targetId: '127.0.0.1',
  port,
  state,
  reason,
});

describe('the traffic of a listener', () => {
  test('moves step by step, and back to the byte', async () => {
    const before = await elsewhere.listener();
    const image = await capture();
    await lockTraffic({ move, image });
    expect(await set(image, null, 0)).toEqual({ weight: 0, settlesInMs: 0 });
    expect(await elsewhere.weights()).toEqual({ blue: 100, green: 0 });
    await set(image, 0, 25);
    expect(await elsewhere.weights()).toEqual({ blue: 75, green: 25 });
    await set(image, 25, 10);
    expect(await elsewhere.weights()).toEqual({ blue: 90, green: 10 });
    await undoTraffic({ move, image });
    expect(await elsewhere.listener()).toBe(before);
    expect(await elsewhere.tags()).toEqual({});
  });

  test('goes back to blue with green attached, from any weight, and before there was one', async () => {
    const before = await elsewhere.listener();
    const image = await capture();
    await undoShift({ move, image });
    expect(await elsewhere.listener()).toBe(before);
    await set(image, null, 60);
    await undoShift({ move, image });
    await undoShift({ move, image });
    expect(await elsewhere.weights()).toEqual({ blue: 100, green: 0 });
  });

  test('ends at green alone, in the place where blue was', async () => {
    const image = await capture();
    await lockTraffic({ move, image });
    await set(image, null, 100);
    const final = { detached: true, settlesInMs: 1_000 };
    expect(await finalizeTraffic({ move, image })).toEqual(final);
    expect(await finalizeTraffic({ move, image })).toEqual(final);
    expect(JSON.stringify(await elsewhere.defaultActions())).toBe(
      JSON.stringify(image.kind === 'alb' ? image.places[0]?.actions : null).replaceAll(
        world.blue.arn,
        world.green.arn,
      ),
    );
    expect(await elsewhere.tags()).toEqual({});
  });

  test('is not taken from blue while stickiness may still lead users there', async () => {
    const sticky = { Enabled: true, DurationSeconds: 600 };
    const [action] = forward([world.blue.arn, 1]);
    await setDefault([
      { ...action, Type: 'forward', ForwardConfig: { ...action?.ForwardConfig, TargetGroupStickinessConfig: sticky } },
    ]);
    const image = await capture();
    await set(image, null, 100);
    const answer = await finalizeTraffic({ move, image, sinceMs: 60_000 });
    expect(answer.detached).toBe(false);
    expect(answer.settlesInMs).toBe(540_000);
    expect(await elsewhere.weights()).toEqual({ blue: 0, green: 100 });
    const [found] = await elsewhere.defaultActions();
    expect(found?.ForwardConfig?.TargetGroupStickinessConfig).toEqual(sticky);
    expect(await finalizeTraffic({ move, image, sinceMs: 601_000 })).toMatchObject({ detached: true });
  });

  test('by rules moves all of them, and leaves the default action alone', async () => {
    move = albMoveOf(aws, world, { rules: [world.rule] });
    const before = await elsewhere.listener();
    const image = await capture();
    await lockTraffic({ move, image });
    expect(Object.keys(await elsewhere.tags(world.rule))).toEqual([`godwit.dev/lock/${move.key}`]);
    await set(image, null, 30);
    expect(JSON.parse(await elsewhere.listener())).toMatchObject({
      Listeners: [{ DefaultActions: [{ TargetGroupArn: world.blue.arn }] }],
      Rules: [{ Actions: [{ ForwardConfig: { TargetGroups: [{ Weight: 70 }, { Weight: 30 }] } }] }, {}],
    });
    await undoTraffic({ move, image });
    expect(await elsewhere.listener()).toBe(before);
    expect(await elsewhere.tags(world.rule)).toEqual({});
  });

  test('leaves target groups without weight where they are', async () => {
    const spare = await newGroup('spare');
    await setDefault(forward([world.blue.arn, 7], [spare, 0]));
    const before = await elsewhere.listener();
    const image = await capture();
    await set(image, null, 40);
    expect(await elsewhere.weights()).toMatchObject({ green: 40 });
    expect((await elsewhere.defaultActions())[0]?.ForwardConfig?.TargetGroups).toHaveLength(3);
    await undoTraffic({ move, image });
    expect(await elsewhere.listener()).toBe(before);
  });
});

describe('what is not as the specification says is refused before anything is changed', () => {
  const rejects = async (type: string, message: RegExp): Promise<void> => {
    const before = await elsewhere.listener();
    await expect(captureTraffic(move)).rejects.toMatchObject({
      type,
      message: expect.stringMatching(message) as string,
    });
    expect(await elsewhere.listener()).toBe(before);
  };

  test('traffic that goes elsewhere', async () => {
    await setDefault(forward([world.green.arn, 1]));
    await rejects('TrafficMismatch', /has to go to blue alone.*found: forward to shop\d+-green/);
  });

  test('traffic that is shared already, in whatever weights', async () => {
    await setDefault(forward([world.blue.arn, 2], [world.green.arn, 1]));
    await rejects('TrafficMismatch', /found: forward to shop\d+-blue 2, shop\d+-green 1/);
  });

  test('a list that answers by itself', async () => {
    await setDefault([{ Type: 'fixed-response', FixedResponseConfig: { StatusCode: '503' } }]);
    await rejects('TrafficMismatch', /found: fixed-response/);
  });

  test('an action without room for green', async () => {
    const spares = await Promise.all(['a', 'b', 'c', 'd'].map(newGroup));
    await setDefault(forward([world.blue.arn, 1], ...spares.map((arn): [string, number] => [arn, 0])));
    await rejects('TrafficMismatch', /forwards to 5 target groups, and an action has room for 5, green among them/);
  });

  test('a listener, rules and target groups that are not there', async () => {
    move = albMoveOf(aws, world, { listener: `${world.listener.slice(0, -1)}0` });
    await rejects('InvalidSpec', /elasticloadbalancing:DescribeListeners: ListenerNotFound/);
    move = albMoveOf(aws, world, { rules: [`${world.rule.slice(0, -4)}0000`] });
    await rejects('InvalidSpec', /RuleNotFound/);
    const other = await makeListener();
    move = albMoveOf(aws, world, { rules: [other.rule] });
    await rejects('InvalidSpec', /is not one of the listener/);
  });
});

describe('a lock', () => {
  test('is held by one migration, and names it to the other', async () => {
    const image = await capture();
    await lockTraffic({ move, image });
    await lockTraffic({ move, image });
    const other = albMoveOf(aws, world, {}, 'other');
    await expect(lockTraffic({ move: other, image })).rejects.toMatchObject({
      type: 'ScopeTaken',
      message: expect.stringContaining(`held by another migration: shift (tag godwit.dev/lock/${move.key})`) as string,
    });
    expect(Object.keys(await elsewhere.tags())).toEqual([`godwit.dev/lock/${move.key}`]);
    await undoTraffic({ move, image });
    await lockTraffic({ move: other, image });
  });

  test('that two claim at once is never had by both, and neither is left half-way', async () => {
    const image = await capture();
    const moves = ['one', 'two', 'three'].map((migration) => albMoveOf(aws, world, {}, migration));
    for (let round = 0; round < 5; round += 1) {
      const claimed = await Promise.allSettled(moves.map((one) => lockTraffic({ move: one, image })));
      const holders = moves.filter((_, index) => claimed[index]?.status === 'fulfilled');
      expect(holders.length).toBeLessThanOrEqual(1);
      expect(Object.keys(await elsewhere.tags())).toEqual(holders.map(({ key }) => `godwit.dev/lock/${key}`));
      for (const one of holders) await undoTraffic({ move: one, image });
    }
  });

  test('that was claimed and not yet had is given up when another has it, and lets no undo write', async () => {
    const image = await capture();
    const elb = clientsOf(move.traffic).elb;
    const half = { Key: `godwit.dev/lock/${move.key}`, Value: 'claim: shift' };
    await elb.send(new AddTagsCommand({ ResourceArns: [world.listener], Tags: [half] }));
    const other = albMoveOf(aws, world, {}, 'other');
    await expect(lockTraffic({ move: other, image })).rejects.toMatchObject({ type: 'ScopeTaken' });
    await undoTraffic({ move, image });
    await lockTraffic({ move: other, image });
    await setTraffic({ move: other, image, from: null, to: 30 });
    await elb.send(new AddTagsCommand({ ResourceArns: [world.listener], Tags: [half] }));
    expect(await undoTraffic({ move, image })).toMatchObject({ different: expect.any(String) as string });
    expect(await elsewhere.weights()).toEqual({ blue: 70, green: 30 });
    await elb.send(new AddTagsCommand({ ResourceArns: [world.listener], Tags: [half] }));
    await expect(lockTraffic({ move, image })).rejects.toMatchObject({ type: 'ScopeTaken' });
    expect(await elsewhere.tags()).toEqual({ [`godwit.dev/lock/${other.key}`]: 'other' });
  });

  test('of several rules is had whole or not at all', async () => {
    const other = albMoveOf(aws, world, {}, 'other');
    const image = await capture();
    await lockTraffic({ move: other, image });
    const both = albMoveOf(aws, world, { rules: [world.rule, `${world.rule.slice(0, -4)}0000`] });
    await expect(lockTraffic({ move: both, image })).rejects.toMatchObject({ type: 'InvalidSpec' });
    expect(await elsewhere.tags(world.rule)).toEqual({});
  });
});

describe("somebody else's change", () => {
  const KUBERNETES = { Key: 'ingress.k8s.aws/stack', Value: 'shop/web' };

  test('is noticed before the next write, told with its owner, and not written over', async () => {
    const image = await capture();
    await set(image, null, 10);
    const spare = await newGroup('spare');
    await setDefault(forward([world.blue.arn, 1], [spare, 3]));
    await elsewhere.elb.send(new AddTagsCommand({ ResourceArns: [world.listener], Tags: [KUBERNETES] }));
    const changed = await elsewhere.listener();
    await expect(set(image, 10, 25)).rejects.toMatchObject({
      type: 'TrafficChanged',
      message: expect.stringMatching(
        /expected forward to .*-blue 90, .*-green 10, or .*-blue 75, .*-green 25; found forward to .*-blue 1, spare-.* 3\. Tags name who may have done it: ingress\.k8s\.aws\/stack=shop\/web \(the AWS Load Balancer Controller\)/,
      ) as string,
    });
    expect(await elsewhere.listener()).toBe(changed);
  });

  test('at one of two places keeps both from being written', async () => {
    await elsewhere.elb.send(
      new AddTagsCommand({ ResourceArns: [world.listener], Tags: [{ Key: 'managed-by', Value: 'terraform' }] }),
    );
    const second = albMoveOf(aws, world, { rules: [world.rule] });
    const image = await capture(second);
    const rules = image.kind === 'alb' ? image.places : [];
    const both: TrafficImage = {
      kind: 'alb',
      loadBalancer: '',
      places: [...rules, { rule: null, actions: [] }],
      settings: null,
    };
    const before = await elsewhere.listener();
    await expect(set(both, null, 10)).rejects.toMatchObject({
      type: 'TrafficChanged',
      message: expect.stringContaining('managed-by=terraform (Terraform)') as string,
    });
    expect(await elsewhere.listener()).toBe(before);
  });

  test('is kept by an undo, which puts blue back within it and says so', async () => {
    const image = await capture();
    await lockTraffic({ move, image });
    await set(image, null, 10);
    const spare = await newGroup('spare');
    await setDefault(forward([world.blue.arn, 45], [world.green.arn, 45], [spare, 10]));
    const different = expect.stringMatching(
      /is not as it was \(forward to .*-blue\) but: forward to .*-blue 90, spare-.* 10/,
    ) as string;
    const putBack = [
      { TargetGroupArn: world.blue.arn, Weight: 90 },
      { TargetGroupArn: spare, Weight: 10 },
    ];
    await expect(undoTraffic({ move, image })).rejects.toMatchObject({ type: 'TrafficChanged', message: different });
    expect((await elsewhere.defaultActions())[0]?.ForwardConfig?.TargetGroups).toEqual(putBack);
    expect(await elsewhere.tags()).toEqual({});
    const left = await elsewhere.listener();
    expect(await undoTraffic({ move, image })).toEqual({ different });
    expect(await elsewhere.listener()).toBe(left);
  });

  test('is kept while all goes back to blue, with green attached, and told at the first time alone', async () => {
    const image = await capture();
    await lockTraffic({ move, image });
    await set(image, null, 10);
    const spare = await newGroup('spare');
    await setDefault(forward([world.blue.arn, 45], [world.green.arn, 45], [spare, 10]));
    await expect(undoShift({ move, image })).rejects.toMatchObject({ type: 'TrafficChanged' });
    const left = await elsewhere.listener();
    expect((await elsewhere.defaultActions())[0]?.ForwardConfig?.TargetGroups).toEqual([
      { TargetGroupArn: world.blue.arn, Weight: 90 },
      { TargetGroupArn: world.green.arn, Weight: 0 },
      { TargetGroupArn: spare, Weight: 10 },
    ]);
    expect(await undoShift({ move, image })).toMatchObject({ different: expect.stringContaining('but: ') as string });
    expect(await elsewhere.listener()).toBe(left);
  });

  test('that removed the rule leaves nothing to undo but to say so', async () => {
    move = albMoveOf(aws, world, { rules: [world.rule] });
    const image = await capture();
    await lockTraffic({ move, image });
    await set(image, null, 10);
    await elsewhere.elb.send(new DeleteRuleCommand({ RuleArn: world.rule }));
    expect(await undoTraffic({ move, image })).toEqual({ different: `the rule ${world.rule} is gone` });
  });

  test('of another migration, which has the lock, is not touched by an undo, though it looks like ours', async () => {
    const image = await capture();
    const other = albMoveOf(aws, world, {}, 'other');
    await lockTraffic({ move: other, image });
    await setTraffic({ move: other, image, from: null, to: 30 });
    await expect(lockTraffic({ move, image })).rejects.toMatchObject({ type: 'ScopeTaken' });
    const different = expect.stringMatching(/is held by other \(tag .*\) and left as it is: .*-green 30$/) as string;
    expect(await undoShift({ move, image })).toEqual({ different });
    expect(await undoTraffic({ move, image })).toEqual({ different });
    expect(await elsewhere.weights()).toEqual({ blue: 70, green: 30 });
    await undoTraffic({ move: other, image });
    expect(await undoTraffic({ move, image })).toEqual({ different: null });
  });
});

describe('settings of green', () => {
  const attributes = async (arn: string) => {
    const answer = await elsewhere.elb.send(new DescribeTargetGroupAttributesCommand({ TargetGroupArn: arn }));
    return Object.fromEntries((answer.Attributes ?? []).map(({ Key = '', Value }) => [Key, Value]));
  };
  const green = async () => {
    const arn = world.green.arn;
    const { TargetGroups } = await elsewhere.elb.send(new DescribeTargetGroupsCommand({ TargetGroupArns: [arn] }));
    return { attributes: await attributes(arn), path: TargetGroups?.[0]?.HealthCheckPath };
  };
  beforeEach(async () => {
    move = albMoveOf(aws, world, { settings: 'apply' });
    const TargetGroupArn = world.blue.arn;
    await elsewhere.elb.send(new ModifyTargetGroupCommand({ TargetGroupArn, HealthCheckPath: '/ready' }));
    const Attributes = [{ Key: 'slow_start.duration_seconds', Value: '90' }];
    await elsewhere.elb.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn, Attributes }));
  });

  test('are made those of blue, and put back', async () => {
    const before = await green();
    const image = await capture();
    await prepareGreen({ move, image });
    await prepareGreen({ move, image });
    expect(await green()).toEqual({
      attributes: { ...before.attributes, 'slow_start.duration_seconds': '90' },
      path: '/ready',
    });
    await undoTraffic({ move, image });
    expect(await green()).toEqual(before);
    await undoTraffic({ move, image });
    expect(await green()).toEqual(before);
  });

  test('that somebody else has changed since stay as they are', async () => {
    const image = await capture();
    await lockTraffic({ move, image });
    await prepareGreen({ move, image });
    const TargetGroupArn = world.green.arn;
    const Attributes = [{ Key: 'slow_start.duration_seconds', Value: '45' }];
    await elsewhere.elb.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn, Attributes }));
    await expect(undoTraffic({ move, image })).rejects.toMatchObject({
      type: 'TrafficChanged',
      message: expect.stringContaining('somebody else changed slow_start.duration_seconds') as string,
    });
    expect(await undoTraffic({ move, image })).toMatchObject({
      different: expect.stringContaining('somebody else changed slow_start.duration_seconds') as string,
    });
    expect(await green()).toMatchObject({ attributes: { 'slow_start.duration_seconds': '45' }, path: '/health' });
  });
});

test('green is healthy when all its targets are, blue when half are, and targets that leave are not counted', async () => {
  const states: Record<string, EdgeHealth[]> = {
    [world.blue.arn]: [target(9001, 'healthy'), target(9002, 'unhealthy', 'Target.Timeout')],
    [world.green.arn]: [target(9003, 'initial', 'Elb.RegistrationInProgress')],
  };
  const edge = createServer(({ url = '' }, response) => {
    const arn = new URL(url, 'http://edge').searchParams.get('targetGroupArn') ?? '';
    response.end(JSON.stringify(states[arn] ?? []));
  });
  onTestFinished(() => {
    aws.tell({ edge: null });
    edge.close();
  });
  edge.listen(0, '127.0.0.1');
  await once(edge, 'listening');
  aws.tell({ edge: `http://127.0.0.1:${(edge.address() as AddressInfo).port}` });
  const image = await capture();
  await set(image, null, 0);
  expect(await blueHealth({ move, image })).toEqual({
    healthy: true,
    explanation: `1 of 2 targets of ${world.blue.name} are healthy; 127.0.0.1:9002 is unhealthy (Target.Timeout)`,
  });
  expect(await greenHealth({ move, image })).toEqual({
    healthy: false,
    explanation: `0 of 1 targets of ${world.green.name} are healthy; 127.0.0.1:9003 is initial (Elb.RegistrationInProgress)`,
  });
  states[world.green.arn] = [target(9003, 'healthy')];
  expect(await greenHealth({ move, image })).toMatchObject({ healthy: true });
  states[world.blue.arn] = [9001, 9002].map((port) => target(port, 'draining', 'Target.DeregistrationInProgress'));
  expect(await blueHealth({ move, image })).toEqual({
    healthy: false,
    explanation: `0 of 0 targets of ${world.blue.name} are healthy`,
  });
});

describe('AWS', () => {
  test('that refuses credentials in the middle is asked again with new ones once a person retries', async () => {
    const image = await capture();
    await set(image, null, 10);
    const clients = clientsOf(move.traffic);
    aws.fail({ operation: 'ModifyListener', fault: { kind: 'expired credentials' }, times: 1 });
    await expect(set(image, 10, 25)).rejects.toMatchObject({
      type: 'AuthenticationFailed',
      message: expect.stringMatching(
        /refused the worker's own credentials for elasticloadbalancing:ModifyListener: ExpiredToken/,
      ) as string,
    });
    expect(await elsewhere.weights()).toEqual({ blue: 90, green: 10 });
    expect(clientsOf(move.traffic)).not.toBe(clients);
    await set(image, 10, 25);
    expect(await elsewhere.weights()).toEqual({ blue: 75, green: 25 });
  });

  test('that denies a call is told by the action that is missing', async () => {
    const image = await capture();
    const fault: Fault = {
      kind: 'error',
      code: 'AccessDenied',
      status: 403,
      message: 'no identity-based policy allows it',
    };
    aws.fail({ operation: 'ModifyListener', fault });
    await expect(set(image, null, 10)).rejects.toMatchObject({
      type: 'PermissionDenied',
      nonRetryable: true,
      message: expect.stringContaining(
        "the worker's own credentials may not elasticloadbalancing:ModifyListener",
      ) as string,
    });
  });

  test('that throttles for a while is retryable, and then goes on', async () => {
    const image = await capture();
    const given = aws.fail({ operation: 'ModifyListener', fault: { kind: 'throttled' }, times: 6 });
    await expect(set(image, null, 10)).rejects.toMatchObject({ type: 'AwsUnavailable', nonRetryable: false });
    await retried(() => set(image, null, 10));
    expect(given.met).toBe(6);
    expect(await elsewhere.weights()).toEqual({ blue: 90, green: 10 });
  });

  test('whose reads lag is waited for, and not taken for a change', async () => {
    aws.tell({ staleness: { elbv2: { reads: 2, ms: 150 } } });
    const before = await elsewhere.listener();
    const image = await capture();
    await lockTraffic({ move, image });
    await set(image, null, 0);
    await set(image, 0, 10);
    await set(image, 10, 20);
    expect(await elsewhere.weights()).toEqual({ blue: 80, green: 20 });
    await undoTraffic({ move, image });
    expect(await elsewhere.listener()).toBe(before);
  });

  test('of another account is reached through a role', async () => {
    const role = await makeRole(aws, account, 'godwit');
    onTestFinished(() => void useAccount(account));
    useAccount();
    move = albMoveOf(aws, world, {}, 'shift', role);
    const image = await capture();
    await set(image, null, 10);
    expect(await elsewhere.weights()).toEqual({ blue: 90, green: 10 });
    await undoTraffic({ move, image });
  });
});

describe('undone at any point, the listener is as it was, to the byte', () => {
  const steps: [string, (image: TrafficImage) => Promise<unknown>][] = [
    ['before anything', () => Promise.resolve()],
    ['the lock', (image) => lockTraffic({ move, image })],
    ['attached', (image) => set(image, null, 0)],
    ['a first step', (image) => set(image, 0, 1)],
    ['half', (image) => set(image, 1, 50)],
    ['all', (image) => set(image, 50, 100)],
    ['finalized', (image) => finalizeTraffic({ move, image })],
  ];

  test.each(steps.map(([title], index) => ({ title, index })))('after $title', async ({ index }) => {
    const before = await elsewhere.listener();
    const image = await capture();
    for (const [, step] of steps.slice(0, index + 1)) await step(image);
    await undoTraffic({ move, image });
    expect(await elsewhere.listener()).toBe(before);
    expect(await elsewhere.tags()).toEqual({});
    await undoTraffic({ move, image });
    expect(await elsewhere.listener()).toBe(before);
  });

  const FAULTS: Fault[] = [
    { kind: 'lost before' },
    { kind: 'lost after' },
    { kind: 'error', code: 'InternalFailure', status: 500 },
  ];

  /** A whole walk, each activity retried as a worker would, the undo included. */
  async function walk(image: TrafficImage): Promise<void> {
    await retried(() => lockTraffic({ move, image }));
    await retried(() => set(image, null, 0));
    await retried(() => set(image, 0, 100));
    await retried(() => undoTraffic({ move, image }));
  }

  test.each(FAULTS)('with any call $kind $code, for longer than the SDK tries', async (fault) => {
    const before = await elsewhere.listener();
    const image = await capture();
    aws.calls.length = 0;
    await walk(image);
    const walked = aws.calls.map(({ operation }) => operation);
    const operations = [...new Set(walked)];
    expect(operations).toEqual(expect.arrayContaining(['DescribeTags', 'AddTags', 'ModifyListener', 'RemoveTags']));
    for (const operation of operations) {
      const writes = /^Describe/.test(operation) ? 1 : walked.filter((one) => one === operation).length;
      for (let after = 0; after < writes; after += 1) {
        const given = aws.fail({ operation, fault, after, times: 5 });
        await walk(image);
        expect(given.met).toBeGreaterThan(0);
        given.stop();
        forgetClients();
        expect(await elsewhere.listener()).toBe(before);
        expect(await elsewhere.tags()).toEqual({});
      }
    }
  });

  test('when the worker dies right after the write', async () => {
    const before = await elsewhere.listener();
    const image = await capture();
    await set(image, null, 10);
    injectFaults((point) => {
      if (point === 'traffic.written') throw new Error('died');
    });
    await expect(set(image, 10, 50)).rejects.toThrow('died');
    injectFaults(null);
    expect(await set(image, 10, 50)).toEqual({ weight: 50, settlesInMs: 0 });
    injectFaults((point) => {
      if (point === 'traffic.undone') throw new Error('died');
    });
    await expect(undoTraffic({ move, image })).rejects.toThrow('died');
    injectFaults(null);
    await undoTraffic({ move, image });
    expect(await elsewhere.listener()).toBe(before);
  });
});
