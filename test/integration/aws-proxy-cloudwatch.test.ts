/** Metrics: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html */
import {
  CloudWatchClient,
  GetMetricDataCommand,
  ListMetricsCommand,
  paginateGetMetricData,
  PutMetricDataCommand,
  type GetMetricDataCommandInput,
  type MetricDatum,
} from '@aws-sdk/client-cloudwatch';
import { CreateSecretCommand, GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import { newAccount, ONCE, startAws } from '../support/aws.js';

const MINUTE_MS = 60_000;
const Namespace = 'AWS/ApplicationELB';
const Dimensions = [{ Name: 'TargetGroup', Value: 'targetgroup/shop-green/0123456789abcdef' }];
/** The beginning of a period of five minutes, all of which is over. */
const begin = Math.floor(Date.now() / (5 * MINUTE_MS)) * 5 * MINUTE_MS - 10 * MINUTE_MS;

let aws: AwsProxy;
let account: string;
let client: CloudWatchClient;

beforeAll(async () => {
  aws = await startAws();
});
beforeEach(() => {
  account = newAccount();
  client = new CloudWatchClient({ ...aws.client({ account }), ...ONCE });
});
afterEach(() => aws.tell({ pageSize: null, cloudwatch: { visibleAfterMs: 0 } }));
afterAll(() => aws.stop());

/** @param minute since `begin` */
const put = (minute: number, MetricName: string, datum: MetricDatum | object) =>
  client.send(
    new PutMetricDataCommand({
      Namespace,
      MetricData: [{ MetricName, Dimensions, Timestamp: new Date(begin + minute * MINUTE_MS), ...datum }],
    }),
  );

const question = (asked: [metric: string, stat: string][], minutes = 1, from = 0): GetMetricDataCommandInput => ({
  StartTime: new Date(begin + from * MINUTE_MS),
  EndTime: new Date(begin + 5 * MINUTE_MS),
  MetricDataQueries: asked.map(([MetricName, Stat], index) => ({
    Id: `m${index}`,
    MetricStat: { Metric: { Namespace, MetricName, Dimensions }, Period: minutes * 60, Stat },
  })),
});

async function values(asked: [metric: string, stat: string][], minutes?: number): Promise<unknown[]> {
  const { MetricDataResults = [] } = await client.send(new GetMetricDataCommand(question(asked, minutes)));
  return MetricDataResults.map((result) => result.Values);
}

test('figures come by minutes, the newest first, and a metric without data has none', async () => {
  await put(0, 'HTTPCode_Target_5XX_Count', { Value: 10 });
  await put(0, 'HTTPCode_Target_5XX_Count', { Value: 4 });
  await put(2, 'HTTPCode_Target_5XX_Count', { Value: 1 });
  expect(
    await values([
      ['HTTPCode_Target_5XX_Count', 'Sum'],
      ['HTTPCode_Target_5XX_Count', 'SampleCount'],
      ['RejectedConnectionCount', 'Sum'],
    ]),
  ).toEqual([[1, 14], [1, 2], []]);
});

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
test('percentiles count each value as often as it came; of a set of figures there are none', async () => {
  await put(0, 'TargetResponseTime', { Values: [0.1, 0.2, 3], Counts: [900, 90, 10] });
  const asked: [string, string][] = ['p50', 'p95', 'p99', 'p99.1', 'Average'].map((stat) => [
    'TargetResponseTime',
    stat,
  ]);
  expect(await values(asked)).toEqual([[0.1], [0.2], [0.2], [3], [(90 + 18 + 30) / 1_000]]);
  await put(1, 'TargetResponseTime', { StatisticValues: { SampleCount: 10, Sum: 5, Minimum: 0.1, Maximum: 2 } });
  expect(
    await values([
      ['TargetResponseTime', 'p95'],
      ['TargetResponseTime', 'Maximum'],
    ]),
  ).toEqual([[0.2], [2, 3]]);
});

test('periods begin at multiples of themselves, wherever one begins to ask', async () => {
  for (const minute of [0, 1, 2, 3, 4]) await put(minute, 'RequestCount', { Value: 100 });
  const asked = question([['RequestCount', 'Sum']], 3, 1);
  const { MetricDataResults: [result] = [] } = await client.send(new GetMetricDataCommand(asked));
  const threes = (at: number): Date => new Date(Math.floor(at / (3 * MINUTE_MS)) * 3 * MINUTE_MS);
  const expected = new Map<number, number>();
  for (const minute of [1, 2, 3, 4]) {
    const at = threes(begin + minute * MINUTE_MS).getTime();
    expected.set(at, (expected.get(at) ?? 0) + 100);
  }
  const newestFirst = [...expected].sort(([one], [other]) => other - one);
  expect(result?.Timestamps?.map((at) => at.getTime())).toEqual(newestFirst.map(([at]) => at));
  expect(result?.Values).toEqual(newestFirst.map(([, value]) => value));
});

test('pages have to be followed', async () => {
  for (const minute of [0, 1, 2]) await put(minute, 'RequestCount', { Value: minute });
  aws.tell({ pageSize: 2 });
  const pages: (number[] | undefined)[] = [];
  for await (const page of paginateGetMetricData({ client }, question([['RequestCount', 'Sum']]))) {
    pages.push(page.MetricDataResults?.[0]?.Values);
  }
  expect(pages).toEqual([[2, 1], [0]]);
});

test('what was put is found only later, where CloudWatch is told to be slow', async () => {
  aws.tell({ cloudwatch: { visibleAfterMs: 600_000 } });
  await put(0, 'RequestCount', { Value: 1 });
  aws.tell({ cloudwatch: { visibleAfterMs: 0 } });
  await put(1, 'RequestCount', { Value: 2 });
  expect(await values([['RequestCount', 'Sum']])).toEqual([[2]]);
});

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataQuery.html
test('periods, statistics, times and ids that there are not are refused', async () => {
  const asked = question([['RequestCount', 'Sum']]);
  const [query] = asked.MetricDataQueries ?? [];
  const wrong: Partial<GetMetricDataCommandInput>[] = [
    { EndTime: asked.StartTime },
    { MetricDataQueries: [{ ...query, Id: 'Requests' }] },
    {
      MetricDataQueries: [
        { ...query, Id: 'a' },
        { ...query, Id: 'a' },
      ],
    },
    { MetricDataQueries: question([['RequestCount', 'Total']]).MetricDataQueries },
    { MetricDataQueries: question([['RequestCount', 'Sum']], 0.75).MetricDataQueries },
  ];
  for (const change of wrong) {
    await expect(client.send(new GetMetricDataCommand({ ...asked, ...change }))).rejects.toMatchObject({
      name: 'ValidationException',
    });
  }
});

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
test('a datum has one kind of value, and is neither weeks old nor of tomorrow', async () => {
  const expected = { name: 'InvalidParameterValueException' };
  await expect(put(0, 'RequestCount', { Value: 1, Values: [1] })).rejects.toMatchObject(expected);
  await expect(put(0, 'RequestCount', { Values: [1, 2], Counts: [1] })).rejects.toMatchObject(expected);
  await expect(put(-15 * 24 * 60, 'RequestCount', { Value: 1 })).rejects.toMatchObject(expected);
  await expect(put(24 * 60, 'RequestCount', { Value: 1 })).rejects.toMatchObject(expected);
  expect((await client.send(new ListMetricsCommand({ Namespace }))).Metrics).toEqual([]);
});

test('a request of more than 10 KB, which the SDK compresses, is understood', async () => {
  const MetricData = Array.from({ length: 400 }, () => ({ MetricName: 'RequestCount', Dimensions, Value: 1 }));
  const Timestamp = new Date(begin);
  const data = MetricData.map((datum) => ({ ...datum, Timestamp }));
  await client.send(new PutMetricDataCommand({ Namespace, MetricData: data }));
  expect(await values([['RequestCount', 'Sum']])).toEqual([[400]]);
});

test('a secret is read by its name', async () => {
  const secrets = new SecretsManagerClient({ ...aws.client({ account }), ...ONCE });
  await secrets.send(new CreateSecretCommand({ Name: 'shop', SecretString: 'sesame' }));
  expect((await secrets.send(new GetSecretValueCommand({ SecretId: 'shop' }))).SecretString).toBe('sesame');
  await expect(secrets.send(new GetSecretValueCommand({ SecretId: 'nobody' }))).rejects.toMatchObject({
    name: 'ResourceNotFoundException',
  });
});
