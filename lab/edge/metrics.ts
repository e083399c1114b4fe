/**
 * What the edge counts, as ALB counts it: for Prometheus at once, for CloudWatch in batches. A request is counted when a target
 * was chosen for it; the time of a target's answer runs until its headers are there.
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
 */
import type { MetricDatum, StandardUnit } from '@aws-sdk/client-cloudwatch';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Names as CloudWatch has them: `app/shop/50dc…`, `targetgroup/green/73e2…`. */
export interface Place {
  loadBalancer: string;
  /** Null: no target was chosen. */
  targetGroup: string | null;
}

/** From a cached page to a gateway's time-out. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60];
/** Of one datum: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html */
const VALUES_A_DATUM = 150;

interface Series {
  name: string;
  place: Place;
  unit: StandardUnit;
  /** Milliseconds since the epoch, whole seconds: told late, it is still counted when it was. */
  second: number;
  /** Value → how often. */
  values: Map<number, number>;
}

/** Registered targets of a group, once for each load balancer that uses it. */
export interface HostCount {
  loadBalancer: string;
  targetGroup: string;
  healthy: number;
  unhealthy: number;
}

export class EdgeMetrics {
  readonly registry = new Registry();
  readonly #hosts: () => HostCount[];
  readonly #requests = this.#counter('alb_requests_total', 'Requests for which a target was chosen', ['target_group']);
  readonly #target = this.#counter('alb_target_responses_total', 'Answers of targets by class of status (2XX…5XX)', [
    'target_group',
    'class',
  ]);
  readonly #elb = this.#counter('alb_elb_responses_total', 'Answers of the load balancer itself by status', ['code']);
  readonly #refused = this.#counter('alb_target_connection_errors_total', 'Connections that a target refused or lost', [
    'target_group',
  ]);
  readonly #seconds = new Histogram({
    name: 'alb_target_response_seconds',
    help: "From the request's leaving the load balancer to the headers of the target's answer",
    labelNames: ['load_balancer', 'target_group'],
    buckets: SECONDS,
    registers: [this.registry],
  });
  #series = new Map<string, Series>();

  constructor(hosts: () => HostCount[]) {
    this.#hosts = hosts;
    new Gauge({
      name: 'alb_hosts',
      help: 'Registered targets by state (healthy, unhealthy)',
      labelNames: ['load_balancer', 'target_group', 'state'],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const { healthy, unhealthy, ...place } of hosts()) {
          this.set({ ...labels(place), state: 'healthy' }, healthy);
          this.set({ ...labels(place), state: 'unhealthy' }, unhealthy);
        }
      },
    });
  }

  requested(place: Place): void {
    this.#requests.inc(labels(place));
    this.#count('RequestCount', place);
  }

  /** @param seconds until the headers */
  answered(place: Place, status: number, seconds: number): void {
    this.#seconds.observe(labels(place), seconds);
    this.#add('TargetResponseTime', place, 'Seconds', rounded(seconds));
    const kind = `${Math.floor(status / 100)}XX`;
    this.#target.inc({ ...labels(place), class: kind });
    if (status >= 200) this.#count(`HTTPCode_Target_${kind}_Count`, place);
  }

  /** An answer that no target gave. ALB doesn't say by target group: a group that is down shows in its connection errors. */
  refused(place: Place, status: number): void {
    const balancer = { loadBalancer: place.loadBalancer, targetGroup: null };
    this.#elb.inc({ load_balancer: place.loadBalancer, code: String(status) });
    this.#count(`HTTPCode_ELB_${Math.floor(status / 100)}XX_Count`, balancer);
    if (status === 502 || status === 503 || status === 504) this.#count(`HTTPCode_ELB_${status}_Count`, balancer);
  }

  connectionFailed(place: Place): void {
    this.#refused.inc(labels(place));
    this.#count('TargetConnectionErrorCount', place);
  }

  /** What came since the last time. What didn't happen isn't told: ALB has no zeros of counts, either. */
  take(): MetricDatum[] {
    for (const { healthy, unhealthy, ...place } of this.#hosts()) {
      this.#put('HealthyHostCount', place, 'Count', healthy);
      this.#put('UnHealthyHostCount', place, 'Count', unhealthy);
    }
    const taken = [...this.#series.values()];
    this.#series = new Map();
    return taken.flatMap(({ name, place, unit, second, values }) =>
      chunks([...values], VALUES_A_DATUM).map((some) => ({
        MetricName: name,
        Dimensions: dimensions(place),
        Timestamp: new Date(second),
        Unit: unit,
        Values: some.map(([value]) => value),
        Counts: some.map(([, count]) => count),
      })),
    );
  }

  #counter<L extends string>(name: string, help: string, more: L[]): Counter<L | 'load_balancer'> {
    return new Counter({ name, help, labelNames: ['load_balancer', ...more], registers: [this.registry] });
  }

  /** For the load balancer as a whole, and for the group. Of counts only the sum says something: each sample is 1. */
  #count(name: string, place: Place): void {
    this.#add(name, place, 'Count', 1);
  }

  #add(name: string, place: Place, unit: StandardUnit, value: number): void {
    this.#put(name, place, unit, value);
    if (place.targetGroup !== null) this.#put(name, { ...place, targetGroup: null }, unit, value);
  }

  #put(name: string, place: Place, unit: StandardUnit, value: number): void {
    const second = Math.floor(Date.now() / 1_000) * 1_000;
    const key = `${name} ${place.loadBalancer} ${place.targetGroup} ${second}`;
    const series = this.#series.get(key) ?? { name, place, unit, second, values: new Map<number, number>() };
    series.values.set(value, (series.values.get(value) ?? 0) + 1);
    this.#series.set(key, series);
  }
}

const labels = ({ loadBalancer, targetGroup }: Place) => ({
  load_balancer: loadBalancer,
  target_group: targetGroup ?? '',
});

const dimensions = ({ loadBalancer, targetGroup }: Place) => [
  ...(targetGroup === null ? [] : [{ Name: 'TargetGroup', Value: targetGroup }]),
  { Name: 'LoadBalancer', Value: loadBalancer },
];

/** Two digits keep the number of different values small, which is what a datum is bounded by. */
const rounded = (seconds: number): number => Number(seconds.toPrecision(2));

function chunks<T>(values: T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(values.length / size) }, (_, i) => values.slice(i * size, (i + 1) * size));
}
