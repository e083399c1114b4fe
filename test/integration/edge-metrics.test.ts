/**
 * What the edge counts, in Prometheus and in CloudWatch.
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
 */
import { CloudWatchClient, GetMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import { newAccount, startAws } from '../support/aws.js';
import { EdgeWorld } from '../support/edge-world.js';

let aws: AwsProxy;
let world: EdgeWorld;
let cloudWatch: CloudWatchClient;

beforeAll(async () => {
  aws = await startAws();
});
// Metrics outlive what they are of: a test that is tried again begins in an account of its own.
beforeEach(async () => {
  const account = aws.observer({ account: newAccount() });
  cloudWatch = new CloudWatchClient(account);
  world = await EdgeWorld.start(account, { cloudWatchEveryMs: 200 });
});
afterEach(async () => {
  await world?.stop();
  cloudWatch?.destroy();
});
afterAll(() => aws?.stop());

/** Once all of it has been told. */
const becomes = (metric: string, statistic: string, group: string | null, value: number): Promise<void> =>
  expect.poll(() => told(metric, statistic, group), { timeout: 60_000, message: metric }).toBe(value);

const dimensionOf = (arn: string): string => arn.slice(arn.lastIndexOf(':') + 1).replace('loadbalancer/', '');

/** Over the last day, with the dimensions that ALB has; null: CloudWatch knows nothing. */
async function told(metric: string, statistic: string, group: string | null): Promise<number | null> {
  const balancer = { Name: 'LoadBalancer', Value: dimensionOf(world.balancer.arn) };
  const { MetricDataResults = [] } = await cloudWatch.send(
    new GetMetricDataCommand({
      StartTime: new Date(Date.now() - 3_600_000),
      EndTime: new Date(Date.now() + 3_600_000),
      MetricDataQueries: [
        {
          Id: 'asked',
          MetricStat: {
            Metric: {
              Namespace: 'AWS/ApplicationELB',
              MetricName: metric,
              Dimensions: group === null ? [balancer] : [{ Name: 'TargetGroup', Value: dimensionOf(group) }, balancer],
            },
            Period: 86_400,
            Stat: statistic,
          },
        },
      ],
    }),
  );
  const [value] = MetricDataResults[0]?.Values ?? [];
  return value ?? null;
}

test('requests, classes of answers, times, refused connections and hosts are told by target group, as ALB tells them', async () => {
  const [blue, green] = await world.targets([world.blue, '10.0.0.1'], [world.green, '10.0.0.2']);
  await world.spread(10);
  await world.setWeights(0, 100);
  if (green) green.behaviour = { kind: 'fail', status: 500 };
  await world.spread(4);
  if (green) green.behaviour = { kind: 'reset' };
  await world.spread(3);

  await becomes('RequestCount', 'Sum', null, 17);
  await becomes('RequestCount', 'Sum', world.green, 7);
  await becomes('RequestCount', 'Sum', world.blue, 10);
  await becomes('HTTPCode_Target_2XX_Count', 'Sum', world.blue, 10);
  await becomes('HTTPCode_Target_5XX_Count', 'Sum', world.green, 4);
  await becomes('TargetConnectionErrorCount', 'Sum', world.green, 3);
  await becomes('HTTPCode_ELB_5XX_Count', 'Sum', null, 3);
  await becomes('HTTPCode_ELB_502_Count', 'Sum', null, 3);
  await becomes('TargetResponseTime', 'SampleCount', world.green, 4);
  expect(await told('TargetResponseTime', 'Average', world.blue)).toBeGreaterThan(0);
  expect(await told('TargetResponseTime', 'p95', null)).toBeGreaterThan(0);
  await becomes('HealthyHostCount', 'Maximum', world.blue, 1);
  // What didn't happen has no zero: no evidence.
  expect(await told('HTTPCode_Target_5XX_Count', 'Sum', world.blue)).toBeNull();

  const text = await world.edge.metrics.registry.metrics();
  const labels = (group: string) =>
    `load_balancer="${dimensionOf(world.balancer.arn)}",target_group="${dimensionOf(group)}"`;
  expect(text).toContain(`alb_requests_total{${labels(world.blue)}} 10`);
  expect(text).toContain(`alb_target_responses_total{${labels(world.green)},class="5XX"} 4`);
  expect(text).toContain(`alb_target_connection_errors_total{${labels(world.green)}} 3`);
  expect(text).toContain(`alb_target_response_seconds_count{${labels(world.green)}} 4`);
  expect(text).toContain(`alb_hosts{${labels(world.blue)},state="healthy"} 1`);
  expect(text).toContain(`alb_elb_responses_total{load_balancer="${dimensionOf(world.balancer.arn)}",code="502"} 3`);
  expect(blue?.seen).toHaveLength(10);
});
