/**
 * Prometheus, or what speaks its HTTP API: https://prometheus.io/docs/prometheus/latest/querying/api/. What failed, how
 * many there were, and whether anybody still collects it, are asked separately: a missing numerator is no good news.
 */
import { z } from 'zod';
import type { NormalMetricGate } from '../../spec/gates.js';
import type { NormalPrometheus } from '../../spec/metrics.js';
import type { Milliseconds } from '../../spec/normal.js';
import { jsonOf, reasonOf, textOf } from '../http-answer.js';
import type { Ask, Evidence, Question } from './evidence.js';
import { reveal } from './secrets-of.js';
import { filled, queriesOf, type Queries } from './templates.js';

/** Histograms of many buckets are some kilobytes; more than this is a query that forgot to sum. */
const MOST_BYTES = 4 * 1024 * 1024;

const Answer = z.union([
  z.object({
    status: z.literal('success'),
    data: z.union([
      z.object({
        resultType: z.literal('vector'),
        result: z.array(
          z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) }),
        ),
      }),
      z.object({ resultType: z.literal('scalar'), result: z.tuple([z.number(), z.string()]) }),
    ]),
  }),
  z.object({ status: z.literal('error'), errorType: z.string(), error: z.string() }),
]);

interface Sample {
  labels: Record<string, string>;
  value: number;
}

/** It could not be asked, or its answer can't be used: in words. */
class Unanswered extends Error {}

export function askPrometheus(provider: NormalPrometheus): Ask {
  return async (question) => {
    try {
      return await evidenceOf(provider, question);
    } catch (error) {
      return {
        kind: 'provider-error',
        reason: `${provider.name}: ${error instanceof Error ? error.message : 'unknown error'}`,
      };
    }
  };
}

async function evidenceOf(provider: NormalPrometheus, question: Question): Promise<Evidence> {
  const { gate, side, range } = question;
  const labels = { ...provider.labels, ...side.labels, ...gate.labels };
  const window = range.to - range.from;
  const ask = (query: string): Promise<Sample[]> => samples(provider, filled(query, labels, window), range.to);
  const template = provider.template === null ? null : queriesOf(provider.template);
  const asked = new Questions(ask);
  switch (gate.kind) {
    case 'errorRatio':
      return errorRatio(gate, template, asked);
    case 'latency':
      return latency(gate, template, asked);
    case 'availability':
      return availability(gate, template, asked);
    case 'saturation':
    case 'query': {
      const value = await asked.number(gate.value ?? '');
      if (value === null) return noData('value');
      return { kind: 'figure', value, lower: null, upper: null, samples: null };
    }
  }
}

type Of<K extends NormalMetricGate['kind']> = Extract<NormalMetricGate, { kind: K }>;

async function errorRatio(gate: Of<'errorRatio'>, template: Queries | null, asked: Questions): Promise<Evidence> {
  const own = gate.errors !== null && gate.total !== null;
  const [health, bad, total] = await Promise.all([
    asked.health(gate.health, own ? null : template),
    asked.number(gate.errors ?? template?.errors ?? ''),
    asked.number(gate.total ?? template?.total ?? ''),
  ]);
  if (health.kind === 'no-data') return health;
  if (total === null) return noData('the number of requests');
  // Of a query of one's own nobody knows whether nothing means none, or a misspelt name.
  if (bad === null && own) {
    return { kind: 'no-data', reason: 'errors answers nothing; if that means none, write (…) or vector(0)' };
  }
  return { kind: 'counts', bad: bad ?? 0, total, ...health.note };
}

async function latency(gate: Of<'latency'>, template: Queries | null, asked: Questions): Promise<Evidence> {
  if (gate.value !== null && gate.samples !== null) {
    const [health, value, count] = await Promise.all([
      asked.health(gate.health, null),
      asked.number(gate.value),
      asked.number(gate.samples),
    ]);
    if (health.kind === 'no-data') return health;
    if (count === null) return noData('the number of requests');
    // A summary says NaN once nobody asked for anything in its own window.
    if (count > 0 && value === null) return noData('the quantile');
    return {
      kind: 'figure',
      value: (value ?? 0) * gate.unit,
      lower: null,
      upper: null,
      samples: count,
      ...health.note,
    };
  }
  const own = gate.histogram !== null;
  const [health, found] = await Promise.all([
    asked.health(gate.health, own ? null : template),
    asked.all(gate.histogram ?? template?.histogram ?? ''),
  ]);
  if (health.kind === 'no-data') return health;
  const unit = own ? gate.unit : (template?.unit ?? gate.unit);
  const buckets = found.flatMap(({ labels, value }) => {
    const le = labels['le'] === '+Inf' ? Infinity : Number(labels['le'] ?? NaN);
    return Number.isNaN(le) ? [] : [{ le: le * unit, count: value }];
  });
  if (buckets.length === 0) {
    return {
      kind: 'no-data',
      reason: found.length === 0 ? NOTHING : 'the histogram has no label le; keep it with sum by (le)',
    };
  }
  if (!buckets.some(({ le }) => le === Infinity))
    return { kind: 'no-data', reason: 'the histogram lacks its bucket +Inf' };
  if (new Set(buckets.map(({ le }) => le)).size < buckets.length) {
    return { kind: 'no-data', reason: 'the histogram has several series of one le; sum them with sum by (le)' };
  }
  return { kind: 'histogram', buckets, ...health.note };
}

