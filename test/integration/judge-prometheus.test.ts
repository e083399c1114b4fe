import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import getPort from 'get-port';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { judge } from '../../activities/metrics/looking.js';
import { ensurePrometheus } from '../../lab/components.js';
import { Prometheus } from '../../lab/prometheus.js';
import type { NormalMetricGate } from '../../spec/gates.js';
import type { NormalPrometheus } from '../../spec/metrics.js';
import type { JudgeAnswer, JudgeInput, JudgeState } from '../../spec/verdict.js';
import { gateOf, PROVIDER } from '../support/gates.js';
import { MeteredApp } from '../support/metered-app.js';
import { say } from '../support/progress.js';

let folder: string;
let prometheus: Prometheus;
let began: number;
const apps: Record<string, MeteredApp> = {};

beforeAll(async () => {
  const binary = await ensurePrometheus({ onProgress: say });
  folder = await mkdtemp(join(tmpdir(), 'godwit-prometheus-'));
  for (const name of ['good', 'bad', 'idle', 'reset', 'gone', 'slow']) apps[name] = await MeteredApp.start();
  began = Date.now();
  prometheus = await Prometheus.start({
    folder,
    binary,
    jobs: {
      shop: Object.entries(apps).map(([version, { address }]) => ({ address, labels: { version } })),
    },
  });
  await until(async () => (await prometheus.value('count(up == 1)')) === 6);
  // Two scrapes at least, so that what follows is an increase.
  await until(async () => ((await prometheus.value('min(count_over_time(http_requests_total[1m]))')) ?? 0) >= 2);
});
afterAll(async () => {
  await prometheus?.destroy();
  await Promise.all(Object.values(apps).map((app) => app.stop()));
  await rm(folder, { recursive: true, force: true });
});

const until = (isSo: () => Promise<boolean>): Promise<void> =>
  vi.waitFor(async () => expect(await isSo()).toBe(true), { timeout: 60_000, interval: 100 });

const app = (name: string): MeteredApp => apps[name] ?? expect.fail(`no app ${name}`);

/** Until Prometheus has seen as many requests of this version since it last began. */
const counted = (version: string, requests: number): Promise<void> =>
  until(async () => ((await prometheus.value(`sum(http_requests_total{version="${version}"})`)) ?? 0) >= requests);

const provider = (): NormalPrometheus => ({ ...(PROVIDER as NormalPrometheus), url: prometheus.url });

interface Asked {
  gates?: NormalMetricGate[];
  blue?: string;
  state?: JudgeState | null;
  baseline?: JudgeInput['baseline'];
  provider?: NormalPrometheus;
  since?: number;
}

function look(green: string, asked: Asked = {}): Promise<JudgeAnswer> {
  return judge({
    migration: 'shop',
    unit: 'database/shop',
    gates: asked.gates ?? [gateOf({ errorRatio: { absolute: '1%' } })],
    providers: [asked.provider ?? provider()],
    subject: {
      green: { labels: { version: green } },
      blue: asked.blue === undefined ? null : { labels: { version: asked.blue } },
    },
    at: Date.now(),
    since: asked.since ?? began,
    baseline: asked.baseline ?? null,
    state: asked.state ?? null,
  });
}

const verdictOf = async (green: string, asked?: Asked): Promise<{ verdict: string; explanation: string }> => {
  const [{ verdict, explanation } = expect.fail('no verdict')] = (await look(green, asked)).gates;
  return { verdict, explanation };
};

