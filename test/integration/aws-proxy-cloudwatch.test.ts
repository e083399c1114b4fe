/** Metrics and secrets go through to moto, which is good enough for what is asked of them. */
import { CloudWatchClient, GetMetricDataCommand, PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import { CreateSecretCommand, GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import { newAccount, ONCE, startAws } from '../support/aws.js';

let aws: AwsProxy;
const account = newAccount();

beforeAll(async () => {
  aws = await startAws();
});
afterAll(() => aws.stop());

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
test('sums of a minute, and expressions over them, come back as they were put', async () => {
  const client = new CloudWatchClient({ ...aws.client({ account }), ...ONCE });
  const Namespace = 'AWS/ApplicationELB';
  const Dimensions = [{ Name: 'TargetGroup', Value: 'targetgroup/shop-green/0123456789abcdef' }];
  const minute = Math.floor(Date.now() / 60_000) * 60_000 - 120_000;
  const Timestamp = new Date(minute);
  const put = (MetricName: string, Value: number) =>
    client.send(new PutMetricDataCommand({ Namespace, MetricData: [{ MetricName, Dimensions, Value, Timestamp }] }));
  await put('RequestCount', 612);
  await put('HTTPCode_Target_5XX_Count', 10);
  await put('HTTPCode_Target_5XX_Count', 4);
  const sum = (Id: string, MetricName: string) => ({
    Id,
    MetricStat: { Metric: { Namespace, MetricName, Dimensions }, Period: 60, Stat: 'Sum' },
  });
  const { MetricDataResults } = await client.send(
    new GetMetricDataCommand({
      StartTime: new Date(minute - 60_000),
      EndTime: new Date(minute + 60_000),
      MetricDataQueries: [
        sum('requests', 'RequestCount'),
        sum('errors', 'HTTPCode_Target_5XX_Count'),
        sum('nothing', 'RejectedConnectionCount'),
      ],
    }),
  );
  expect(MetricDataResults?.map((result) => [result.Id, result.Values])).toEqual([
    ['requests', [612]],
    ['errors', [14]],
    ['nothing', []],
  ]);
});

test('a secret is read by its name', async () => {
  const client = new SecretsManagerClient({ ...aws.client({ account }), ...ONCE });
  await client.send(new CreateSecretCommand({ Name: 'shop', SecretString: 'sesame' }));
  expect((await client.send(new GetSecretValueCommand({ SecretId: 'shop' }))).SecretString).toBe('sesame');
  await expect(client.send(new GetSecretValueCommand({ SecretId: 'nobody' }))).rejects.toMatchObject({
    name: 'ResourceNotFoundException',
  });
});
