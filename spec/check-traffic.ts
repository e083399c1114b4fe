/** What no schema can say of a unit of traffic. */
import { checkMetricGates, type ParsedMetricGate } from './gates.js';
import type { PathSegment } from './json-schema.js';
import type { NormalProvider } from './metrics.js';
import type { SpecProblem } from './problems.js';
import { askableOf, isLabelled, type ParsedTraffic } from './traffic.js';
import { asksByLabels, checkTriggers, isTrigger } from './triggers.js';

export function checkTraffic(
  path: PathSegment[],
  traffic: ParsedTraffic,
  providers: readonly NormalProvider[],
): SpecProblem[] {
  const { alb, route53 } = traffic;
  if ((alb === undefined) === (route53 === undefined)) {
    const found = alb === undefined ? 'none' : 'both';
    return [{ path, about: 'value', message: `expected one way to move it, alb or route53, found ${found}` }];
  }
  const members = alb === undefined ? checkRecords(path, traffic) : checkGroups(path, traffic);
  return [
    ...members,
    ...checkCertificate([...path, 'alb', 'certificate'], traffic),
    ...checkSteps(path, traffic),
    ...checkJudged(path, traffic, providers),
  ];
}

/** A listener takes certificates of its own region and account alone, and ACM is asked where the unit's listener is. */
function checkCertificate(path: PathSegment[], { alb }: ParsedTraffic): SpecProblem[] {
  const certificate = alb?.certificate;
  if (alb === undefined || certificate === undefined) return [];
  const { domain, alternativeNames, listener = alb.listener } = certificate;
  const twice = alternativeNames.flatMap((name, index): SpecProblem[] => {
    if (name !== domain && alternativeNames.indexOf(name) === index) return [];
    const message = `expected each name once, found ${name} again`;
    return [{ path: [...path, 'alternativeNames', index], about: 'value', message }];
  });
  const [wanted, found] = [placeOf(alb.listener), placeOf(listener)];
  if (wanted === found) return twice;
  const message = `expected a listener in the region and account of this unit's, ${wanted}, found ${found}`;
  return [...twice, { path: [...path, 'listener'], about: 'value', message }];
}

/** `eu-central-1:123456789012` */
const placeOf = (arn: string): string => arn.split(':').slice(3, 5).join(':');

function checkJudged(path: PathSegment[], traffic: ParsedTraffic, providers: readonly NormalProvider[]): SpecProblem[] {
  const { gates, steps, watch, triggers, blue, green } = traffic;
  const written = [gates, watch.gates, ...(steps ?? []).map((step) => step.gates ?? [])];
  // Those of a preset come by themselves where there is one to ask.
  const isJudged = written.some((list) => list.length > 0) || (steps === undefined && providers.length === 1);
  const byLabels =
    (isJudged && providers.some(({ kind }) => kind === 'prometheus')) || asksByLabels(triggers, providers);
  const check = (list: ParsedMetricGate[], ...more: PathSegment[]): SpecProblem[] => {
    const here = [...path, ...more];
    return [...checkNames(here, list), ...checkMetricGates(list, { path: here, providers, blue: true })];
  };
  return [
    ...checkLabels(path, { green, blue }, byLabels),
    ...check(gates, 'gates'),
    ...(steps ?? []).flatMap((step, index) => check(step.gates ?? [], 'steps', index, 'gates')),
    ...check(watch.gates, 'watch', 'gates'),
    ...checkTriggers([...path, 'triggers'], triggers, { ...askableOf(traffic, providers), labelled: true }),
  ];
}

/** Seconds below a minute; https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricStat.html */
const SHORT_PERIODS = [1, 5, 10, 20, 30];

function checkPeriod(path: PathSegment[], { alb }: ParsedTraffic): SpecProblem[] {
  const seconds = (alb?.metricPeriod ?? 60_000) / 1_000;
  if (SHORT_PERIODS.includes(seconds) || seconds % 60 === 0) return [];
  const message = `expected a period of CloudWatch: ${SHORT_PERIODS.join(', ')} seconds or whole minutes, found ${seconds} s`;
  return [{ path: [...path, 'alb', 'metricPeriod'], about: 'value', message }];
}

function checkGroups(path: PathSegment[], traffic: ParsedTraffic): SpecProblem[] {
  const { blue, green } = traffic;
  const problems = checkPeriod(path, traffic);
  for (const [colour, member] of [
    ['blue', blue],
    ['green', green],
  ] as const) {
    if (member?.targetGroup === undefined) {
      const message = 'expected targetGroup, the ARN of its target group';
      problems.push({ path: [...path, colour], about: 'value', message });
      continue;
    }
    for (const key of ['values', 'alias', 'setIdentifier'] as const) {
      if (member[key] === undefined) continue;
      problems.push({
        path: [...path, colour, key],
        about: 'key',
        message: 'belongs to route53; a load balancer has target groups',
      });
    }
  }
  if (problems.length === 0 && blue?.targetGroup === green.targetGroup) {
    const message = "expected another target group than blue's, found the same";
    problems.push({ path: [...path, 'green', 'targetGroup'], about: 'value', message });
  }
  return problems;
}

