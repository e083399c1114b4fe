/**
 * Gates: what must hold for users, judged on evidence: `{errorRatio: {absolute: 1%}, onFailure: undo}`. The schema as a
 * person writes them, and their normal form. Points that wait for people are in `approvals.ts`.
 */
import { z } from 'zod';
import { duration, label, percent } from './fields.js';
import type { PathSegment } from './json-schema.js';
import { namedValues, type NormalProvider } from './metrics.js';
import type { Milliseconds } from './normal.js';
import type { SpecProblem } from './problems.js';
import { didYouMean, oneOf } from './spelling.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;

/** How long before a shift is looked back at for `relativeToBaseline`. */
export const BASELINE_WINDOW: Milliseconds = 30 * MINUTE;

/** A breach this many times over the limit is not waited out: `FAST_ABORT_AFTER` of it fails. */
export const FAST_ABORT_FACTOR = 10;
export const FAST_ABORT_AFTER: Milliseconds = MINUTE;

/** What holds where neither a limit nor a relation is written. */
export const DEFAULT_LIMITS = {
  errorRatio: { absolute: 0.01, relativeToBaseline: 2 },
  latency: { absolute: null, relativeToBaseline: 1.2 },
  availability: { absolute: 0.95, relativeToBaseline: null },
  saturation: { absolute: 0.8, relativeToBaseline: null },
} as const;

const factor = () => z.number().positive().max(1_000);

const RELATIONS = {
  relativeToBlue: factor().optional().describe("Times blue's figure at the same time, such as 1.5."),
  relativeToBaseline: factor().optional().describe('Times the figure in the 30 minutes before the shift, such as 2.'),
};

const query = () => z.string().trim().min(1).max(8_192);
const HEALTH = `PromQL that is over 0 while the metrics are being collected. Default: not asked, or the template's.`;

const CloudWatchMetric = z.strictObject({
  namespace: z.string().min(1).describe('Namespace, such as AWS/ECS.'),
  name: z.string().min(1).describe('Name of the metric.'),
  statistic: z.string().min(1).prefault('Average').describe('Statistic: Average, Maximum, Sum, p95, …'),
});

const ErrorRatio = z.strictObject({
  absolute: percent()
    .optional()
    .describe(
      'Share of requests that may fail. With a relation, the larger of both is the limit. Default: 1%, with relativeToBaseline 2.',
    ),
  ...RELATIONS,
  errors: query().optional().describe(`PromQL of the requests that failed in the window. Default: the template's.`),
  total: query().optional().describe(`PromQL of all requests in the window. Comes with errors.`),
  health: query().optional().describe(HEALTH),
});

export const QUANTILES = ['p50', 'p95', 'p99'] as const;
export type Quantile = (typeof QUANTILES)[number];

const Latency = z.strictObject({
  quantile: z.enum(QUANTILES).prefault('p95').describe('Which quantile of the time to the answer.'),
  absolute: duration(1, 60 * MINUTE)
    .optional()
    .describe(
      'Longest that quantile may be. With a relation, the larger of both is the limit. Default: relativeToBaseline 1.2 alone.',
    ),
  ...RELATIONS,
  histogram: query()
    .optional()
    .describe(`PromQL of requests in the window by le, the bounds of the buckets. Default: the template's.`),
  value: query()
    .optional()
    .describe(`PromQL of the quantile itself, where there is no histogram: a summary. Its verdict knows no interval.`),
  samples: query().optional().describe(`PromQL of the requests in the window. Comes with value.`),
  unit: z.enum(['s', 'ms']).prefault('s').describe('Unit of histogram and value.'),
  health: query().optional().describe(HEALTH),
});

const Availability = z.strictObject({
  absolute: percent().prefault('95%').describe('Smallest share that must be good.'),
  good: query()
    .optional()
    .describe(`PromQL of what is good: instances that answer, or requests. Default: the template's.`),
  total: query().optional().describe(`PromQL of all of them. Comes with good.`),
  counts: z
    .enum(['instances', 'requests'])
    .prefault('instances')
    .describe('What good and total count. Requests are samples, judged with an interval; instances are all there are.'),
  health: query().optional().describe(HEALTH),
});

