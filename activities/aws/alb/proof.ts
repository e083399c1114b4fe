/** Whether the requests follow the weights, by what the load balancer counts at each target group. */
import { GetMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import type { Milliseconds } from '../../../spec/normal.js';
import type { NormalAlb } from '../../../spec/normal-traffic.js';
import type { AlbImage, TrafficProof } from '../../traffic-contract.js';
import { shareText, verdictOn } from '../../binomial.js';
import type { AwsClients } from '../clients.js';
import { groupName, stickinessOf } from './actions.js';
import type { AlbMove } from './change.js';

/** The newest whole ones are counted. */
const PERIODS = 3;
/** Load balancers send their metrics once a minute: whole minutes after a change are counted alone. */
const METRIC_PERIOD: Milliseconds = 60_000;

export async function proveAlb(
  { route, clients }: AlbMove,
  image: AlbImage,
  weight: number,
  sinceMs: number,
): Promise<TrafficProof> {
  const period = route.metricPeriod ?? METRIC_PERIOD;
  const to = Math.floor(Date.now() / period) * period;
  // What was sent before the change took effect everywhere would be counted with it for ever.
  const settled = Math.ceil(sinceMs / period) * period + period;
  const from = Math.max(settled, to - PERIODS * period);
  if (to <= from)
    return insufficient(`no whole period of metrics (${period / 1_000} s) has passed since the change had settled`);
  const { blue, green } = await requestsAt(clients, image.loadBalancer, route, period, new Date(from), new Date(to));
  const seen = blue + green;
  if (seen === 0) return insufficient('CloudWatch has counted no request at either target group since the change');
  const verdict = verdictOn(green, seen, weight / 100);
  const counted = `requests at ${groupName(route.green)}: ${shareText(green, seen)}; the weight is ${weight} %`;
  const sticky = image.places.some(({ actions }) => stickinessOf(actions) !== null);
  if (verdict === 'differs' && sticky) {
    return { verdict: 'insufficient', seen, green, explanation: `${counted}; stickiness keeps users where they were` };
  }
  return { verdict, seen, green, explanation: counted };
}

const insufficient = (explanation: string): TrafficProof => ({
  verdict: 'insufficient',
  seen: 0,
  green: 0,
  explanation,
});

async function requestsAt(
  { cloudwatch }: AwsClients,
  loadBalancer: string,
  groups: Pick<NormalAlb, 'blue' | 'green'>,
  period: Milliseconds,
  from: Date,
  to: Date,
): Promise<{ blue: number; green: number }> {
  const query = (id: 'blue' | 'green') => ({
    Id: id,
    MetricStat: {
      Metric: {
        Namespace: 'AWS/ApplicationELB',
        MetricName: 'RequestCount',
        Dimensions: [
          { Name: 'TargetGroup', Value: dimension(groups[id]) },
          { Name: 'LoadBalancer', Value: dimension(loadBalancer).replace(/^loadbalancer\//, '') },
        ],
      },
      Period: period / 1_000,
      Stat: 'Sum',
    },
  });
  const counts = { blue: 0, green: 0 };
  let token: string | undefined;
  do {
    const answer = await cloudwatch.send(
      new GetMetricDataCommand({
        MetricDataQueries: [query('blue'), query('green')],
        StartTime: from,
        EndTime: to,
        ...(token === undefined ? {} : { NextToken: token }),
      }),
    );
    for (const { Id, Values = [], Timestamps = [] } of answer.MetricDataResults ?? []) {
      // CloudWatch rounds StartTime down, to whole minutes where the period is 1 s; what was before is not asked for.
      const sum = Values.reduce((all, value, at) => ((Timestamps[at] ?? to) < from ? all : all + value), 0);
      if (Id === 'blue' || Id === 'green') counts[Id] += sum;
    }
    token = answer.NextToken;
  } while (token !== undefined && token !== '');
  return counts;
}

/** `targetgroup/shop-blue/0123456789abcdef`, as CloudWatch names it. */
const dimension = (arn: string): string => arn.split(':').slice(5).join(':');
