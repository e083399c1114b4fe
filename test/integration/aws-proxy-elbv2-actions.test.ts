/**
 * What AWS asks of the actions of listeners and rules:
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Action.html
 */
import {
  CreateRuleCommand,
  CreateTargetGroupCommand,
  DescribeListenersCommand,
  DescribeRulesCommand,
  ElasticLoadBalancingV2Client,
  ModifyListenerCommand,
  ModifyRuleCommand,
  type Action,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import { makeNetwork, makeWorld, type AwsWorld } from '../../lab/aws/world.js';
import { newAccount, ONCE, startAws } from '../support/aws.js';

let aws: AwsProxy;
let world: AwsWorld;
let client: ElasticLoadBalancingV2Client;

beforeAll(async () => {
  aws = await startAws();
  world = await makeWorld(aws, { account: newAccount(), blue: [9001], green: [9002] });
  client = new ElasticLoadBalancingV2Client({ ...aws.client(world), ...ONCE });
});
afterAll(() => aws.stop());

const forward = (...groups: [arn: string, weight: number][]): Action => ({
  Type: 'forward',
  ForwardConfig: { TargetGroups: groups.map(([TargetGroupArn, Weight]) => ({ TargetGroupArn, Weight })) },
});

/** The same refusal for the default action and for a rule, neither of which changes. */
async function refused(actions: Action[]): Promise<{ name: string; message: string }> {
  const before = await configuration();
  const attempts = [
    new ModifyListenerCommand({ ListenerArn: world.listener, DefaultActions: actions }),
    new ModifyRuleCommand({ RuleArn: world.rule, Actions: actions }),
  ] as const;
  const errors = await Promise.all([
    client.send(attempts[0]).then(() => null, asRefusal),
    client.send(attempts[1]).then(() => null, asRefusal),
  ]);
  expect(errors[0]).toEqual(errors[1]);
  expect(await configuration()).toEqual(before);
  if (errors[0] === null) throw new Error('it was accepted');
  return errors[0];
}

const asRefusal = (error: unknown): { name: string; message: string } => {
  if (!(error instanceof Error)) throw error;
  return { name: error.name, message: error.message };
};

async function configuration(): Promise<unknown> {
  const [listeners, rules] = await Promise.all([
    client.send(new DescribeListenersCommand({ ListenerArns: [world.listener] })),
    client.send(new DescribeRulesCommand({ ListenerArn: world.listener })),
  ]);
  return [listeners.Listeners, rules.Rules];
}

async function newGroup(name: string, change: { VpcId?: string; Protocol?: 'HTTP' | 'TCP' } = {}): Promise<string> {
  const settings = { Protocol: 'HTTP', Port: 80, VpcId: world.vpc, TargetType: 'ip', ...change } as const;
  const made = await client.send(new CreateTargetGroupCommand({ Name: name, ...settings }));
  return made.TargetGroups?.[0]?.TargetGroupArn ?? '';
}

// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupTuple.html
describe('weights', () => {
  test.each([-1, 1_000, 300_000])('%d is out of range', async (weight) => {
    expect(await refused([forward([world.blue.arn, weight], [world.green.arn, 1])])).toEqual({
      name: 'ValidationError',
      message: 'The weight for each target group must be between 0 and 999, inclusive',
    });
  });

  test('0 for all of them is refused', async () => {
    expect(await refused([forward([world.blue.arn, 0], [world.green.arn, 0])])).toMatchObject({
      name: 'ValidationError',
    });
  });

  test('0 for one of them attaches it, and the list is given back as it was written', async () => {
    const { Rules: [before] = [] } = await client.send(new DescribeRulesCommand({ RuleArns: [world.rule] }));
    const actions = [forward([world.blue.arn, 999], [world.green.arn, 0])];
    await client.send(new ModifyRuleCommand({ RuleArn: world.rule, Actions: actions }));
    const { Rules: [rule] = [] } = await client.send(new DescribeRulesCommand({ RuleArns: [world.rule] }));
    expect(rule?.Actions).toEqual([
      {
        Type: 'forward',
        ForwardConfig: { ...actions[0]?.ForwardConfig, TargetGroupStickinessConfig: { Enabled: false } },
      },
    ]);
    await client.send(new ModifyRuleCommand({ RuleArn: world.rule, Actions: before?.Actions }));
    const { Rules: [after] = [] } = await client.send(new DescribeRulesCommand({ RuleArns: [world.rule] }));
    expect(after).toEqual(before);
  });
});

// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ForwardActionConfig.html
describe('target groups of an action', () => {
  test('one that does not exist is refused', async () => {
    const arn = world.green.arn.replace(/\w+$/, '0123456789abcdef');
    expect(await refused([forward([world.blue.arn, 1], [arn, 1])])).toEqual({
      name: 'TargetGroupNotFoundException',
      message: `Target groups '${arn}' not found`,
    });
  });

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
  test('a sixth is refused', async () => {
    const names = ['limit-1', 'limit-2', 'limit-3', 'limit-4'];
    const arns = [world.blue.arn, world.green.arn];
    for (const name of names) arns.push(await newGroup(name));
    const weighted = arns.map((arn): [string, number] => [arn, 1]);
    expect(await refused([forward(...weighted)])).toMatchObject({ name: 'InvalidLoadBalancerActionException' });
    await client.send(new ModifyRuleCommand({ RuleArn: world.rule, Actions: [forward(...weighted.slice(0, 5))] }));
    await client.send(new ModifyRuleCommand({ RuleArn: world.rule, Actions: [forward([world.blue.arn, 1])] }));
  });

  test('the same one twice is refused', async () => {
    expect(await refused([forward([world.blue.arn, 1], [world.blue.arn, 2])])).toMatchObject({
      name: 'ValidationError',
    });
  });

  test('two different ones in the two forms of one action are refused', async () => {
    const action = { ...forward([world.blue.arn, 1]), TargetGroupArn: world.green.arn };
    expect(await refused([action])).toMatchObject({ name: 'ValidationError' });
  });

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ModifyRule.html, TargetGroupAssociationLimit
  test('one that another load balancer uses is refused', async () => {
    const other = await makeWorld(aws, {
      ...{ account: world.account, network: world, name: 'other', domain: 'other.example' },
      ...{ blue: [], green: [] },
    });
    expect(await refused([forward([world.blue.arn, 1], [other.blue.arn, 1])])).toEqual({
      name: 'TargetGroupAssociationLimitException',
      message: `The following target groups cannot be associated with more than one load balancer: ${other.blue.arn}`,
    });
  });

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html
  test('one of another VPC is refused', async () => {
    const { vpc } = await makeNetwork(aws, world);
    const arn = await newGroup('elsewhere', { VpcId: vpc });
    expect(await refused([forward([arn, 1])])).toMatchObject({ name: 'InvalidConfigurationRequestException' });
  });

  test('one that speaks TCP is refused', async () => {
    const arn = await newGroup('tcp', { Protocol: 'TCP' });
    expect(await refused([forward([arn, 1])])).toMatchObject({ name: 'IncompatibleProtocolsException' });
  });

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupStickinessConfig.html
  test('stickiness without a duration, or with one over 7 days, is refused', async () => {
    for (const DurationSeconds of [undefined, 604_801]) {
      const config = { Enabled: true, ...(DurationSeconds === undefined ? {} : { DurationSeconds }) };
      const action = forward([world.blue.arn, 1]);
      const sticky = { ...action, ForwardConfig: { ...action.ForwardConfig, TargetGroupStickinessConfig: config } };
      expect(await refused([sticky])).toMatchObject({ name: 'ValidationError' });
    }
  });
});

// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Action.html, Order and Type
describe('order', () => {
  const fixed: Action = { Type: 'fixed-response', FixedResponseConfig: { StatusCode: '503' } };

  test('two actions without an order are refused', async () => {
    expect(await refused([fixed, forward([world.blue.arn, 1])])).toMatchObject({ name: 'ValidationError' });
  });

  test('two actions that both end the list are refused', async () => {
    const two = [
      { ...fixed, Order: 1 },
      { ...forward([world.blue.arn, 1]), Order: 2 },
    ];
    expect(await refused(two)).toMatchObject({ name: 'InvalidLoadBalancerActionException' });
  });

  test('authentication on a listener without TLS is refused', async () => {
    const login: Action = {
      Type: 'authenticate-oidc',
      Order: 1,
      AuthenticateOidcConfig: {
        Issuer: 'https://id.example.com',
        AuthorizationEndpoint: 'https://id.example.com/a',
        TokenEndpoint: 'https://id.example.com/t',
        UserInfoEndpoint: 'https://id.example.com/u',
        ClientId: 'shop',
      },
    };
    expect(await refused([login, { ...forward([world.blue.arn, 1]), Order: 2 }])).toMatchObject({
      name: 'InvalidLoadBalancerActionException',
    });
  });

  test('an empty list is refused', async () => {
    const Conditions = [{ Field: 'path-pattern', Values: ['/x'] }];
    const create = new CreateRuleCommand({ ListenerArn: world.listener, Priority: 9, Conditions, Actions: [] });
    await expect(client.send(create)).rejects.toMatchObject({ name: 'ValidationError' });
  });
});