const Saturation = z.strictObject({
  absolute: percent().prefault('80%').describe('Largest share in use.'),
  ...RELATIONS,
  value: query().optional().describe(`PromQL of the share in use, 0 to 1.`),
  metric: CloudWatchMetric.optional().describe('Metric of CloudWatch, in percent.'),
});

const Query = z.strictObject({
  absolute: z.number().optional().describe('The limit.'),
  ...RELATIONS,
  better: z.enum(['lower', 'higher']).prefault('lower').describe('Which side of the limit is good.'),
  value: query().optional().describe(`PromQL of one number.`),
  metric: CloudWatchMetric.optional().describe('Metric of CloudWatch.'),
});

const GATE_KINDS = {
  errorRatio: ErrorRatio,
  latency: Latency,
  availability: Availability,
  saturation: Saturation,
  query: Query,
};
export type GateKind = keyof typeof GATE_KINDS;
export const GATE_KIND_NAMES = Object.keys(GATE_KINDS) as GateKind[];

export const MetricGate = z
  .strictObject({
    name: label().optional().describe('Name in verdicts. Default: the kind, such as error-ratio or latency-p95.'),
    errorRatio: ErrorRatio.optional().describe('Share of requests that failed.'),
    latency: Latency.optional().describe('A quantile of the time to the answer.'),
    availability: Availability.optional().describe('Share of instances or requests that are good.'),
    saturation: Saturation.optional().describe('Share of something that is in use.'),
    query: Query.optional().describe('Any number, with a limit.'),
    provider: z.string().optional().describe('Who is asked: a name of spec.metrics. Default: the only one there is.'),
    labels: namedValues()
      .prefault({})
      .describe('Labels that the series of this gate must have, beside those of the side.'),
    dimensions: namedValues()
      .prefault({})
      .describe('Dimensions of CloudWatch, beside those of the side, such as LoadBalancer: app/shop/50dc6c495c0c9188.'),
    minSamples: z
      .int()
      .min(1)
      .max(10_000_000)
      .prefault(200)
      .describe('Fewer requests than this neither pass nor fail.'),
    window: duration(5 * SECOND, DAY)
      .prefault('2m')
      .describe(
        'How far back one look goes, though never to before the step. With too few samples it looks further back, up to the beginning of the step.',
      ),
    sustained: duration(0, DAY)
      .optional()
      .describe(
        'How long a breach must last to fail. Ten times the limit fails after 1m. Default: 5m; in a probation 1m.',
      ),
    consecutive: z
      .int()
      .min(1)
      .max(1_000)
      .prefault(2)
      .describe('How many looks in a row must find the breach, besides.'),
    onFailure: z
      .enum(['undo', 'hold'])
      .optional()
      .describe(
        'What a failure does: undo goes back, hold waits for a person. Default: undo; in watch what onFailure there says.',
      ),
  })
  .meta({
    // Of its own in the JSON Schema, since it stands in many places.
    id: 'Gate',
    description:
      'What must hold: one kind, with its limit. In PromQL, $labels stands for the label matchers of the side that is judged, $window for the time looked back at, such as 120s.',
  });

export const MetricGates = z.array(MetricGate);
export type ParsedMetricGate = z.output<typeof MetricGate>;

// ── the normal form ──

/** The limit is the larger of those that aren't null, for a figure that should be low; else the smaller. */
export interface Limit {
  absolute: number | null;
  relativeToBlue: number | null;
  relativeToBaseline: number | null;
}

export interface CloudWatchMetric {
  namespace: string;
  name: string;
  statistic: string;
}

interface GateBase {
  name: string;
  /** Name of a provider. */
  provider: string;
  limit: Limit;
  labels: Record<string, string>;
  dimensions: Record<string, string>;
  minSamples: number;
  window: Milliseconds;
  sustained: Milliseconds;
  consecutive: number;
  onFailure: 'undo' | 'hold';
}

