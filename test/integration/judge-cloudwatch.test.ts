/** Gates judged by CloudWatch: the edge serves requests and tells what it counts, as a load balancer does. */
import { Agent } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { judge } from '../../activities/metrics/looking.js';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import { Metrics, normalProviders, type NormalProvider } from '../../spec/metrics.js';
import type { GateVerdict, JudgeInput, Subject, SubjectSide } from '../../spec/verdict.js';
import { newAccount, startAws } from '../support/aws.js';
import { EdgeWorld } from '../support/edge-world.js';
import { gateOf } from '../support/gates.js';
import type { Behaviour, TargetServer } from '../support/target-server.js';
import { useAccount } from '../support/traffic.js';

const MINUTE_MS = 60_000;

let aws: AwsProxy;
let account: string;
beforeAll(async () => {
  aws = await startAws();
  account = useAccount(newAccount());
});
afterEach(() => aws.heal());
afterAll(() => aws?.stop());

/** Requests with what their target does. */
type Served = [times: number, behaviour: Behaviour][];
const GOOD: Behaviour = { kind: 'serve' };
const FAILS: Behaviour = { kind: 'fail', status: 500 };
const SLOW: Behaviour = { kind: 'slow', ms: 2_000 };
const SLUGGISH: Behaviour = { kind: 'slow', ms: 250 };

/**
 * Load balancers of the same name get the same ARN, and metrics outlive them: each has a region of its own, and so has each
 * test that is tried again.
 */
const REGIONS = [
  ...['eu-west-1', 'eu-west-2', 'eu-west-3', 'eu-central-1', 'eu-north-1', 'us-east-1', 'us-east-2', 'us-west-1'],
  ...['us-west-2', 'ca-central-1', 'ap-south-1', 'ap-southeast-1', 'ap-southeast-2', 'ap-northeast-1', 'sa-east-1'],
];
let region = 'eu-west-1';

/** A load balancer whose green and blue have served this, and nothing else. */
async function serve(green: Served, blue: Served = []): Promise<{ subject: Subject; world: EdgeWorld }> {
  region = REGIONS.shift() ?? expect.fail('no region is left');
  const world = await EdgeWorld.start(aws.observer({ account, region }), { cloudWatchEveryMs: 200 });
  onTestFinished(() => world.stop());
  const [onBlue, onGreen] = await world.targets([world.blue, '10.0.0.1'], [world.green, '10.0.0.2']);
  await world.setWeights(0, 100);
  if (onGreen !== undefined) await requests(world, onGreen, green);
  await world.setWeights(100, 0);
  if (onBlue !== undefined) await requests(world, onBlue, blue);
  return { subject: { green: sideOf(world, world.green), blue: sideOf(world, world.blue) }, world };
}

/** Those that take their time sixteen at once; of others so few that a machine which stands still for a moment holds up less than one in twenty. */
async function requests(world: EdgeWorld, target: TargetServer, served: Served): Promise<void> {
  for (const [times, behaviour] of served) {
    target.behaviour = behaviour;
    const agent = new Agent({ keepAlive: true, maxSockets: behaviour.kind === 'slow' ? 16 : 4 });
    await Promise.all(Array.from({ length: times }, () => world.get({ agent })));
    agent.destroy();
  }
}

const dimensionOf = (arn: string): string => arn.slice(arn.lastIndexOf(':') + 1).replace('loadbalancer/', '');

const sideOf = (world: EdgeWorld, group: string): SubjectSide => ({
  labels: {},
  dimensions: { LoadBalancer: dimensionOf(world.balancer.arn), TargetGroup: dimensionOf(group) },
});

function cloudWatch(change: object = {}): NormalProvider {
  const written = { region, endpoint: aws.url, delay: '0s', timeout: '20s', ...change };
  const [provider] = normalProviders(Metrics.parse({ aws: { cloudWatch: written } }));
  return provider ?? expect.fail('no provider');
}

/** Once the minute that runs is over: what has been told by now is all that it will have. */
const nextMinute = (): number => (Math.floor(Date.now() / MINUTE_MS) + 1) * MINUTE_MS;

async function verdictOf(
  subject: Subject,
  gate: object,
  provider = cloudWatch(),
  change: Partial<JudgeInput> = {},
): Promise<GateVerdict> {
  const at = nextMinute();
  const { gates } = await judge({
    migration: 'shop',
    unit: 'traffic/web',
    gates: [gateOf({ window: '10m', ...gate }, {}, provider)],
    providers: [provider],
    subject,
    at,
    since: at - 10 * MINUTE_MS,
    baseline: null,
    state: null,
    ...change,
  });
  return gates[0] ?? expect.fail('no verdict');
}

/** All that was served is known there. */
async function judged(subject: Subject, gate: object, samples: number): Promise<GateVerdict> {
  const told = async () => (await verdictOf(subject, gate)).figures?.samples;
  await expect.poll(told, { timeout: 30_000 }).toBe(samples);
  return verdictOf(subject, gate);
}

