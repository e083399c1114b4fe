/** A unit of traffic, from what was parsed to its normal form. `checkMeaning` has seen to it that it can be. */
import { Gate } from './schema.js';
import { DEFAULT_TASK_QUEUES, type NormalGate } from './normal.js';
import type { NormalAlb, NormalRoute53, NormalTraffic, Route53Member, TrafficStep } from './normal-traffic.js';
import { PRESETS, Step, type ParsedTraffic } from './traffic.js';
import { unitRef, unitRefs } from './units.js';

export function normalTraffic(name: string, written: ParsedTraffic): NormalTraffic {
  const { dependsOn, aws, every, stall, watch } = written;
  return {
    name,
    unit: unitRef('traffic', name),
    dependsOn: unitRefs(dependsOn),
    route: routeOf(written),
    aws: { region: aws.region ?? null, role: aws.role ?? null, endpoint: aws.endpoint ?? null },
    steps: stepsOf(written),
    every,
    stall,
    watch,
    taskQueue: DEFAULT_TASK_QUEUES.light,
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

function stepsOf({ steps, preset }: ParsedTraffic): TrafficStep[] {
  return steps ?? PRESETS[preset ?? 'gradual'].map((step) => Step.parse(step));
}

function routeOf({ alb, route53, blue, green }: ParsedTraffic): NormalAlb | NormalRoute53 {
  if (alb !== undefined) {
    const { listener, rules = null, settings } = alb;
    const groups = { blue: blue?.targetGroup ?? '', green: green.targetGroup ?? '' };
    return { kind: 'alb', listener, rules, ...groups, settings };
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

function memberOf({ values, alias, setIdentifier }: ParsedTraffic['green']): Route53Member {
  return { setIdentifier: setIdentifier ?? null, target: alias === undefined ? { values: values ?? [] } : { alias } };
}
