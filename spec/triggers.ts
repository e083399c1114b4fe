/**
 * Triggers: what puts traffic back, or asks, besides its own gates. Unlike gates they needn't be written, nothing has to
 * be proven to them, and a breach is counted on from one step to the next. They apply where somebody can be asked
 * without queries.
 */
import { z } from 'zod';
import { duration, percent } from './fields.js';
import { checkMetricGates, MetricGate, normalMetricGates, QUANTILES } from './gates.js';
import type { NormalMetricGate, ParsedMetricGate } from './gates.js';
import type { PathSegment } from './json-schema.js';
import type { NormalProvider } from './metrics.js';
import type { SpecProblem } from './problems.js';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

const onFailure = (otherwise: 'undo' | 'hold') =>
  z
    .enum(['undo', 'hold', 'none'])
    .prefault(otherwise)
    .describe('What it does: undo gives everybody back to blue, hold waits for a person, none switches it off.');

const provider = () =>
  z
    .string()
    .optional()
    .describe(
      'Who is asked: a name of spec.metrics. Default: the first that needs no queries, Prometheus with a template, or CloudWatch behind a load balancer; without one there is no trigger.',
    );

const Availability = z
  .strictObject({
    under: percent().prefault('95%').describe("Share of green's instances that must be good."),
    for: duration(0, DAY).prefault('2m').describe('How long fewer are good until it acts.'),
    onFailure: onFailure('undo'),
    provider: provider(),
  })
  .describe('Too few instances of green are good. There without being written.');

const Latency = z
  .strictObject({
    quantile: z.enum(QUANTILES).prefault('p95').describe('Which quantile of the time to the answer.'),
    over: z
      .number()
      .positive()
      .max(1_000)
      .prefault(2)
      .describe('Times the figure of the 30 minutes before the shift that is too slow.'),
    for: duration(0, DAY).prefault('10m').describe('How long it is too slow until it acts.'),
    onFailure: onFailure('hold'),
    provider: provider(),
  })
  .describe('Green answers much later than what was there before. There without being written.');

export const Triggers = z
  .strictObject({ availability: Availability.optional(), latency: Latency.optional() })
  .prefault({})
  .describe('What puts everybody back, or asks, besides the gates; at every step, and while watching.');

type ParsedTriggers = z.output<typeof Triggers>;
type Kind = keyof ParsedTriggers;
const KINDS: readonly Kind[] = ['availability', 'latency'];

/** Gates of a unit can't have these: the judge tells them apart by name. */
const NAMES: Record<Kind, string> = { availability: 'trigger-availability', latency: 'trigger-latency' };

export const isTrigger = (gate: string): boolean => Object.values(NAMES).includes(gate);

/** Who could be asked about a unit. */
export interface Askable {
  providers: readonly NormalProvider[];
  /** CloudWatch knows target groups. */
  loadBalancer: boolean;
  /** Prometheus needs labels that tell green from blue. */
  labelled: boolean;
}

/** `checkTriggers` has seen to it that each can be asked. */
export function normalTriggers(written: ParsedTriggers, askable: Askable): NormalMetricGate[] {
  return KINDS.flatMap((kind) => {
    const gate = gateOf(kind, written, askable);
    return gate === null ? [] : normalMetricGates([gate], askable.providers);
  });
}

export function checkTriggers(path: PathSegment[], written: ParsedTriggers, askable: Askable): SpecProblem[] {
  return KINDS.flatMap((kind): SpecProblem[] => {
    const trigger = written[kind];
    if (trigger === undefined || trigger.onFailure === 'none') return [];
    const here = [...path, kind];
    const gate = gateOf(kind, written, askable);
    if (gate === null) {
      const message =
        'expected somebody to ask: Prometheus with a template, or CloudWatch behind a load balancer, under spec.metrics; or name one as provider; or write onFailure: none';
      return [{ path: here, about: 'value', message }];
    }
    const problems = checkMetricGates([gate], { path: here, providers: askable.providers, blue: true });
    return problems.map((problem) => ({ ...problem, path: here }));
  });
}

/** Whether Prometheus would be asked by a trigger that somebody wrote. */
export function asksByLabels(written: ParsedTriggers, providers: readonly NormalProvider[]): boolean {
  return KINDS.some((kind) => {
    const trigger = written[kind];
    if (trigger === undefined || trigger.onFailure === 'none') return false;
    const asked =
      trigger.provider === undefined ? providers : providers.filter(({ name }) => name === trigger.provider);
    return asked[0]?.kind === 'prometheus';
  });
}

/** As a person would write it among the gates; null: off, or nobody can be asked. */
function gateOf(kind: Kind, written: ParsedTriggers, askable: Askable): ParsedMetricGate | null {
  const { onFailure: then, for: sustained, ...rest } = written[kind] ?? DEFAULTS[kind];
  const provider = rest.provider ?? byItself(askable)?.name;
  if (then === 'none' || provider === undefined) return null;
  const base = { ...MetricGate.parse({ name: NAMES[kind] }), provider, sustained, onFailure: then };
  if (kind === 'availability') {
    const { under } = written.availability ?? DEFAULTS.availability;
    return { ...base, availability: { absolute: under, counts: 'instances' } };
  }
  const { quantile, over } = written.latency ?? DEFAULTS.latency;
  return { ...base, latency: { quantile, relativeToBaseline: over, unit: 's' } };
}

const DEFAULTS = { availability: Availability.parse({}), latency: Latency.parse({}) };

function byItself({ providers, loadBalancer, labelled }: Askable): NormalProvider | undefined {
  return providers.find(
    (one) =>
      (one.kind === 'prometheus' && one.template !== null && labelled) || (one.kind === 'cloudWatch' && loadBalancer),
  );
}
