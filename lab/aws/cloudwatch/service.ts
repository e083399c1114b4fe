/**
 * The API of CloudWatch, as far as metrics of a load balancer need it. moto has no percentiles, mixes up namespaces, and gives
 * periods that begin when they are asked for. Alarms and the rest are moto's, which sees none of these metrics.
 */
import { AwsError, jsonAnswer, type Answer } from '../answer.js';
import type { Call } from '../call.js';
import type { Settings } from '../settings.js';
import type { Branch } from '../tree.js';
import type { Scope, Upstream } from '../upstream.js';
import { keyOf, pointsOf, type Datum, type MetricName, type Observed, type Point } from './metrics.js';
import { parseGet, parsePut, type GetRequest, type MetricQuery, type PutRequest } from './requests.js';

const MINUTE_MS = 60_000;
/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html: two weeks back, two hours ahead. */
const OLDEST_MS = 14 * 24 * 60 * MINUTE_MS;
const NEWEST_MS = 120 * MINUTE_MS;

export class CloudWatchService {
  readonly #metrics = new Map<string, { metric: MetricName; data: Datum[] }>();

  constructor(
    readonly upstream: Upstream,
    readonly settings: () => Settings,
  ) {}

  async answer(call: Call): Promise<Answer> {
    switch (call.operation) {
      case 'PutMetricData':
        this.#put(call, parsePut(call.parameters));
        return jsonAnswer({});
      case 'GetMetricData':
        return jsonAnswer(this.#get(call, parseGet(call.parameters)));
      case 'ListMetrics':
        return jsonAnswer({ Metrics: this.#list(call, call.parameters) });
      default:
        return this.upstream.pass(call);
    }
  }

  reset(): void {
    this.#metrics.clear();
  }

  #put(scope: Scope, request: PutRequest): void {
    const now = Date.now();
    const late = request.MetricData.some(({ Timestamp: at = now }) => at < now - OLDEST_MS || at > now + NEWEST_MS);
    if (late) {
      const message = 'Timestamps must be within the past two weeks and the next two hours';
      throw new AwsError('InvalidParameterValueException', message);
    }
    for (const datum of request.MetricData) {
      const { MetricName: name, Dimensions: dimensions, Timestamp: at = now, Unit: unit } = datum;
      const metric = { namespace: request.Namespace, name, dimensions };
      const kept = this.#metrics.get(inScope(scope, metric)) ?? { metric, data: [] };
      const visibleAt = now + this.settings().cloudwatch.visibleAfterMs;
      kept.data.push({ at, visibleAt, unit, observed: observedIn(datum) });
      this.#metrics.set(inScope(scope, metric), kept);
    }
  }

  #get(scope: Scope, request: GetRequest): Branch {
    const series = request.MetricDataQueries.map((query) => ({
      query,
      points: this.#points(scope, request, query),
    })).filter(({ query }) => query.ReturnData);
    const begin = Number(request.NextToken ?? 0);
    if (!Number.isInteger(begin)) throw new AwsError('InvalidNextToken', 'The next token is not valid');
    const size = Math.min(request.MaxDatapoints, this.settings().pageSize ?? request.MaxDatapoints);
    const all = series.flatMap(({ query, points }) => points.map((point) => ({ id: query.Id, point })));
    const page = all.slice(begin, begin + size);
    const rest = all.slice(begin + size);
    const results = series.map(({ query }) => {
      const points = page.filter(({ id }) => id === query.Id).map(({ point }) => point);
      return {
        Id: query.Id,
        Label: query.Label ?? query.MetricStat.Metric.MetricName,
        Timestamps: points.map(({ at }) => at / 1_000),
        Values: points.map(({ value }) => value),
        StatusCode: rest.some(({ id }) => id === query.Id) ? 'PartialData' : 'Complete',
      };
    });
    const next = rest.length === 0 ? {} : { NextToken: String(begin + size) };
    return { MetricDataResults: results, Messages: [], ...next } as unknown as Branch;
  }

  #points(scope: Scope, request: GetRequest, { MetricStat: stat }: MetricQuery): Point[] {
    const { Namespace: namespace, MetricName: name, Dimensions: dimensions } = stat.Metric;
    const from = Math.floor(request.StartTime / roundingOf(stat.Period)) * roundingOf(stat.Period);
    const now = Date.now();
    const data = (this.#metrics.get(inScope(scope, { namespace, name, dimensions }))?.data ?? []).filter(
      (datum) =>
        datum.at >= from &&
        datum.at < request.EndTime &&
        datum.visibleAt <= now &&
        (stat.Unit === undefined || datum.unit === stat.Unit),
    );
    const points = pointsOf(data, stat.Stat, stat.Period * 1_000);
    if (points === null)
      throw new AwsError('ValidationError', `The value ${stat.Stat} for parameter Stat is not supported`);
    return request.ScanBy === 'TimestampAscending' ? points : points.reverse();
  }

  /** https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListMetrics.html */
  #list(
    scope: Scope,
    parameters: Branch,
  ): { Namespace: string; MetricName: string; Dimensions: MetricName['dimensions'] }[] {
    return [...this.#metrics]
      .filter(([key]) => key.startsWith(`${scope.account} ${scope.region} `))
      .map(([, { metric }]) => metric)
      .filter(
        ({ namespace, name }) =>
          (parameters['Namespace'] ?? namespace) === namespace && (parameters['MetricName'] ?? name) === name,
      )
      .map(({ namespace, name, dimensions }) => ({
        Namespace: namespace,
        MetricName: name,
        Dimensions: dimensions,
      }));
  }
}

/** Milliseconds to which a start is rounded down. https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html */
const roundingOf = (period: number): number => ([5, 10, 20, 30].includes(period) ? period * 1_000 : MINUTE_MS);

const inScope = (scope: Scope, metric: MetricName): string => `${scope.account} ${scope.region} ${keyOf(metric)}`;

function observedIn(datum: PutRequest['MetricData'][number]): Observed {
  const { StatisticValues: set, Values: values, Counts: counts, Value: value = 0 } = datum;
  if (set !== undefined) {
    return { kind: 'set', count: set.SampleCount, sum: set.Sum, minimum: set.Minimum, maximum: set.Maximum };
  }
  if (values === undefined) return { kind: 'values', values: [{ value, count: 1 }] };
  return { kind: 'values', values: values.map((one, index) => ({ value: one, count: counts?.[index] ?? 1 })) };
}
