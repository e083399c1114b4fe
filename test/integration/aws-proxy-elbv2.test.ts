/** What AWS asks of load balancers, listeners, rules and target groups, besides their actions. */
import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateRuleCommand,
  CreateTargetGroupCommand,
  DeleteListenerCommand,
  DeleteLoadBalancerCommand,
  DeleteRuleCommand,
  DeleteTargetGroupCommand,
  DescribeListenersCommand,
  DescribeLoadBalancerAttributesCommand,
  DescribeLoadBalancersCommand,
  DescribeRulesCommand,
  DescribeTargetGroupAttributesCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
  ModifyListenerCommand,
  ModifyLoadBalancerAttributesCommand,
  ModifyRuleCommand,
  ModifyTargetGroupAttributesCommand,
  paginateDescribeRules,
  RegisterTargetsCommand,
  SetRulePrioritiesCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import { DEFAULT_SETTINGS } from '../../lab/aws/settings.js';
import { makeWorld, type AwsWorld } from '../../lab/aws/world.js';
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
afterEach(() => aws.tell({ pageSize: null }));

const toBlue = () => [{ Type: 'forward' as const, TargetGroupArn: world.blue.arn }];
const onPath = (...Values: string[]) => [{ Field: 'path-pattern', PathPatternConfig: { Values } }];

async function rule(priority: number, path = `/${priority}`): Promise<string> {
  const command = new CreateRuleCommand({
    ListenerArn: world.listener,
    Priority: priority,
    Conditions: onPath(path),
    Actions: toBlue(),
  });
  return (await client.send(command)).Rules?.[0]?.RuleArn ?? '';
}

describe('rules', () => {
  // https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateRule.html
  test('a priority has one rule, and is 1 to 50000', async () => {
    await expect(rule(10)).rejects.toMatchObject({
      name: 'PriorityInUseException',
      message: "Priority '10' is currently in use",
    });
    await expect(rule(0)).rejects.toMatchObject({ name: 'ValidationError' });
    await expect(rule(50_001)).rejects.toMatchObject({ name: 'ValidationError' });
  });

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
  test('a sixth condition value is too many', async () => {
    const command = new CreateRuleCommand({
      ListenerArn: world.listener,
      Priority: 11,
      Conditions: onPath('/a', '/b', '/c', '/d', '/e', '/f'),
      Actions: toBlue(),
    });
    await expect(client.send(command)).rejects.toMatchObject({ name: 'TooManyConditionValues' });
  });

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeRules.html
  test('they come in the order in which they are asked, in pages that have to be followed', async () => {
    const made = [await rule(30), await rule(20)];
    aws.tell({ pageSize: 2 });
    const page = await client.send(new DescribeRulesCommand({ ListenerArn: world.listener }));
    expect(page.Rules?.map((one) => one.Priority)).toEqual(['10', '20']);
    expect(page.NextMarker).toBeDefined();
    const all: (string | undefined)[] = [];
    for await (const { Rules } of paginateDescribeRules({ client }, { ListenerArn: world.listener })) {
      all.push(...(Rules ?? []).map((one) => one.Priority));
    }
    expect(all).toEqual(['10', '20', '30', 'default']);
    aws.tell({ pageSize: null });
    const wrong = new DescribeRulesCommand({ ListenerArn: world.listener, Marker: 'nonsense' });
    await expect(client.send(wrong)).rejects.toMatchObject({ name: 'ValidationError' });
    for (const RuleArn of made) await client.send(new DeleteRuleCommand({ RuleArn }));
  });

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_SetRulePriorities.html
  test('priorities change all at once or not at all', async () => {
    const [one, other] = [await rule(30), await rule(20)];
    const set = (RulePriorities: { RuleArn: string; Priority: number }[]) =>
      client.send(new SetRulePrioritiesCommand({ RulePriorities }));
    const taken = set([
      { RuleArn: one, Priority: 40 },
      { RuleArn: other, Priority: 10 },
    ]);
    await expect(taken).rejects.toMatchObject({ name: 'PriorityInUseException' });
    const before = await client.send(new DescribeRulesCommand({ RuleArns: [one, other] }));
    expect(before.Rules?.map((found) => found.Priority)).toEqual(['30', '20']);
    await set([
      { RuleArn: one, Priority: 20 },
      { RuleArn: other, Priority: 30 },
    ]);
    const after = await client.send(new DescribeRulesCommand({ RuleArns: [one, other] }));
    expect(after.Rules?.map((found) => found.Priority)).toEqual(['20', '30']);
    for (const RuleArn of [one, other]) await client.send(new DeleteRuleCommand({ RuleArn }));
  });

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ModifyRule.html, OperationNotPermitted
  test('the default one is the listener’s to change', async () => {
    const { Rules = [] } = await client.send(new DescribeRulesCommand({ ListenerArn: world.listener }));
    const RuleArn = Rules.find((one) => one.IsDefault)?.RuleArn;
    const expected = { name: 'OperationNotPermittedException' };
    await expect(client.send(new ModifyRuleCommand({ RuleArn, Actions: toBlue() }))).rejects.toMatchObject(expected);
    await expect(client.send(new DeleteRuleCommand({ RuleArn }))).rejects.toMatchObject(expected);
  });

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeRules.html, RuleNotFound
  test('one that is unknown is an error, among others, too', async () => {
    const RuleArn = `${world.rule}0`;
    const expected = { name: 'RuleNotFoundException' };
    const both = new DescribeRulesCommand({ RuleArns: [world.rule, RuleArn] });
    await expect(client.send(both)).rejects.toMatchObject(expected);
    await expect(client.send(new DeleteRuleCommand({ RuleArn }))).rejects.toMatchObject(expected);
  });
});

