/** The activity `planTraffic`: every step of one unit of traffic, in the order in which the workflows take them. */
import { ApplicationFailure } from '@temporalio/common';
import prettyMilliseconds from 'pretty-ms';
import type { NormalAlb, NormalRoute53, NormalTraffic } from '../../spec/normal-traffic.js';
import type { TrafficPart } from '../contract.js';
import type { TrafficImage, TrafficMove } from '../traffic-contract.js';
import { describeActions, groupName } from './alb/actions.js';
import { albMove, captureAlb } from './alb/change.js';
import { placeName, rulesOf } from './alb/places.js';
import { LOCK_PREFIX } from './alb/tags.js';
import { preflightTraffic } from './preflight/preflight.js';
import { captureRecords, recordMove } from './route53/change.js';
import { lockName } from './route53/lock.js';
import { describeRecords } from './route53/records.js';

type Step = TrafficPart['steps'][number];

/** What can't be captured is a finding; the plan then says that it can't be moved. */
export async function planTraffic(move: TrafficMove): Promise<TrafficPart> {
  const findings = await preflightTraffic(move);
  const image = await imageOf(
    move,
    findings.some(({ severity }) => severity === 'error'),
  );
  const { unit, route } = move.traffic;
  return {
    facts: { unit, where: whereOf(route), found: image === null ? null : describeImage(image) },
    steps: trafficSteps(move),
    findings,
  };
}

async function imageOf(move: TrafficMove, hindered: boolean): Promise<TrafficImage | null> {
  const { route } = move.traffic;
  try {
    return route.kind === 'alb'
      ? await captureAlb(albMove(move, route))
      : await captureRecords(recordMove(move, route));
  } catch (error) {
    if (hindered && error instanceof ApplicationFailure) return null;
    throw error;
  }
}

function whereOf(route: NormalTraffic['route']): string {
  if (route.kind === 'route53') return `${route.type} ${route.recordName} in the zone ${route.zone}`;
  return rulesOf(route)
    .map((rule) => placeName(route, rule))
    .join(', ');
}

function describeImage(image: TrafficImage): string {
  if (image.kind === 'route53') return describeRecords(image.records);
  return image.places.map(({ actions }) => describeActions(actions)).join('; ');
}

export function trafficSteps(move: TrafficMove): Step[] {
  const { route, steps, watch, unit } = move.traffic;
  const kind = route.kind === 'alb' ? ofAlb(move, route) : ofRecords(route);
  const holds = steps.reduce((sum, { hold }) => sum + hold, 0) / 1_000;
  return [
    { unit, stage: 'prepare', ...kind.prepare },
    ...steps.map(({ weight, hold, approvals }): Step => {
      return {
        unit,
        stage: 'switch',
        title: `Give green ${weight} % of the traffic${approvals === 0 ? '' : `, once ${approvals === 1 ? 'somebody has' : `${approvals} people have`} approved it (gate switch:${unit}:${weight})`}`,
        touches: kind.touched.map((one) => `${one}: blue ${100 - weight}, green ${weight}`),
        undo: 'all traffic back to blue, which has to be healthy',
        estimate: {
          seconds: hold / 1_000,
          basis: `its hold${steps.length > 1 ? `; all steps ${prettyMilliseconds(holds * 1_000)}` : ''}`,
        },
      };
    }),
    {
      unit,
      stage: 'watch',
      title: 'Watch, with the way back open',
      touches: [],
      undo: 'all traffic back to blue, which has to be healthy',
      estimate: { seconds: watch.for / 1_000, basis: 'watch.for' },
    },
    { unit, stage: 'finalize', ...kind.finalize },
  ];
}

interface Described {
  prepare: Omit<Step, 'unit' | 'stage'>;
  finalize: Omit<Step, 'unit' | 'stage'>;
  /** What each step writes. */
  touched: string[];
}

function ofAlb({ key }: TrafficMove, route: NormalAlb): Described {
  const places = rulesOf(route).map((rule) => placeName(route, rule));
  const { blue, green, settings } = route;
  return {
    touched: places,
    prepare: {
      title: 'Attach green without traffic, and wait until its targets are healthy',
      touches: [
        ...places.map((place) => `${place}: the tag ${LOCK_PREFIX}${key}; ${groupName(green)} with weight 0`),
        ...(settings === 'apply'
          ? [`${groupName(green)}: health check and attributes as ${groupName(blue)} has them`]
          : []),
      ],
      undo: 'the action lists written back as they were found, the tag removed, settings of green put back',
      estimate: { seconds: null, basis: 'it depends on the health checks of green' },
    },
    finalize: {
      title: 'Detach blue, once no client sticks to it any more',
      touches: places.map(
        (place) => `${place}: ${groupName(green)} in the place of ${groupName(blue)}; the tag removed`,
      ),
      undo: null,
      estimate: { seconds: 5, basis: 'the duration of stickiness comes before it' },
    },
  };
}

function ofRecords(route: NormalRoute53): Described {
  const where = whereOf(route);
  return {
    touched: [where],
    prepare: {
      title: `Make the record weighted, green without traffic, with a TTL of ${route.ttl / 1_000} s`,
      touches: [`TXT ${lockName(route)}, the lock`, `${where}: members blue and green, in one batch`],
      undo: 'the records written back as they were found, in one batch; the TXT record removed',
      estimate: { seconds: null, basis: 'the TTL that it has now is waited out' },
    },
    finalize: {
      title: 'Remove blue, and restore the TTL',
      touches: [`${where}: green in the place of blue, with its TTL`, `TXT ${lockName(route)} removed`],
      undo: null,
      estimate: { seconds: 90, basis: 'until Route 53 says INSYNC' },
    },
  };
}
