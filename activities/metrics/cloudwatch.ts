/**
 * Amazon CloudWatch, which knows whole minutes, some minutes late. Metrics of ALB:
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html. One that
 * counts is only reported where it isn't 0, so whether anybody reports at all is asked by HealthyHostCount.
 */
import { CloudWatchClient, GetMetricDataCommand, type MetricDataQuery } from '@aws-sdk/client-cloudwatch';
import { fromTemporaryCredentials } from '@aws-sdk/credential-providers';
import { formatDuration } from '../../spec/duration.js';
import type { CloudWatchMetric, NormalMetricGate } from '../../spec/gates.js';
import type { NormalCloudWatch } from '../../spec/metrics.js';
import type { TimeRange } from '../../spec/verdict.js';
import type { Ask, Evidence, Question } from './evidence.js';
import { ranksOf } from './interval.js';

const MINUTE_MS = 60_000;
const ALB = 'AWS/ApplicationELB';

export function askCloudWatch(provider: NormalCloudWatch): Ask {
  return async (question) => {
    try {
      return await evidenceOf(provider, question);
    } catch (error) {
      return { kind: 'provider-error', reason: `${provider.name}: ${reasonOf(error, provider)}` };
    }
  };
}

function reasonOf(error: unknown, { timeout }: NormalCloudWatch): string {
  if (!(error instanceof Error)) return 'unknown error';
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return `no answer within ${timeout} ms`;
  // An answer that is no JSON comes with advice on further lines.
  return `${error.name}: ${error.message.split('\n')[0]}`.slice(0, 300);
}

async function evidenceOf(provider: NormalCloudWatch, question: Question): Promise<Evidence> {
  const { gate, side } = question;
  const range = wholeMinutes(question.range, provider);
  if (range === null) {
    const reason = `no whole minute is complete yet: CloudWatch counts minutes, and they count ${formatDuration(provider.delay)} later`;
    return { kind: 'no-data', reason };
  }
  const asking = new Asking(provider, { ...side.dimensions, ...gate.dimensions }, range);
  switch (gate.kind) {
    case 'errorRatio':
      return asking.requests();
    case 'latency':
      return latency(gate, asking);
    case 'availability':
      return gate.counts === 'requests' ? asking.requests() : asking.hosts();
    case 'saturation':
    case 'query':
      return figure(gate, asking);
  }
}

/** Those that are complete, as far as they have arrived. Null: none. */
function wholeMinutes({ from, to }: TimeRange, { delay }: NormalCloudWatch): TimeRange | null {
  const last = Math.floor((to - delay) / MINUTE_MS) * MINUTE_MS;
  const first = Math.ceil(from / MINUTE_MS) * MINUTE_MS;
  return last > first ? { from: first, to: last } : null;
}

async function latency(gate: Extract<NormalMetricGate, { kind: 'latency' }>, asking: Asking): Promise<Evidence> {
  const counted = await asking.requests();
  if (counted.kind !== 'counts') return counted;
  const samples = Math.floor(counted.total);
  if (samples === 0) return { kind: 'figure', value: 0, lower: null, upper: null, samples };
  // CloudWatch knows every percentile, so the order statistics that bound this one can be asked for themselves.
  const ranks = ranksOf(gate.quantile, samples);
  const shares = [ranks.lower / samples, gate.quantile, Math.min(samples, ranks.upper) / samples];
  const metric = (statistic: string): CloudWatchMetric => ({ namespace: ALB, name: 'TargetResponseTime', statistic });
  const [lower, value, upper] = await asking.atOnce(shares.map((share) => metric(percentile(share))));
  if (value == null) return { kind: 'no-data', reason: 'TargetResponseTime has no figures for this time' };
  const ms = (seconds: number | null | undefined): number | null => (seconds == null ? null : seconds * 1_000);
  return {
    kind: 'figure',
    value: value * 1_000,
    lower: ranks.lower === 0 ? 0 : ms(lower),
    upper: ranks.upper === Infinity ? Infinity : ms(upper),
    samples,
  };
}

function percentile(share: number): string {
  return `p${Number((share * 100).toFixed(6))}`;
}

async function figure(
  gate: Extract<NormalMetricGate, { kind: 'saturation' | 'query' }>,
  asking: Asking,
): Promise<Evidence> {
  const { metric } = gate;
  if (metric === null) return { kind: 'provider-error', reason: 'the gate names no metric of CloudWatch' };
  const [value] = await asking.atOnce([metric]);
  if (value == null) {
    return { kind: 'no-data', reason: `CloudWatch has no ${metric.namespace} ${metric.name} for ${asking.who}` };
  }
  return {
    kind: 'figure',
    value: gate.kind === 'saturation' ? value / 100 : value,
    lower: null,
    upper: null,
    samples: null,
  };
}

/** All that is asked about one side and one stretch of time. */
class Asking {
  readonly #provider: NormalCloudWatch;
  readonly #dimensions: Record<string, string>;
  readonly #range: TimeRange;

  constructor(provider: NormalCloudWatch, dimensions: Record<string, string>, range: TimeRange) {
    this.#provider = provider;
    this.#dimensions = dimensions;
    this.#range = range;
  }