function checkRecords(path: PathSegment[], { route53, blue, green }: ParsedTraffic): SpecProblem[] {
  const problems: SpecProblem[] = [];
  for (const [colour, member] of [
    ['blue', blue],
    ['green', green],
  ] as const) {
    if (member === undefined) continue;
    if (member.targetGroup !== undefined) {
      const message = 'belongs to alb; records have values or an alias';
      problems.push({ path: [...path, colour, 'targetGroup'], about: 'key', message });
    }
    if ((member.values === undefined) === (member.alias === undefined)) {
      const found = member.values === undefined ? 'none' : 'both';
      const message = `expected either values or alias, found ${found}`;
      problems.push({ path: [...path, colour], about: 'value', message });
    }
    if (route53?.type === 'CNAME' && (member.values?.length ?? 1) > 1) {
      const message = `expected one name, since a CNAME has no more, found ${member.values?.length}`;
      problems.push({ path: [...path, colour, 'values'], about: 'value', message });
    }
  }
  const same = blue?.setIdentifier !== undefined && blue.setIdentifier === green.setIdentifier;
  if (same) {
    const message = "expected another SetIdentifier than blue's, found the same";
    problems.push({ path: [...path, 'green', 'setIdentifier'], about: 'value', message });
  }
  return problems;
}

function checkSteps(path: PathSegment[], traffic: ParsedTraffic): SpecProblem[] {
  return [...checkWayThere(path, traffic), ...checkWayBack(path, traffic)];
}

function checkWayThere(path: PathSegment[], { steps, preset }: ParsedTraffic): SpecProblem[] {
  if (steps === undefined) return [];
  if (preset !== undefined) {
    return [{ path: [...path, 'preset'], about: 'key', message: 'expected either preset or steps, found both' }];
  }
  const problems = steps.flatMap(({ weight }, index): SpecProblem[] => {
    const before = steps[index - 1]?.weight ?? 0;
    if (weight > before) return [];
    const message = `expected more than the ${before} % of the step before, found ${weight} %; traffic goes back by rollback, not by a step`;
    return [{ path: [...path, 'steps', index, 'weight'], about: 'value', message }];
  });
  const last = steps.at(-1)?.weight;
  if (problems.length > 0 || last === 100) return problems;
  const message = `expected 100 % in the last step, found ${last} %: blue would never be left`;
  return [{ path: [...path, 'steps', steps.length - 1, 'weight'], about: 'value', message }];
}

function checkWayBack(path: PathSegment[], { undo }: ParsedTraffic): SpecProblem[] {
  return undo.steps.flatMap((weight, index): SpecProblem[] => {
    const before = undo.steps[index - 1] ?? 100;
    if (weight < before) return [];
    const message = `expected less than the ${before} % before it, found ${weight} %: traffic goes back to blue`;
    return [{ path: [...path, 'undo', 'steps', index], about: 'value', message }];
  });
}

/** Without them green's requests can't be told from blue's, and a bad green would hide among them. */
function checkLabels(
  path: PathSegment[],
  { blue, green }: Pick<ParsedTraffic, 'blue' | 'green'>,
  asked: boolean,
): SpecProblem[] {
  if (!asked || isLabelled({ blue, green })) return [];
  const message =
    'expected labels on blue and on green that tell their series apart, such as { version: v2 }; Prometheus is asked by them';
  return [{ path: [...path, 'green'], about: 'value', message }];
}

/** Triggers have theirs for themselves. */
function checkNames(path: PathSegment[], gates: ParsedMetricGate[]): SpecProblem[] {
  return gates.flatMap(({ name }, index): SpecProblem[] => {
    if (name === undefined || !isTrigger(name)) return [];
    const message = `expected another name, found ${name}, which is that of a trigger`;
    return [{ path: [...path, index, 'name'], about: 'value', message }];
  });
}

/** Two units that write the same place would each take the other for a stranger. */
export function checkOverlap(traffic: Record<string, ParsedTraffic>): SpecProblem[] {
  const taken = new Map<string, string>();
  return Object.entries(traffic).flatMap(([name, { alb, route53 }]): SpecProblem[] => {
    const places =
      alb === undefined
        ? route53 === undefined
          ? []
          : [`${route53.zone} ${route53.name} ${route53.type}`]
        : (alb.rules ?? [alb.listener]);
    return places.flatMap((place): SpecProblem[] => {
      const other = taken.get(place);
      if (other === undefined) taken.set(place, name);
      if (other === undefined) return [];
      const message = `expected a place of its own, found that of traffic/${other}: ${place}`;
      return [{ path: ['spec', 'traffic', name, alb === undefined ? 'route53' : 'alb'], about: 'value', message }];
    });
  });
}
