/** The templates of common exporters, over series as each of them writes them, scraped by a real Prometheus. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { judge } from '../../activities/metrics/looking.js';
import { ensurePrometheus } from '../../lab/components.js';
import { Prometheus, type ScrapeTarget } from '../../lab/prometheus.js';
import type { NormalPrometheus, Template } from '../../spec/metrics.js';
import type { GateVerdict } from '../../spec/verdict.js';
import { Exporter, histogram, series } from '../support/exporter.js';
import { gateOf, PROVIDER } from '../support/gates.js';
import { say } from '../support/progress.js';

/** What one version has answered: by status, and how long it took, in milliseconds. */
interface Answered {
  codes: Record<string, number>;
  took: [times: number, ms: number][];
  /** Of two instances. */
  healthy: number;
}

const NOTHING: Answered = { codes: { '200': 0, '404': 0, '503': 0 }, took: [], healthy: 2 };
const GOOD: Answered = { codes: { '200': 1_900, '404': 100, '503': 0 }, took: [[2_000, 40]], healthy: 2 };
const BAD: Answered = {
  codes: { '200': 1_800, '404': 100, '503': 100 },
  took: [
    [1_700, 40],
    [300, 2_000],
  ],
  healthy: 1,
};

interface Exported {
  /** A side, as its series name it. */
  labels: (version: string) => Record<string, string>;
  /** Its page of one version. */
  page: (version: string, answered: Answered) => string[];
  /** Whether it knows instances. */
  instances: boolean;
}

const total = ({ codes }: Answered): number => Object.values(codes).reduce((all, one) => all + one, 0);
const inUnit = ({ took }: Answered, unit: number) => took.map(([times, ms]) => ({ times, took: ms / unit }));
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

const EXPORTED: Record<Exclude<Template, 'http'>, Exported> = {
  // https://istio.io/latest/docs/reference/config/metrics/; both proxies of a request tell of it.
  istio: {
    labels: (version) => ({ destination_workload: `shop-${version}` }),
    instances: false,
    page: (version, answered) =>
      ['source', 'destination'].flatMap((reporter) => {
        const labels = {
          reporter,
          source_workload: 'istio-ingressgateway',
          destination_workload: `shop-${version}`,
          destination_service: 'shop.default.svc.cluster.local',
          request_protocol: 'http',
        };
        // A proxy before a broken one sees failures that the one behind it never hears of.
        const codes = reporter === 'source' ? answered.codes : { '200': total(answered) };
        const gone = total(answered) / 10;
        return [
          ...Object.entries(codes).map(([response_code, count]) =>
            series('istio_requests_total', { ...labels, response_code, response_flags: '-' }, count),
          ),
          // Clients that went away before the answer.
          series('istio_requests_total', { ...labels, response_code: '0', response_flags: 'DC' }, gone),
          ...histogram(
            'istio_request_duration_milliseconds',
            { ...labels, response_code: '200' },
            [0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000],
            inUnit(answered, 1),
          ),
        ];
      }),
  },
  // https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats, of /stats/prometheus
  envoy: {
    labels: (version) => ({ envoy_cluster_name: `shop_${version}` }),
    instances: true,
    page: (version, answered) => {
      const labels = { envoy_cluster_name: `shop_${version}` };
      return [
        ...Object.entries(answered.codes).map(([code, count]) =>
          series('envoy_cluster_upstream_rq_xx', { envoy_response_code_class: code.slice(0, 1), ...labels }, count),
        ),
        ...Object.entries(answered.codes).map(([code, count]) =>
          series('envoy_cluster_upstream_rq', { envoy_response_code: code, ...labels }, count),
        ),
        series('envoy_cluster_membership_healthy', labels, answered.healthy),
        series('envoy_cluster_membership_total', labels, 2),
        ...histogram(
          'envoy_cluster_upstream_rq_time',
          labels,
          [0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000],
          inUnit(answered, 1),
        ),
      ];
    },
  },
  // https://kubernetes.github.io/ingress-nginx/user-guide/monitoring/
  'nginx-ingress': {
    labels: (version) => ({ exported_service: `shop-${version}` }),
    instances: false,
    page: (version, answered) => {
      const labels = {
        canary: '',
        controller_class: 'k8s.io/ingress-nginx',
        ingress: 'shop',
        host: 'shop.example.org',
        method: 'GET',
        path: '/',
        exported_service: `shop-${version}`,
      };
      return [
        ...Object.entries(answered.codes).map(([status, count]) =>
          series('nginx_ingress_controller_requests', { ...labels, status }, count),
        ),
        ...histogram(
          'nginx_ingress_controller_request_duration_seconds',
          { ...labels, status: '200' },
          SECONDS,
          inUnit(answered, 1_000),
        ),
      ];
    },
  },
  // https://doc.traefik.io/traefik/observability/metrics/overview/#service-metrics; v3 has another name in server_up.
  traefik: {
    labels: (version) => ({ service: `shop-${version}@docker` }),
    instances: false,
    page: (version, answered) => {
      const labels = { service: `shop-${version}@docker`, method: 'GET', protocol: 'http' };
      return [
        ...Object.entries(answered.codes).map(([code, count]) =>
          series('traefik_service_requests_total', { code, ...labels }, count),
        ),
        series('traefik_service_server_up', { service: '3cf1e8a4', url: 'http://10.0.0.1:80' }, 1),
        ...histogram(
          'traefik_service_request_duration_seconds',
          { code: '200', ...labels },
          [0.1, 0.3, 1.2, 5],
          inUnit(answered, 1_000),
        ),
      ];
    },
  },
};
const TEMPLATES = Object.keys(EXPORTED) as (keyof typeof EXPORTED)[];

