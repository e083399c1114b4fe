/** A unit of traffic, from what was parsed to its normal form. `checkMeaning` has seen to it that it can be. */
import { GATE_DEFAULTS, normalMetricGates } from './gates.js';
import type { NormalProvider } from './metrics.js';
import { Gate } from './schema.js';
import { DEFAULT_TASK_QUEUES, type NormalGate } from './normal.js';
import type { NormalAlb, NormalRoute53, NormalTraffic, Route53Member, TrafficStep } from './normal-traffic.js';
import { askableOf, PRESETS, Step, type ParsedStep, type ParsedTraffic } from './traffic.js';
import { normalTriggers } from './triggers.js';
import { unitRef, unitRefs } from './units.js';
import type { SubjectSide } from './verdict.js';

export function normalTraffic(
  name: string,
  written: ParsedTraffic,
  providers: readonly NormalProvider[],
): NormalTraffic {
  const { dependsOn, aws, undo, every, stall } = written;
  return {
    name,
    unit: unitRef('traffic', name),
    dependsOn: unitRefs(dependsOn),
    route: routeOf(written),
    subject: { blue: sideOf(written, written.blue), green: sideOf(written, written.green) },
    aws: { region: aws.region ?? null, role: aws.role ?? null, endpoint: aws.endpoint ?? null },
    steps: stepsOf(written, providers),
    triggers: normalTriggers(written.triggers, askableOf(written, providers)),
    undo,
    every,
    stall,
    watch: watchOf(written, providers),
    taskQueue: written.taskQueue ?? DEFAULT_TASK_QUEUES.light,
  };
}

/** Steps that people must approve each have a gate of their own. */
export function stepGates({ unit, steps }: NormalTraffic): NormalGate[] {
  return steps
    .filter(({ approvals }) => approvals > 0)
    .map(({ weight, approvals }) => ({
      id: `switch:${unit}:${weight}`,
      stage: 'switch',
      unit,
      ...Gate.parse({ approvals }),
      step: weight,
    }));
}

function stepsOf({ steps, preset, gates }: ParsedTraffic, providers: readonly NormalProvider[]): TrafficStep[] {
  return (steps ?? presetSteps(preset ?? 'gradual', providers)).map((step) => ({
    ...step,
    gates: normalMetricGates(step.gates ?? gates, providers),
  }));
}

function watchOf({ watch, gates }: ParsedTraffic, providers: readonly NormalProvider[]): NormalTraffic['watch'] {
  const { onFailure } = watch;
  const watched = watch.gates.length === 0 ? gates : watch.gates;
  return { ...watch, gates: normalMetricGates(watched, providers, { ...GATE_DEFAULTS, onFailure }) };
}

/** Their own gates need somebody to ask. */
function presetSteps(preset: keyof typeof PRESETS, providers: readonly NormalProvider[]): ParsedStep[] {
  return PRESETS[preset].map(({ gates, ...step }) => Step.parse(providers.length === 1 ? { ...step, gates } : step));
}

function routeOf({ alb, route53, blue, green }: ParsedTraffic): NormalAlb | NormalRoute53 {
  if (alb !== undefined) {
    const { listener, rules = null, settings, metricPeriod } = alb;
    const groups = { blue: blue?.targetGroup ?? '', green: green.targetGroup ?? '' };
    return { kind: 'alb', listener, rules, ...groups, settings, metricPeriod, ...certificateOf(alb) };
  }
  if (route53 === undefined) throw new TypeError('traffic has exactly one route');
  const { zone, name: recordName, type, ttl } = route53;
  return {
    kind: 'route53',
    zone,
    recordName,
    type,
    ttl,
    blue: blue === undefined ? null : memberOf(blue),
    green: memberOf(green),
  };
}

function certificateOf({ listener, certificate }: NonNullable<ParsedTraffic['alb']>): Pick<NormalAlb, 'certificate'> {
  if (certificate === undefined) return {};
  const { domain, alternativeNames, zone, stall } = certificate;
  return {
    certificate: { names: [domain, ...alternativeNames], zone, listener: certificate.listener ?? listener, stall },
  };
}

/** Dimensions of a load balancer's metrics are the ends of ARNs: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html */
function sideOf({ alb }: ParsedTraffic, member: ParsedTraffic['green'] | undefined): SubjectSide {
  const labels = member?.labels ?? {};
  if (alb === undefined || member?.targetGroup === undefined) return { labels };
  const LoadBalancer = alb.listener.replace(/^.*:listener\//, '').replace(/\/[^/]*$/, '');
  return { labels, dimensions: { LoadBalancer, TargetGroup: member.targetGroup.replace(/^.*:(?=targetgroup\/)/, '') } };
}

function memberOf({ values, alias, setIdentifier }: ParsedTraffic['green']): Route53Member {
  return { setIdentifier: setIdentifier ?? null, target: alias === undefined ? { values: values ?? [] } : { alias } };
}