/** Shares are 0 to 1, latencies milliseconds. Queries that are null are the template's, or not needed. */
export type NormalMetricGate = GateBase &
  (
    | { kind: 'errorRatio'; errors: string | null; total: string | null; health: string | null }
    | {
        kind: 'latency';
        /** 0.5, 0.95 or 0.99. */
        quantile: number;
        histogram: string | null;
        value: string | null;
        samples: string | null;
        /** Milliseconds in one unit of the queries' answers. */
        unit: Milliseconds;
        health: string | null;
      }
    | {
        kind: 'availability';
        good: string | null;
        total: string | null;
        counts: 'instances' | 'requests';
        health: string | null;
      }
    | { kind: 'saturation'; value: string | null; metric: CloudWatchMetric | null }
    | { kind: 'query'; better: 'lower' | 'higher'; value: string | null; metric: CloudWatchMetric | null }
  );

export interface GateDefaults {
  sustained: Milliseconds;
  onFailure: 'undo' | 'hold';
}

/** Of steps, and of watching traffic. */
export const GATE_DEFAULTS: GateDefaults = { sustained: 5 * MINUTE, onFailure: 'undo' };
/** Of the first minutes after a database's switch: short, so the breach must be noticed sooner. */
export const PROBATION_DEFAULTS: GateDefaults = { sustained: MINUTE, onFailure: 'undo' };

/** `checkMetricGates` has seen to it that each is of one kind and has somebody to ask. */
export function normalMetricGates(
  gates: readonly ParsedMetricGate[],
  providers: readonly NormalProvider[],
  defaults: GateDefaults = GATE_DEFAULTS,
): NormalMetricGate[] {
  return gates.map((gate, index) => {
    const { labels, dimensions, minSamples, window, consecutive } = gate;
    const base = {
      name: gateName(gate, gates.slice(0, index)),
      provider: gate.provider ?? providers[0]?.name ?? '',
      ...{ labels, dimensions, minSamples, window, consecutive },
      sustained: gate.sustained ?? defaults.sustained,
      onFailure: gate.onFailure ?? defaults.onFailure,
    };
    return { ...base, ...normalKind(gate) };
  });
}

type OfKind = NormalMetricGate extends infer G
  ? G extends NormalMetricGate
    ? Omit<G, Exclude<keyof GateBase, 'limit'>>
    : never
  : never;

function normalKind({ errorRatio, latency, availability, saturation, query }: ParsedMetricGate): OfKind {
  if (errorRatio !== undefined) {
    const { errors = null, total = null, health = null } = errorRatio;
    return { kind: 'errorRatio', limit: limitOf(errorRatio, DEFAULT_LIMITS.errorRatio), errors, total, health };
  }
  if (latency !== undefined) {
    const { histogram = null, value = null, samples = null, health = null } = latency;
    return {
      kind: 'latency',
      limit: limitOf(latency, DEFAULT_LIMITS.latency),
      quantile: Number(latency.quantile.slice(1)) / 100,
      ...{ histogram, value, samples, health },
      unit: latency.unit === 's' ? SECOND : 1,
    };
  }
  if (availability !== undefined) {
    const { good = null, total = null, health = null, counts } = availability;
    return {
      kind: 'availability',
      limit: limitOf(availability, DEFAULT_LIMITS.availability),
      good,
      total,
      counts,
      health,
    };
  }
  if (saturation !== undefined) {
    const { value = null, metric = null } = saturation;
    return { kind: 'saturation', limit: limitOf(saturation, DEFAULT_LIMITS.saturation), value, metric };
  }
  const { value = null, metric = null, better = 'lower' } = query ?? {};
  return { kind: 'query', limit: limitOf(query ?? {}), better, value, metric };
}

interface WrittenLimit {
  absolute?: number | undefined;
  relativeToBlue?: number | undefined;
  relativeToBaseline?: number | undefined;
}

