/**
 * Queries for exporters whose metrics are known. `$labels` stands for the matchers of a side, `$window` for a time.
 * What a template lacks, the gate has to ask by a query of its own.
 *
 * A label that means a failure may be on no series at all, when nothing ever failed: that counts as 0, since `total` is
 * of the same metric and is there.
 */
import type { Template } from '../../spec/metrics.js';
import type { Milliseconds } from '../../spec/normal.js';

export interface Queries {
  errors: string;
  total: string;
  /** By `le`. */
  histogram: string;
  /** Milliseconds in one unit of the histogram's bounds. */
  unit: Milliseconds;
  /** Who exported the metric in the window, and who of them still does. */
  exporters: { seen: string; now: string };
  /** Instances behind a side that are well, of all. Null, or no such series: requests stand for them. */
  instances: { good: string; total: string } | null;
}

const SECONDS = 1_000;
const MILLISECONDS = 1;

interface Exporter {
  requests: string;
  /** Matchers of requests that failed, which have no series in common. */
  failed: string[];
  /** Without `_bucket`. */
  duration: string;
  unit: Milliseconds;
  /** Of every series. */
  only?: string;
  instances?: { good: string; total: string };
}

const EXPORTERS: Record<Template, Exporter> = {
  // Client libraries disagree on the name of the label, and nothing has both.
  http: {
    requests: 'http_requests_total',
    failed: ['code=~"5.."', 'status=~"5.."', 'status_code=~"5.."'],
    duration: 'http_request_duration_seconds',
    unit: SECONDS,
    instances: { good: 'sum(up{$labels})', total: 'count(up{$labels})' },
  },
  // https://istio.io/latest/docs/reference/config/metrics/ — as the caller saw it, so that what never arrived counts, too. A
  // request without an answer has the code 0; with DC it is the client that has gone, which is no fault of the service.
  istio: {
    requests: 'istio_requests_total',
    failed: ['response_code=~"5.."', 'response_code="0",response_flags!="DC"'],
    duration: 'istio_request_duration_milliseconds',
    unit: MILLISECONDS,
    only: 'reporter="source"',
  },
  // https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats
  envoy: {
    requests: 'envoy_cluster_upstream_rq_xx',
    failed: ['envoy_response_code_class="5"'],
    duration: 'envoy_cluster_upstream_rq_time',
    unit: MILLISECONDS,
    instances: {
      good: 'sum(envoy_cluster_membership_healthy{$labels})',
      total: 'sum(envoy_cluster_membership_total{$labels})',
    },
  },
  // https://kubernetes.github.io/ingress-nginx/user-guide/monitoring/
  'nginx-ingress': {
    requests: 'nginx_ingress_controller_requests',
    failed: ['status=~"5.."'],
    duration: 'nginx_ingress_controller_request_duration_seconds',
    unit: SECONDS,
  },
  // https://doc.traefik.io/traefik/observability/metrics/overview/#service-metrics — `server_up` is there for services with a
  // health check alone, and from v3 on under another name of the service: https://github.com/traefik/traefik/issues/10734
  traefik: {
    requests: 'traefik_service_requests_total',
    failed: ['code=~"5.."'],
    duration: 'traefik_service_request_duration_seconds',
    unit: SECONDS,
    instances: { good: 'sum(traefik_service_server_up{$labels})', total: 'count(traefik_service_server_up{$labels})' },
  },
};

export function queriesOf(template: Template): Queries {
  const { requests, failed, duration, unit, only, instances } = EXPORTERS[template];
  const matching = (metric: string, ...more: string[]): string =>
    `${metric}{${['$labels', only, ...more].filter((one) => one !== undefined).join(',')}}`;
  return {
    errors: failed
      .map((matcher) => `(sum(increase(${matching(requests, matcher)}[$window])) or vector(0))`)
      .join(' + '),
    total: `sum(increase(${matching(requests)}[$window]))`,
    histogram: `sum by (le) (increase(${matching(`${duration}_bucket`)}[$window]))`,
    unit,
    exporters: {
      seen: `count(count by (job, instance) (count_over_time(${matching(requests)}[$window])))`,
      now: `count(count by (job, instance) (${matching(requests)}))`,
    },
    instances: instances ?? null,
  };
}

/** Placeholders filled in. Values are quoted as PromQL wants them. */
export function filled(query: string, labels: Record<string, string>, window: Milliseconds): string {
  const matchers = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const named =
    matchers.length === 0
      ? query.replaceAll(/\$labels\s*,|,\s*\$labels|\$labels/g, '')
      : query.replaceAll('$labels', () => matchers.join(','));
  return named.replaceAll('$window', `${Math.max(1, Math.round(window / 1_000))}s`);
}