let folder: string;
let prometheus: Prometheus;
let began: number;
const exporters = new Map<Template, Exporter>();

beforeAll(async () => {
  const binary = await ensurePrometheus({ onProgress: say });
  folder = await mkdtemp(join(tmpdir(), 'godwit-prometheus-'));
  for (const template of TEMPLATES) {
    const exporter = await Exporter.start();
    exporter.show(...pageOf(template, NOTHING, NOTHING));
    exporters.set(template, exporter);
  }
  began = Date.now();
  const jobs = [...exporters].map(([template, { address }]): [string, ScrapeTarget[]] => [template, [{ address }]]);
  prometheus = await Prometheus.start({ folder, binary, jobs: Object.fromEntries(jobs) });
  // Counters have to be seen at 0, so that what follows is an increase.
  await scraped(2);
  for (const [template, exporter] of exporters) exporter.show(...pageOf(template, GOOD, BAD));
  await scraped(5);
});
afterAll(async () => {
  await prometheus?.destroy();
  await Promise.all([...exporters.values()].map((exporter) => exporter.stop()));
  await rm(folder, { recursive: true, force: true });
});

function pageOf(template: Template, good: Answered, bad: Answered): string[] {
  if (template === 'http') return [];
  const { page } = EXPORTED[template];
  // Somebody else's series lie beside ours.
  return [...page('v1', good), ...page('v2', bad), ...page('other', { ...BAD, codes: { '503': 9_000 } })];
}

/** As often as this, from each. */
const scraped = (times: number): Promise<void> =>
  vi.waitFor(
    async () => {
      expect(await prometheus.value('count(up == 1)')).toBe(TEMPLATES.length);
      expect((await prometheus.value('min(count_over_time(up[5m]))')) ?? 0).toBeGreaterThanOrEqual(times);
    },
    { timeout: 60_000, interval: 100 },
  );

async function verdictOf(template: keyof typeof EXPORTED, version: string, gate: object): Promise<GateVerdict> {
  const provider: NormalPrometheus = { ...(PROVIDER as NormalPrometheus), url: prometheus.url, template };
  const { labels } = EXPORTED[template];
  const { gates } = await judge({
    migration: 'shop',
    unit: 'traffic/web',
    gates: [gateOf(gate, {}, provider)],
    providers: [provider],
    subject: { green: { labels: labels(version) }, blue: { labels: labels('v1') } },
    at: Date.now(),
    since: began,
    baseline: null,
    state: null,
  });
  return gates[0] ?? expect.fail('no verdict');
}

describe.each(TEMPLATES)('the template %s', (template) => {
  test('tells failures of the server from all else', async () => {
    const gate = { errorRatio: { absolute: '1%' } };
    expect(await verdictOf(template, 'v1', gate)).toMatchObject({ verdict: 'pass', figures: { value: 0 } });
    const bad = await verdictOf(template, 'v2', gate);
    expect(bad.verdict).toBe('fail');
    // Of Istio a tenth more, whose clients went away.
    expect(bad.figures?.value).toBeCloseTo(template === 'istio' ? 100 / 2_200 : 0.05, 3);
  });

  test('knows quantiles, in the unit of its buckets', async () => {
    const gate = { latency: { quantile: 'p95', absolute: '500ms' } };
    expect((await verdictOf(template, 'v1', gate)).verdict).toBe('pass');
    const bad = await verdictOf(template, 'v2', gate);
    expect(bad.verdict).toBe('fail');
    expect(bad.figures?.value).toBeGreaterThan(1_000);
    expect(bad.figures?.value).toBeLessThan(5_000);
    const beside = { latency: { quantile: 'p95', relativeToBlue: 2 } };
    expect((await verdictOf(template, 'v2', beside)).verdict).toBe('fail');
  });

  test('says how many are good: instances where it knows them, else requests', async () => {
    const gate = { availability: { absolute: '99%' } };
    const good = await verdictOf(template, 'v1', gate);
    const bad = await verdictOf(template, 'v2', gate);
    expect([good.verdict, bad.verdict]).toEqual(['pass', 'fail']);
    if (EXPORTED[template].instances) {
      expect(good.explanation).toBe('green 2 of 2 = 100 %, least 99 %: passes');
      expect(bad.explanation).toMatch(/^green 1 of 2 = 50 %, least 99 %: fails/);
    } else {
      // Samples of requests have an interval, whatever the gate says that it counts.
      expect(good.explanation).toMatch(/^green [\d,]+ of [\d,]+ = 100 %, 95 % interval /);
      expect(bad.explanation).toMatch(/^green [\d,]+ of [\d,]+ = 95 %, 95 % interval /);
    }
  });

  test('has no data of what nobody serves', async () => {
    expect((await verdictOf(template, 'v3', { errorRatio: { absolute: '1%' } })).verdict).toBe('no-data');
    expect((await verdictOf(template, 'v3', { availability: {} })).verdict).toBe('no-data');
  });
});