function limitOf(
  { absolute, relativeToBlue, relativeToBaseline }: WrittenLimit,
  otherwise: { absolute: number | null; relativeToBaseline: number | null } = {
    absolute: null,
    relativeToBaseline: null,
  },
): Limit {
  const written = [absolute, relativeToBlue, relativeToBaseline].some((one) => one !== undefined);
  if (!written) return { ...otherwise, relativeToBlue: null };
  return {
    absolute: absolute ?? null,
    relativeToBlue: relativeToBlue ?? null,
    relativeToBaseline: relativeToBaseline ?? null,
  };
}

/** As written, else by kind; the second of a kind gets a number. */
function gateName(gate: ParsedMetricGate, before: readonly ParsedMetricGate[]): string {
  if (gate.name !== undefined) return gate.name;
  const plain = plainName(gate);
  const twins = before.filter((other) => other.name === undefined && plainName(other) === plain).length;
  return twins === 0 ? plain : `${plain}-${twins + 1}`;
}

function plainName(gate: ParsedMetricGate): string {
  if (gate.latency !== undefined) return `latency-${gate.latency.quantile}`;
  return gate.errorRatio !== undefined ? 'error-ratio' : (kindsOf(gate)[0] ?? 'gate');
}

function kindsOf(gate: ParsedMetricGate): GateKind[] {
  return GATE_KIND_NAMES.filter((kind) => gate[kind] !== undefined);
}

// ── what the schema can't say ──

export interface GatePlace {
  /** Of the list. */
  path: readonly PathSegment[];
  providers: readonly NormalProvider[];
  /** Whether there is a blue to compare with: there is none behind a database. */
  blue: boolean;
}

export function checkMetricGates(gates: readonly ParsedMetricGate[], place: GatePlace): SpecProblem[] {
  const names = gates.map((gate, index) => gateName(gate, gates.slice(0, index)));
  return gates.flatMap((gate, index): SpecProblem[] => {
    const here = [...place.path, index];
    const [kind, ...others] = kindsOf(gate);
    if (kind === undefined || others.length > 0) {
      const found = kind === undefined ? 'none' : [kind, ...others].join(' and ');
      const message = `expected one kind of gate, ${oneOf(GATE_KIND_NAMES)}, found ${found}; write each as an entry of the list`;
      return [{ path: here, about: 'value', message }];
    }
    if (names.indexOf(names[index] ?? '') !== index) {
      const message = `expected a name of its own, found ${names[index]} twice`;
      return [{ path: gate.name === undefined ? here : [...here, 'name'], about: 'value', message }];
    }
    const provider = checkProvider(here, gate, place);
    return 'problem' in provider ? [provider.problem] : checkKind([...here, kind], gate, kind, provider.found, place);
  });
}

function checkProvider(
  here: PathSegment[],
  { provider }: ParsedMetricGate,
  { providers }: GatePlace,
): { problem: SpecProblem } | { found: NormalProvider } {
  const names = providers.map(({ name }) => name);
  const [only, ...more] = providers;
  if (only === undefined) {
    const message = 'nobody is there to be asked; add one under spec.metrics, such as prom: { prometheus: { url: … } }';
    return { problem: { path: here, about: 'value', message } };
  }
  if (provider === undefined) {
    if (more.length === 0) return { found: only };
    const message = `expected provider, since there are several to ask; write one of ${names.join(', ')}`;
    return { problem: { path: here, about: 'value', message } };
  }
  const found = providers.find(({ name }) => name === provider);
  if (found !== undefined) return { found };
  const message = `no such provider under spec.metrics${didYouMean(provider, names)}`;
  return { problem: { path: [...here, 'provider'], about: 'value', message } };
}