describe('listeners', () => {
  const create = (Port: number, StatusCode?: string) =>
    client.send(
      new CreateListenerCommand({
        LoadBalancerArn: world.loadBalancer.arn,
        Protocol: 'HTTP',
        Port,
        DefaultActions:
          StatusCode === undefined ? toBlue() : [{ Type: 'fixed-response', FixedResponseConfig: { StatusCode } }],
      }),
    );

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateListener.html: "This operation is idempotent"
  test('the same one again is answered with what is there; another on its port is refused', async () => {
    expect((await create(80)).Listeners?.[0]?.ListenerArn).toBe(world.listener);
    await expect(create(80, '404')).rejects.toMatchObject({ name: 'DuplicateListenerException' });
  });

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ModifyListener.html
  test('one is not moved to the port of another, and only its default actions change when only they are given', async () => {
    const other = (await create(81, '404')).Listeners?.[0]?.ListenerArn;
    const move = new ModifyListenerCommand({ ListenerArn: other, Port: 80 });
    await expect(client.send(move)).rejects.toMatchObject({ name: 'DuplicateListenerException' });
    const modify = new ModifyListenerCommand({ ListenerArn: other, DefaultActions: toBlue() });
    const { Listeners: [changed] = [] } = await client.send(modify);
    expect(changed).toMatchObject({ Port: 81, Protocol: 'HTTP' });
    expect(changed?.DefaultActions).toHaveLength(1);
    expect(changed?.DefaultActions?.[0]).toMatchObject({ Type: 'forward', TargetGroupArn: world.blue.arn });
    await client.send(new DeleteListenerCommand({ ListenerArn: other }));
  });

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeListeners.html, ListenerNotFound
  test('one that is unknown is an error, among others, too', async () => {
    const ListenerArns = [world.listener, `${world.listener}0`];
    await expect(client.send(new DescribeListenersCommand({ ListenerArns }))).rejects.toMatchObject({
      name: 'ListenerNotFoundException',
    });
  });
});

describe('target groups', () => {
  const settings = () => ({ Protocol: 'HTTP' as const, Port: 8080, VpcId: world.vpc, TargetType: 'ip' as const });

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeleteTargetGroup.html, ResourceInUse
  test('one in use is not deleted; one that is gone is no error', async () => {
    const TargetGroupArn = world.blue.arn;
    await expect(client.send(new DeleteTargetGroupCommand({ TargetGroupArn }))).rejects.toMatchObject({
      name: 'ResourceInUseException',
      message: `Target group '${TargetGroupArn}' is currently in use by a listener or a rule`,
    });
    const made = await client.send(new CreateTargetGroupCommand({ Name: 'short-lived', ...settings() }));
    const gone = new DeleteTargetGroupCommand({ TargetGroupArn: made.TargetGroups?.[0]?.TargetGroupArn });
    await client.send(gone);
    await client.send(gone);
    const found = await client.send(new DescribeTargetGroupsCommand({}));
    expect(found.TargetGroups?.map((group) => group.TargetGroupName)).toEqual(['shop-blue', 'shop-green']);
  });

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html: "This operation is idempotent"
  test('the same one again is answered with what is there; another of its name is refused', async () => {
    const again = new CreateTargetGroupCommand({ Name: 'shop-blue', ...settings() });
    expect((await client.send(again)).TargetGroups?.[0]?.TargetGroupArn).toBe(world.blue.arn);
    const other = new CreateTargetGroupCommand({ Name: 'shop-blue', ...settings(), Port: 9090 });
    await expect(client.send(other)).rejects.toMatchObject({ name: 'DuplicateTargetGroupNameException' });
  });

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupAttribute.html
  test('attributes have a closed list of names and values, and all come back', async () => {
    const set = (Key: string, Value: string) =>
      client.send(
        new ModifyTargetGroupAttributesCommand({ TargetGroupArn: world.green.arn, Attributes: [{ Key, Value }] }),
      );
    for (const [key, value] of [
      ['deregistration_delay.timeout_seconds', '3601'],
      ['slow_start.duration_seconds', '29'],
      ['stickiness.enabled', 'yes'],
      ['colour', 'green'],
    ] as const) {
      await expect(set(key, value)).rejects.toMatchObject({ name: 'ValidationError' });
    }
    await set('slow_start.duration_seconds', '30');
    const described = new DescribeTargetGroupAttributesCommand({ TargetGroupArn: world.green.arn });
    const { Attributes = [] } = await client.send(described);
    expect(Attributes).toContainEqual({ Key: 'slow_start.duration_seconds', Value: '30' });
    expect(Attributes).toContainEqual({ Key: 'stickiness.lb_cookie.duration_seconds', Value: '86400' });
    await set('slow_start.duration_seconds', '0');
  });

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTargetGroups.html, TargetGroupNotFound
  test('one that is unknown is an error, among others, too', async () => {
    const TargetGroupArns = [world.blue.arn, `${world.blue.arn}0`];
    await expect(client.send(new DescribeTargetGroupsCommand({ TargetGroupArns }))).rejects.toMatchObject({
      name: 'TargetGroupNotFoundException',
    });
  });
});