describe('CloudWatch', () => {
  test('tells a green that fails from a good one, by the requests at its own target group', async () => {
    const bad = await serve([
      [570, GOOD],
      [30, FAILS],
    ]);
    const gate = { errorRatio: { absolute: '1%' } };
    expect(await judged(bad.subject, gate, 600)).toMatchObject({
      verdict: 'fail',
      explanation: expect.stringMatching(
        /^green 30 of 600 = 5 %, 95 % interval 3\.5–7 %, limit 1 %: fails, so far for 0s of 5m/,
      ) as string,
    });
    const good = await serve([[600, GOOD]], [[50, FAILS]]);
    expect(await judged(good.subject, gate, 600)).toMatchObject({ verdict: 'pass', figures: { value: 0 } });
  });

  test('bounds a quantile by the percentiles around it, beside blue', async () => {
    const gate = { latency: { quantile: 'p95', relativeToBlue: 3 } };
    const slow = await serve(
      [
        [240, GOOD],
        [60, SLOW],
      ],
      [[300, GOOD]],
    );
    const seen = await judged(slow.subject, gate, 300);
    expect(seen, seen.explanation).toMatchObject({ verdict: 'fail' });
    expect(seen.explanation).toMatch(
      /^green p95 2,\d00 ms of 300 requests, 95 % interval .* \(3 × blue [\d.]+ ms\): fails/,
    );
    const alike = await serve([[300, SLUGGISH]], [[300, SLUGGISH]]);
    expect(await judged(alike.subject, gate, 300)).toMatchObject({ verdict: 'pass' });
    expect((await verdictOf(alike.subject, { latency: { quantile: 'p95', absolute: '100ms' } })).verdict).toBe('fail');
  });

  test('says how many targets are good, and what nobody answered is a failure of its group', async () => {
    const { subject, world } = await serve([[300, { kind: 'reset' }]]);
    expect(await judged(subject, { errorRatio: { absolute: '1%' } }, 300)).toMatchObject({
      verdict: 'fail',
      figures: { value: 1 },
    });
    expect(await verdictOf(subject, { availability: {} })).toMatchObject({ verdict: 'pass' });
    await world.target(world.green, '10.0.0.3').then((target) => (target.health = 500));
    await world.becomes('10.0.0.3', 'unhealthy');
    const gate = { availability: { absolute: '95%' } };
    await expect.poll(async () => (await verdictOf(subject, gate)).verdict, { timeout: 30_000 }).toBe('fail');
  });

  test('without figures, and before a minute is whole, has no data; without requests it can not tell', async () => {
    const nobody = { green: { labels: {}, dimensions: { TargetGroup: 'targetgroup/no/1' } }, blue: null };
    const gate = { errorRatio: { absolute: '1%' } };
    expect(await verdictOf(nobody, gate)).toMatchObject({
      verdict: 'no-data',
      explanation: 'now: CloudWatch has no figures of AWS/ApplicationELB for TargetGroup=targetgroup/no/1: no-data',
    });
    const at = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS + 30_000;
    const young = await verdictOf(nobody, gate, cloudWatch({ delay: '1m' }), { at, since: at - MINUTE_MS });
    expect(young).toMatchObject({
      verdict: 'no-data',
      explanation: expect.stringContaining('no whole minute') as string,
    });

    const { subject } = await serve([]);
    await expect
      .poll(async () => (await verdictOf(subject, gate)).explanation, { timeout: 30_000 })
      .toBe('green: no request: insufficient');
  });

  test('follows pages', async () => {
    const { subject } = await serve([
      [270, GOOD],
      [30, FAILS],
    ]);
    aws.tell({ pageSize: 1 });
    onTestFinished(() => aws.tell({ pageSize: null }));
    expect(await judged(subject, { errorRatio: { absolute: '1%' } }, 300)).toMatchObject({ figures: { value: 0.1 } });
  });
});

describe('a CloudWatch that can not be asked holds', () => {
  const nobody = { green: { labels: {}, dimensions: { TargetGroup: 'targetgroup/no/1' } }, blue: null };
  const gate = { errorRatio: { absolute: '1%' } };

  test('throttled for a moment it is asked again, and for good it is said', async () => {
    const twice = aws.fail({ service: 'cloudwatch', fault: { kind: 'throttled' }, times: 2 });
    expect((await verdictOf(nobody, gate)).verdict).toBe('no-data');
    expect(twice.met).toBe(2);
    aws.fail({ service: 'cloudwatch', fault: { kind: 'throttled' }, times: Infinity });
    expect(await verdictOf(nobody, gate)).toMatchObject({
      verdict: 'provider-error',
      decision: 'hold',
      explanation: expect.stringContaining('aws: ThrottlingException: Rate exceeded') as string,
    });
  });

  test.each<[string, Parameters<AwsProxy['fail']>[0]['fault'], RegExp]>([
    ['expired credentials', { kind: 'expired credentials' }, /aws: ExpiredTokenException: The security token/],
    [
      'keys that nobody knows',
      { kind: 'error', code: 'InvalidClientTokenId', status: 403, message: 'The security token is invalid.' },
      /aws: InvalidClientTokenId: The security token is invalid/,
    ],
    [
      'a role that may not read metrics',
      {
        kind: 'error',
        code: 'AccessDenied',
        status: 403,
        message: 'not authorized to perform: cloudwatch:GetMetricData',
      },
      /aws: AccessDenied: .*cloudwatch:GetMetricData/,
    ],
  ])('%s', async (_, fault, message) => {
    aws.fail({ service: 'cloudwatch', fault, times: Infinity });
    const { verdict, explanation } = await verdictOf(nobody, gate);
    expect(verdict).toBe('provider-error');
    expect(explanation).toMatch(message);
  });

  test('one that answers too late, and one that is not there', async () => {
    aws.fail({ service: 'cloudwatch', fault: { kind: 'slow', ms: 3_000 }, times: Infinity });
    expect((await verdictOf(nobody, gate, cloudWatch({ timeout: '200ms' }))).explanation).toContain(
      'aws: no answer within 200 ms',
    );
    const gone = await verdictOf(nobody, gate, cloudWatch({ endpoint: 'http://127.0.0.1:9', timeout: '2s' }));
    expect(gone.verdict).toBe('provider-error');
  });
});