function checkKind(
  path: PathSegment[],
  gate: ParsedMetricGate,
  kind: GateKind,
  provider: NormalProvider,
  { blue }: GatePlace,
): SpecProblem[] {
  const problem = (message: string, ...below: PathSegment[]): SpecProblem[] => [
    { path: [...path, ...below], about: 'value', message },
  ];
  const written: WrittenLimit = gate[kind] ?? {};
  if (written.relativeToBlue !== undefined && !blue) {
    return problem('expected no blue here: a database has none; write relativeToBaseline', 'relativeToBlue');
  }
  if (
    kind === 'query' &&
    limitOf(written).absolute === null &&
    Object.values(limitOf(written)).every((one) => one === null)
  ) {
    return problem('expected a limit; write absolute, relativeToBlue or relativeToBaseline');
  }
  if (provider.kind === 'smoke') {
    return kind === 'availability'
      ? []
      : problem(`expected availability, which is what smoke tests say: ${provider.name} knows no ${kind}`);
  }
  const incomplete = checkPairs(gate);
  if (incomplete !== null) return problem(incomplete.message, incomplete.field);
  const queries = queriesOf(gate);
  const unlabelled = Object.entries(queries).find(([, text]) => !text.includes('$labels'));
  if (provider.kind === 'prometheus' && written.relativeToBlue !== undefined && unlabelled !== undefined) {
    return problem('expected $labels in it, or blue and green would be the same', unlabelled[0]);
  }
  if (provider.kind !== 'prometheus' && Object.keys(queries).length > 0) {
    return problem(`expected no PromQL: ${provider.name} is no Prometheus`, Object.keys(queries)[0] ?? '');
  }
  const askable =
    provider.kind === 'prometheus' && (kind === 'errorRatio' || kind === 'latency' || kind === 'availability');
  const ownQueries = Object.keys(queries).some((name) => name !== 'health');
  if (askable && provider.template === null && !ownQueries) {
    return problem(`expected queries; write ${QUERIES_OF[kind]}, or a template for spec.metrics.${provider.name}`);
  }
  if (kind === 'saturation' || kind === 'query') {
    const { metric } = gate[kind] ?? {};
    if (provider.kind === 'prometheus' && queries['value'] === undefined)
      return problem('expected value, the PromQL to ask');
    if (provider.kind === 'cloudWatch' && metric === undefined)
      return problem('expected metric: namespace, name and statistic');
    if (provider.kind !== 'cloudWatch' && metric !== undefined) {
      return problem(`expected no metric of CloudWatch: ${provider.name} is none`, 'metric');
    }
  }
  return [];
}

const QUERIES_OF = {
  errorRatio: 'errors and total',
  latency: 'histogram, or value and samples',
  availability: 'good and total',
};

function queriesOf({ errorRatio, latency, availability, saturation, query }: ParsedMetricGate): Record<string, string> {
  const { errors, total, health } = { ...errorRatio, ...latency, ...availability } as Record<
    string,
    string | undefined
  >;
  const { histogram, samples } = latency ?? {};
  const value = latency?.value ?? saturation?.value ?? query?.value;
  const all = { errors, total, health, histogram, value, samples, good: availability?.good };
  return Object.fromEntries(Object.entries(all).filter((one): one is [string, string] => one[1] !== undefined));
}

/** Queries that only mean something together. */
function checkPairs({
  errorRatio,
  latency,
  availability,
}: ParsedMetricGate): { field: string; message: string } | null {
  const pairs: [string, unknown, string, unknown][] = [
    ['errors', errorRatio?.errors, 'total', errorRatio?.total],
    ['good', availability?.good, 'total', availability?.total],
    ['value', latency?.value, 'samples', latency?.samples],
  ];
  for (const [one, first, other, second] of pairs) {
    if ((first === undefined) === (second === undefined)) continue;
    const [there, missing] = first === undefined ? [other, one] : [one, other];
    return { field: there, message: `expected ${missing} beside it; add ${missing}, or remove ${there}` };
  }
  if (latency?.histogram === undefined || latency.value === undefined) return null;
  return {
    field: 'value',
    message: 'expected histogram or value, found both; keep histogram, which knows an interval',
  };
}