describe('load balancers', () => {
  // https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html
  test('the same one again is answered with what is there; one subnet is too few', async () => {
    const again = new CreateLoadBalancerCommand({ Name: 'shop', Subnets: world.subnets });
    expect((await client.send(again)).LoadBalancers?.[0]?.LoadBalancerArn).toBe(world.loadBalancer.arn);
    const narrow = new CreateLoadBalancerCommand({ Name: 'narrow', Subnets: world.subnets.slice(0, 1) });
    await expect(client.send(narrow)).rejects.toMatchObject({ name: 'ValidationError' });
  });

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeleteLoadBalancer.html, OperationNotPermitted
  test('deletion protection protects', async () => {
    const LoadBalancerArn = world.loadBalancer.arn;
    const protect = (Value: string) =>
      client.send(
        new ModifyLoadBalancerAttributesCommand({
          LoadBalancerArn,
          Attributes: [{ Key: 'deletion_protection.enabled', Value }],
        }),
      );
    await protect('true');
    await expect(client.send(new DeleteLoadBalancerCommand({ LoadBalancerArn }))).rejects.toMatchObject({
      name: 'OperationNotPermittedException',
    });
    await protect('false');
    const { Attributes = [] } = await client.send(new DescribeLoadBalancerAttributesCommand({ LoadBalancerArn }));
    expect(Attributes).toContainEqual({ Key: 'load_balancing.cross_zone.enabled', Value: 'true' });
  });

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeLoadBalancers.html, LoadBalancerNotFound
  test('one that is unknown is an error, among others, too', async () => {
    const names = new DescribeLoadBalancersCommand({ Names: ['shop', 'nobody'] });
    await expect(client.send(names)).rejects.toMatchObject({ name: 'LoadBalancerNotFoundException' });
  });
});

// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
describe('quotas', () => {
  afterEach(() => aws.tell({ quotas: DEFAULT_SETTINGS.quotas }));

  test('are AWS’s own by default', () => {
    expect(aws.settings.quotas).toMatchObject({ listenersOfLoadBalancer: 50, rulesOfLoadBalancer: 100 });
    expect(aws.settings.quotas).toMatchObject({ targetGroupsOfLoadBalancer: 100, targetGroupsOfAction: 5 });
  });

  test('of listeners and rules are kept', async () => {
    aws.tell({ quotas: { listenersOfLoadBalancer: 1, rulesOfLoadBalancer: 1 } });
    const listener = new CreateListenerCommand({
      LoadBalancerArn: world.loadBalancer.arn,
      Protocol: 'HTTP',
      Port: 90,
      DefaultActions: toBlue(),
    });
    await expect(client.send(listener)).rejects.toMatchObject({ name: 'TooManyListenersException' });
    await expect(rule(60)).rejects.toMatchObject({ name: 'TooManyRulesException' });
  });

  test('of target groups count those that the load balancer has already', async () => {
    aws.tell({ quotas: { targetGroupsOfLoadBalancer: 1 } });
    const toGreen = [{ Type: 'forward' as const, TargetGroupArn: world.green.arn }];
    await expect(client.send(new ModifyRuleCommand({ RuleArn: world.rule, Actions: toGreen }))).rejects.toMatchObject({
      name: 'TooManyUniqueTargetGroupsPerLoadBalancerException',
    });
    await client.send(new ModifyRuleCommand({ RuleArn: world.rule, Actions: toBlue() }));
  });

  test('of targets are kept, and a request over them registers none', async () => {
    aws.tell({ quotas: { targetsOfTargetGroup: 2 } });
    const Targets = [9101, 9102].map((Port) => ({ Id: '127.0.0.1', Port }));
    const register = new RegisterTargetsCommand({ TargetGroupArn: world.green.arn, Targets });
    await expect(client.send(register)).rejects.toMatchObject({ name: 'TooManyTargetsException' });
    const health = await client.send(new DescribeTargetHealthCommand({ TargetGroupArn: world.green.arn }));
    expect(health.TargetHealthDescriptions?.map((one) => one.Target?.Port)).toEqual([9002]);
  });
});