  /** The dimensions, for people. */
  get who(): string {
    const named = Object.entries(this.#dimensions).map(([name, value]) => `${name}=${value}`);
    return named.length === 0 ? 'no dimensions' : named.join(', ');
  }

  /** Requests at the load balancer, and those that failed. */
  async requests(): Promise<Evidence> {
    // What the load balancer answers itself isn't told by target group, except that it could not connect.
    const own = this.#dimensions['TargetGroup'] === undefined ? 'HTTPCode_ELB_5XX_Count' : 'TargetConnectionErrorCount';
    const [total = [], target = [], balancer = [], healthy = []] = await this.#minutes([
      { namespace: ALB, name: 'RequestCount', statistic: 'Sum' },
      { namespace: ALB, name: 'HTTPCode_Target_5XX_Count', statistic: 'Sum' },
      { namespace: ALB, name: own, statistic: 'Sum' },
      { namespace: ALB, name: 'HealthyHostCount', statistic: 'Average' },
    ]);
    if (total.length === 0 && healthy.length === 0) {
      return { kind: 'no-data', reason: `CloudWatch has no figures of ${ALB} for ${this.who}` };
    }
    return { kind: 'counts', bad: Math.min(sum(total), sum(target) + sum(balancer)), total: sum(total) };
  }

  /** Targets of the group, and those that are unhealthy; on the average of the minutes. */
  async hosts(): Promise<Evidence> {
    const [healthy = [], unhealthy = []] = await this.#minutes([
      { namespace: ALB, name: 'HealthyHostCount', statistic: 'Average' },
      { namespace: ALB, name: 'UnHealthyHostCount', statistic: 'Average' },
    ]);
    if (healthy.length + unhealthy.length === 0) {
      return { kind: 'no-data', reason: `CloudWatch has no HealthyHostCount for ${this.who}` };
    }
    const bad = mean(unhealthy);
    return { kind: 'counts', bad, total: mean(healthy) + bad };
  }

  /** One figure each for the whole time; null: none. */
  async atOnce(metrics: CloudWatchMetric[]): Promise<(number | null)[]> {
    const values = await this.#values(metrics, this.#range.to - this.#range.from);
    return values.map((found, index) => joined(found, metrics[index]?.statistic ?? 'Average'));
  }

  #minutes(metrics: CloudWatchMetric[]): Promise<number[][]> {
    return this.#values(metrics, MINUTE_MS);
  }

  async #values(metrics: CloudWatchMetric[], period: number): Promise<number[][]> {
    const queries = metrics.map(({ namespace, name, statistic }, index): MetricDataQuery => {
      const dimensions = Object.entries(this.#dimensions).map(([Name, Value]) => ({ Name, Value }));
      return {
        Id: `m${index}`,
        MetricStat: {
          Metric: { Namespace: namespace, MetricName: name, Dimensions: dimensions },
          Period: period / 1_000,
          Stat: statistic,
        },
      };
    });
    const found = metrics.map((): number[] => []);
    const client = clientOf(this.#provider);
    let token: string | undefined;
    do {
      const page = await client.send(
        new GetMetricDataCommand({
          MetricDataQueries: queries,
          StartTime: new Date(this.#range.from),
          EndTime: new Date(this.#range.to),
          ScanBy: 'TimestampAscending',
          ...(token === undefined ? {} : { NextToken: token }),
        }),
        { abortSignal: AbortSignal.timeout(this.#provider.timeout) },
      );
      for (const { Id, Values = [] } of page.MetricDataResults ?? []) {
        found[Number(Id?.slice(1))]?.push(...Values);
      }
      token = page.NextToken;
    } while (token !== undefined && token !== '');
    return found;
  }
}

/** A period that begins in the middle of one of CloudWatch's own comes in two pieces. */
function joined(values: number[], statistic: string): number | null {
  if (values.length === 0) return null;
  if (statistic === 'Sum' || statistic === 'SampleCount') return sum(values);
  if (statistic === 'Minimum') return Math.min(...values);
  // Of percentiles, the worse piece.
  return statistic === 'Average' ? mean(values) : Math.max(...values);
}

const sum = (values: number[]): number => values.reduce((all, one) => all + one, 0);
const mean = (values: number[]): number => (values.length === 0 ? 0 : sum(values) / values.length);

/** Kept, since each would fetch credentials anew, and assume its role anew. */
const clients = new Map<string, CloudWatchClient>();

function clientOf({ region, role, endpoint }: NormalCloudWatch): CloudWatchClient {
  const key = JSON.stringify([region, role, endpoint]);
  const known = clients.get(key);
  if (known !== undefined) return known;
  const client = new CloudWatchClient({
    // Throttled, it slows down by itself.
    retryMode: 'adaptive',
    ...(region === null ? {} : { region }),
    ...(endpoint === null ? {} : { endpoint }),
    ...(role === null
      ? {}
      : { credentials: fromTemporaryCredentials({ params: { RoleArn: role, RoleSessionName: 'godwit' } }) }),
  });
  clients.set(key, client);
  return client;
}