describe('a real Prometheus', () => {
  test('tells a healthy version from a bad one, and names the figures', async () => {
    app('good').serve(2_000, 200);
    app('bad').serve(1_900, 200);
    app('bad').serve(100, 500);
    await Promise.all([counted('good', 2_000), counted('bad', 2_000)]);
    expect(await verdictOf('good')).toMatchObject({ verdict: 'pass' });
    const bad = await verdictOf('bad');
    expect(bad.verdict).toBe('fail');
    expect(bad.explanation).toMatch(
      /^now \d+ of [\d,]+ = 5 %, 95 % interval [\d.]+–[\d.]+ %, limit 1 %: fails, so far for 0s of 5m/,
    );
    expect(
      await verdictOf('bad', { blue: 'good', gates: [gateOf({ errorRatio: { relativeToBlue: 2 } })] }),
    ).toMatchObject({
      verdict: 'fail',
    });
  });

  test('without traffic neither passes nor fails', async () => {
    expect(await verdictOf('idle')).toEqual({ verdict: 'insufficient', explanation: 'now: no request: insufficient' });
  });

  test('that knows no such series has no data', async () => {
    const { verdict, explanation } = await verdictOf('misspelt');
    expect(verdict).toBe('no-data');
    expect(explanation).toContain('knows no such series');
  });

  test('counts on over a restart of what it scrapes', async () => {
    app('reset').serve(3_000, 200);
    await counted('reset', 3_000);
    app('reset').restart();
    await until(async () => (await prometheus.value('sum(http_requests_total{version="reset"})')) === 0);
    app('reset').serve(1_000, 200);
    await counted('reset', 1_000);
    const { gates } = await look('reset');
    expect(gates[0]).toMatchObject({ verdict: 'pass', figures: { value: 0 } });
    expect(gates[0]?.figures?.samples).toBeGreaterThan(3_900);
  });

  test('that can no longer scrape it has no data, whatever it counted before', async () => {
    app('gone').serve(1_000, 500);
    await counted('gone', 1_000);
    expect((await verdictOf('gone')).verdict).toBe('fail');
    await app('gone').stop();
    await until(async () => (await prometheus.value('up{version="gone"}')) === 0);
    const { verdict, explanation } = await verdictOf('gone');
    expect(verdict).toBe('no-data');
    expect(explanation).toContain('0 of 1 exporters still report');
    apps['gone'] = await MeteredApp.start();
  });

  test('answers latencies from histograms and from summaries', async () => {
    app('slow').serve(1_900, 200, 0.03);
    app('slow').serve(600, 200, 1.2);
    await counted('slow', 2_500);
    const histogram = gateOf({ latency: { quantile: 'p95', absolute: '500ms' } });
    const seen = await verdictOf('slow', { gates: [histogram] });
    expect(seen.verdict).toBe('fail');
    expect(seen.explanation).toMatch(
      /^now p95 2,\d\d\d ms of [\d,]+ requests, 95 % interval 2,\d\d\d–2,\d\d\d ms, limit 500 ms/,
    );
    expect(
      await verdictOf('slow', { gates: [gateOf({ latency: { quantile: 'p50', absolute: '500ms' } })] }),
    ).toMatchObject({
      verdict: 'pass',
    });
    const summary = gateOf({
      latency: {
        absolute: '500ms',
        value: 'max(http_request_summary_seconds{quantile="0.95",$labels})',
        samples: 'sum(increase(http_request_summary_seconds_count{$labels}[$window]))',
      },
    });
    expect((await verdictOf('slow', { gates: [summary] })).explanation).toMatch(
      /^now p95 1,200 ms of [\d,]+ requests, no interval known, limit 500 ms: fails/,
    );
  });

  test('answers custom queries, and says what is wrong with one', async () => {
    const query = (value: string): NormalMetricGate => gateOf({ query: { value, absolute: 10 } });
    expect(await verdictOf('good', { gates: [query('sum(up{$labels})')] })).toEqual({
      verdict: 'pass',
      explanation: 'now 1, limit 10: passes',
    });
    expect((await verdictOf('good', { gates: [query('sum(up{$labels}')] })).explanation).toContain(
      'refuses the query (bad_data)',
    );
    expect((await verdictOf('good', { gates: [query('up')] })).explanation).toContain('found 6 series; sum them');
    expect((await verdictOf('good', { gates: [query('0/0')] })).verdict).toBe('no-data');
    const own = gateOf({
      errorRatio: { errors: 'sum(misspelt{$labels})', total: 'sum(http_requests_total{$labels})' },
    });
    expect(await verdictOf('good', { gates: [own] })).toMatchObject({ verdict: 'no-data' });
  });

  test('is asked once for the time before, which then is kept', async () => {
    app('good').serve(2_000, 200);
    await counted('good', 4_000);
    const shift = Date.now();
    const gate = gateOf({ latency: { quantile: 'p95' } });
    const first = await look('good', { gates: [gate], baseline: { from: began, to: shift } });
    const reference = first.state.gates['latency-p95']?.baseline;
    expect(reference?.value).toBeGreaterThan(10);
    const later = await look('good', { gates: [gate], baseline: { from: 0, to: 1_000 }, state: first.state });
    expect(later.state.gates['latency-p95']?.baseline).toEqual(reference);
    expect(later.gates[0]?.verdict).toBe('pass');
  });

  test('that is down, or refuses, is a provider error and nothing worse; secrets stay out of it', async () => {
    process.env['TEST_PROMETHEUS_TOKEN'] = 'Bearer s3cret-tok3n';
    const down: NormalPrometheus = {
      ...provider(),
      url: `http://127.0.0.1:${await getPort()}`,
      headers: { Authorization: { env: 'TEST_PROMETHEUS_TOKEN' } },
    };
    const { verdict, explanation } = await verdictOf('good', { provider: down });
    expect(verdict).toBe('provider-error');
    expect(explanation).toContain('ECONNREFUSED');
    expect(explanation).not.toContain('s3cret');
    const missing = { ...provider(), headers: { Authorization: { env: 'TEST_NO_SUCH_VARIABLE' } } };
    expect((await verdictOf('good', { provider: missing })).explanation).toContain(
      'the worker has no environment variable TEST_NO_SUCH_VARIABLE',
    );
    const stranger = { ...provider(), url: `http://${app('idle').address}` };
    expect((await verdictOf('good', { provider: stranger })).explanation).toContain('nothing that Prometheus would');
  });
});
