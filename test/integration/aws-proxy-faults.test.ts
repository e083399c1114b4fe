/** The ways in which calls of AWS go wrong, by order; and what is told of all calls afterwards. */
import { ACMClient, ListCertificatesCommand } from '@aws-sdk/client-acm';
import { CloudWatchClient, ListMetricsCommand } from '@aws-sdk/client-cloudwatch';
import {
  DescribeRulesCommand,
  DescribeTargetGroupsCommand,
  ElasticLoadBalancingV2Client,
  ModifyRuleCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import {
  ChangeResourceRecordSetsCommand,
  GetChangeCommand,
  ListHostedZonesCommand,
  ListResourceRecordSetsCommand,
  Route53Client,
} from '@aws-sdk/client-route-53';
import { ListSecretsCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { fromTemporaryCredentials } from '@aws-sdk/credential-providers';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import { AWS_RATES } from '../../lab/aws/rate.js';
import { makeRole, makeWorld, type AwsWorld } from '../../lab/aws/world.js';
import { newAccount, ONCE, startAws } from '../support/aws.js';
import { fresh } from '../support/fresh-name.js';

let aws: AwsProxy;
let world: AwsWorld;
let balancing: ElasticLoadBalancingV2Client;
let dns: Route53Client;

beforeAll(async () => {
  aws = await startAws({ rates: { route53: null } });
  world = await makeWorld(aws, { account: newAccount(), blue: [9001], green: [9002] });
  balancing = new ElasticLoadBalancingV2Client({ ...aws.client(world), ...ONCE });
  dns = new Route53Client({ ...aws.client(world), ...ONCE });
});
afterEach(() => {
  aws.heal();
  aws.tell({ staleness: {}, rates: { route53: null }, route53: { inSyncAfterMs: 300 } });
});
afterAll(() => aws.stop());

const weigh = (blue: number, green: number, abortSignal?: AbortSignal) =>
  balancing.send(
    new ModifyRuleCommand({
      RuleArn: world.rule,
      Actions: [
        {
          Type: 'forward',
          ForwardConfig: {
            TargetGroups: [
              { TargetGroupArn: world.blue.arn, Weight: blue },
              { TargetGroupArn: world.green.arn, Weight: green },
            ],
          },
        },
      ],
    }),
    abortSignal === undefined ? {} : { abortSignal },
  );

async function weights(client = balancing): Promise<(number | undefined)[]> {
  const { Rules: [rule] = [] } = await client.send(new DescribeRulesCommand({ RuleArns: [world.rule] }));
  return (rule?.Actions?.[0]?.ForwardConfig?.TargetGroups ?? []).map((group) => group.Weight);
}

const addRecord = (name: string) =>
  dns.send(
    new ChangeResourceRecordSetsCommand({
      HostedZoneId: world.zone.id,
      ChangeBatch: {
        Changes: [
          {
            Action: 'CREATE',
            ResourceRecordSet: {
              Name: `${name}.example.com`,
              Type: 'A',
              TTL: 60,
              ResourceRecords: [{ Value: '192.0.2.1' }],
            },
          },
        ],
      },
    }),
  );

describe('a call', () => {
  test('is refused with any code, as often as ordered, in the words of each protocol', async () => {
    const fault = { kind: 'error', code: 'ServiceUnavailable', status: 503, message: 'Come back later' } as const;
    const order = aws.fail({ fault, times: 4 });
    const expected = { name: 'ServiceUnavailable', message: 'Come back later', $metadata: { httpStatusCode: 503 } };
    await expect(weights()).rejects.toMatchObject(expected);
    await expect(dns.send(new ListHostedZonesCommand({}))).rejects.toMatchObject(expected);
    const acm = new ACMClient({ ...aws.client(world), ...ONCE });
    await expect(acm.send(new ListCertificatesCommand({}))).rejects.toMatchObject(expected);
    const metrics = new CloudWatchClient({ ...aws.client(world), ...ONCE });
    await expect(metrics.send(new ListMetricsCommand({}))).rejects.toMatchObject(expected);
    expect(order.met).toBe(4);
    expect(await weights()).toEqual([1]);
  });

  test('that a typed exception stands for is answered by that exception', async () => {
    aws.fail({ operation: 'ModifyRule', fault: { kind: 'error', code: 'TooManyActions' } });
    await expect(weigh(1, 1)).rejects.toMatchObject({ name: 'TooManyActionsException' });
  });

  test('takes effect although its answer is lost', async () => {
    aws.fail({ operation: 'ModifyRule', fault: { kind: 'lost after' } });
    await expect(weigh(90, 10)).rejects.toThrow();
    expect(await weights()).toEqual([90, 10]);
    expect(aws.callsOf('ModifyRule', world.account).at(-1)?.outcome).toBe('lost');
  });

  test('has no effect when it is lost before', async () => {
    await weigh(80, 20);
    aws.fail({ operation: 'ModifyRule', fault: { kind: 'lost before' } });
    await expect(weigh(70, 30)).rejects.toThrow();
    expect(await weights()).toEqual([80, 20]);
  });

  test('takes effect at once although its answer is late, also for a client that gives up', async () => {
    const order = aws.fail({ operation: 'ModifyRule', fault: { kind: 'slow', ms: 600_000 } });
    const patience = new AbortController();
    const answer = weigh(45, 55, patience.signal).then(
      () => 'answered',
      () => 'given up',
    );
    const observer = new ElasticLoadBalancingV2Client({ ...aws.observer(world), ...ONCE });
    await vi.waitFor(async () => expect(await weights(observer)).toEqual([45, 55]), { timeout: 60_000 });
    expect(order.met).toBe(1);
    expect(aws.callsOf('ModifyRule', world.account).at(-1)?.outcome).toBeNull();
    patience.abort();
    expect(await answer).toBe('given up');
  });

  // https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
  test('fails with credentials that expired, in every service', async () => {
    aws.fail({ account: world.account, fault: { kind: 'expired credentials' }, times: Infinity });
    const expected = { message: 'The security token included in the request is expired' };
    await expect(weights()).rejects.toMatchObject({ name: 'ExpiredToken', ...expected });
    await expect(dns.send(new ListHostedZonesCommand({}))).rejects.toMatchObject({ name: 'ExpiredToken', ...expected });
    const secrets = new SecretsManagerClient({ ...aws.client(world), ...ONCE });
    await expect(secrets.send(new ListSecretsCommand({}))).rejects.toMatchObject({
      name: 'ExpiredTokenException',
      ...expected,
    });
  });

  test('is met by an order only when it is the one that is meant', async () => {
    const order = aws.fail({
      operation: 'DescribeRules',
      when: (call) => JSON.stringify(call.parameters).includes(world.rule),
      after: 1,
      fault: { kind: 'throttled' },
    });
    await balancing.send(new DescribeRulesCommand({ ListenerArn: world.listener }));
    await weights();
    expect(order.met).toBe(0);
    await expect(weights()).rejects.toMatchObject({ name: 'Throttling', message: 'Rate exceeded' });
    await weights();
    expect(order.met).toBe(1);
  });

  test('is retried by the SDK when it was throttled', async () => {
    const order = aws.fail({ operation: 'DescribeRules', fault: { kind: 'throttled' }, times: 2 });
    const patient = new ElasticLoadBalancingV2Client({ ...aws.client(world), maxAttempts: 4 });
    expect(await weights(patient)).toHaveLength(2);
    expect(order.met).toBe(2);
  });

  test('is written down with its parameters and how it ended', async () => {
    await weigh(60, 40);
    expect(aws.callsOf('ModifyRule', world.account).at(-1)).toMatchObject({
      service: 'elbv2',
      account: world.account,
      region: world.region,
      outcome: 'answered',
      parameters: { RuleArn: world.rule, Actions: [{ ForwardConfig: { TargetGroups: [{ Weight: '60' }, {}] } }] },
    });
    await expect(weigh(1_000, 0)).rejects.toThrow();
    expect(aws.callsOf('ModifyRule', world.account).at(-1)?.outcome).toBe('ValidationError');
  });
});

describe('Route 53', () => {
  test('a change never becomes INSYNC, until it may', async () => {
    aws.fail({ operation: 'ChangeResourceRecordSets', fault: { kind: 'never in sync' } });
    aws.tell({ route53: { inSyncAfterMs: 0 } });
    const held = await addRecord(fresh('held'));
    const other = await addRecord(fresh('other'));
    const status = async (Id: string | undefined) => (await dns.send(new GetChangeCommand({ Id }))).ChangeInfo?.Status;
    expect(await status(other.ChangeInfo?.Id)).toBe('INSYNC');
    expect(await status(held.ChangeInfo?.Id)).toBe('PENDING');
    aws.heal();
    expect(await status(held.ChangeInfo?.Id)).toBe('INSYNC');
  });

  // https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html#limits-api-requests
  test('takes five requests a second of an account, and has nothing against another', async () => {
    aws.tell({ rates: AWS_RATES });
    const list = (client: Route53Client) => client.send(new ListHostedZonesCommand({}));
    const answers = await Promise.allSettled(Array.from({ length: 60 }, () => list(dns)));
    const refused = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as Error] : []));
    expect(refused.length).toBeGreaterThan(0);
    expect(new Set(refused.map((error) => `${error.name}: ${error.message}`))).toEqual(
      new Set(['Throttling: Rate exceeded']),
    );
    await list(new Route53Client({ ...aws.client({ account: newAccount() }), ...ONCE }));
    await list(new Route53Client({ ...aws.observer(world), ...ONCE }));
  });
});

// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/Welcome.html
describe('a replica that is behind', () => {
  test('goes on with what it said before the write, for so many reads', async () => {
    await weigh(50, 50);
    expect(await weights()).toEqual([50, 50]);
    aws.tell({ staleness: { elbv2: { reads: 2 } } });
    const { Rules: [answered] = [] } = await weigh(25, 75);
    expect(answered?.Actions?.[0]?.ForwardConfig?.TargetGroups?.map((group) => group.Weight)).toEqual([25, 75]);
    expect(await weights()).toEqual([50, 50]);
    expect(await weights()).toEqual([50, 50]);
    expect(await weights()).toEqual([25, 75]);
  });

  test('goes on with it for a time, until it catches up', async () => {
    await weigh(50, 50);
    expect(await weights()).toEqual([50, 50]);
    aws.tell({ staleness: { elbv2: { ms: 600_000 } } });
    await weigh(25, 75);
    for (let read = 0; read < 5; read += 1) expect(await weights()).toEqual([50, 50]);
    aws.heal();
    expect(await weights()).toEqual([25, 75]);
  });

  test('is no matter for the observer, nor of another service', async () => {
    const list = () => dns.send(new ListResourceRecordSetsCommand({ HostedZoneId: world.zone.id }));
    const before = (await list()).ResourceRecordSets?.length ?? 0;
    await weigh(20, 80);
    await weights();
    aws.tell({ staleness: { elbv2: { reads: 1 } } });
    await weigh(10, 90);
    await addRecord(fresh('seen-at-once'));
    expect((await list()).ResourceRecordSets).toHaveLength(before + 1);
    expect(await weights(new ElasticLoadBalancingV2Client({ ...aws.observer(world), ...ONCE }))).toEqual([10, 90]);
    expect(await weights()).toEqual([20, 80]);
  });
});

// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
describe('a role of another account', () => {
  const assumed = (RoleArn: string) =>
    new ElasticLoadBalancingV2Client({
      ...aws.client(),
      ...ONCE,
      credentials: fromTemporaryCredentials({
        masterCredentials: aws.client({ account: newAccount() }).credentials,
        params: { RoleArn, RoleSessionName: 'test' },
        clientConfig: { endpoint: aws.url, region: world.region, ...ONCE },
      }),
    });

  test('that exists lets one work in that account', async () => {
    const client = assumed(await makeRole(aws, world.account, 'migrator'));
    const found = await client.send(new DescribeTargetGroupsCommand({}));
    expect(found.TargetGroups?.map((group) => group.TargetGroupArn)).toContain(world.blue.arn);
  });

  test('that does not exist is refused', async () => {
    const client = assumed(`arn:aws:iam::${world.account}:role/nobody`);
    await expect(client.send(new DescribeTargetGroupsCommand({}))).rejects.toMatchObject({ name: 'AccessDenied' });
  });
});