async function availability(gate: Of<'availability'>, template: Queries | null, asked: Questions): Promise<Evidence> {
  const own = gate.good !== null && gate.total !== null;
  const instances = own ? { good: gate.good ?? '', total: gate.total ?? '' } : (template?.instances ?? null);
  if (template !== null && !own && (gate.counts === 'requests' || instances === null))
    return goodRequests(gate, template, asked);
  const [health, good, total] = await Promise.all([
    asked.health(gate.health, null),
    asked.number(instances?.good ?? ''),
    asked.number(instances?.total ?? ''),
  ]);
  if (health.kind === 'no-data') return health;
  if (total === null && template !== null && !own) return goodRequests(gate, template, asked);
  if (total === null || good === null) return noData(total === null ? 'total' : 'good');
  return { kind: 'counts', bad: Math.max(0, total - good), total, ...health.note };
}

/** In place of instances that nobody counts. */
async function goodRequests(gate: Of<'availability'>, template: Queries, asked: Questions): Promise<Evidence> {
  const [health, bad, total] = await Promise.all([
    asked.health(gate.health, template),
    asked.number(template.errors),
    asked.number(template.total),
  ]);
  if (health.kind === 'no-data') return health;
  if (total === null) return noData('the number of requests');
  return { kind: 'counts', of: 'requests', bad: bad ?? 0, total, ...health.note };
}

const NOTHING = 'Prometheus answers, and knows no such series; look at the labels, and whether it collects them';

function noData(what: string): Evidence {
  return { kind: 'no-data', reason: `${what}: ${NOTHING}` };
}

/** Of the exporters that were there in the window, this share must still be. */
const LEAST_EXPORTERS = 0.5;

type Health = { kind: 'healthy'; note: { note?: string } } | { kind: 'no-data'; reason: string };

class Questions {
  readonly #ask: (query: string) => Promise<Sample[]>;

  constructor(ask: (query: string) => Promise<Sample[]>) {
    this.#ask = ask;
  }

  all(query: string): Promise<Sample[]> {
    return this.#ask(query);
  }

  /** Null: nothing, or no number. Throws when there are several: which one was meant, nobody knows. */
  async number(query: string): Promise<number | null> {
    const found = await this.#ask(query);
    if (found.length > 1) throw new Unanswered(`expected one number, found ${found.length} series; sum them: sum(…)`);
    const value = found[0]?.value;
    return value === undefined || Number.isNaN(value) ? null : value;
  }

  /** Whether the figures are being collected: they may come from a scrape that fails by now. */
  async health(own: string | null, template: Queries | null): Promise<Health> {
    if (own !== null) {
      const healthy = await this.number(own);
      if (healthy !== null && healthy > 0) return { kind: 'healthy', note: {} };
      return {
        kind: 'no-data',
        reason: `health answers ${healthy === null ? 'nothing' : healthy}: nobody collects these metrics`,
      };
    }
    if (template === null) return { kind: 'healthy', note: {} };
    const [seen, now] = await Promise.all([this.number(template.exporters.seen), this.number(template.exporters.now)]);
    if (seen === null) return { kind: 'no-data', reason: NOTHING };
    const there = now ?? 0;
    if (there < seen * LEAST_EXPORTERS) {
      return { kind: 'no-data', reason: `${there} of ${seen} exporters still report: their scrape fails` };
    }
    return { kind: 'healthy', note: there < seen ? { note: `${there} of ${seen} exporters report` } : {} };
  }
}

/** One instant query. Fails with `Unanswered`. */
async function samples(provider: NormalPrometheus, query: string, at: Milliseconds): Promise<Sample[]> {
  const { value: headers, scrub } = await reveal(provider.headers);
  const { url, timeout } = provider;
  let status: number;
  let text: string;
  try {
    const response = await fetch(`${url.replace(/\/+$/, '')}/api/v1/query`, {
      method: 'POST',
      // Headers would go along to wherever it leads.
      redirect: 'manual',
      headers: { ...headers, accept: 'application/json' },
      body: new URLSearchParams({ query, time: String(at / 1_000), timeout: `${timeout}ms` }),
      signal: AbortSignal.timeout(timeout),
    });
    status = response.status;
    text = await textOf(response, MOST_BYTES);
  } catch (error) {
    throw new Unanswered(scrub(`${url}: ${reasonOf(error, timeout)}`));
  }
  const answer = Answer.safeParse(jsonOf(text));
  if (!answer.success) throw new Unanswered(`${url} answers ${status}, and nothing that Prometheus would`);
  if (answer.data.status === 'error') {
    throw new Unanswered(
      scrub(`${url} refuses the query (${answer.data.errorType}): ${answer.data.error}`).slice(0, 500),
    );
  }
  const { data } = answer.data;
  if (data.resultType === 'scalar') return [{ labels: {}, value: numberOf(data.result[1]) }];
  return data.result.map(({ metric, value }) => ({ labels: metric, value: numberOf(value[1]) }));
}

function numberOf(text: string): number {
  if (text === '+Inf') return Infinity;
  return text === '-Inf' ? -Infinity : Number(text);
}
