/** The plan of one unit of traffic: what is found now, and every step with what it touches and its undo. */
import { createHash } from 'node:crypto';
import { stringify } from 'safe-stable-stringify';
import type { NormalTraffic } from '../../spec/normal-traffic.js';
import type { PlanStep, TrafficFacts } from '../../spec/plan.js';
import { gatesOfTraffic, TRIGGERED, WATCHED } from '../../spec/analysis.js';
import { formatDuration } from '../../spec/duration.js';
import { trafficActivities } from '../aws/traffic.js';
import type { PlanPart } from '../contract.js';
import type { TrafficMove } from '../traffic-contract.js';
import { guardText } from './guards.js';

type Described = Omit<PlanStep, 'seq' | 'gate' | 'unit' | 'stage'>;

export async function planTraffic(move: TrafficMove): Promise<PlanPart<TrafficFacts>> {
  const { traffic } = move;
  const findings = await trafficActivities.preflightTraffic(move);
  // What can't be read is among the findings; a plan of it can't be started.
  const image = await trafficActivities.captureTraffic(move).catch(() => null);
  const found = image === null ? null : createHash('sha256').update(stringify(image)).digest('hex');
  const route = ends(traffic);
  return { facts: { unit: traffic.unit, ...route, found }, steps: stepsOf(traffic, route.place), findings };
}

function ends({ route }: NormalTraffic): { place: string; blue: string; green: string } {
  if (route.kind === 'alb') {
    return { place: route.rules?.join(', ') ?? route.listener, blue: route.blue, green: route.green };
  }
  const place = `${route.recordName} ${route.type} in zone ${route.zone}`;
  const values = (member: typeof route.green | null): string =>
    member === null
      ? 'as found'
      : 'alias' in member.target
        ? member.target.alias.dnsName
        : member.target.values.join(', ');
  return { place, blue: values(route.blue), green: values(route.green) };
}

function stepsOf(traffic: NormalTraffic, place: string): PlanPart['steps'] {
  const { unit, steps, watch } = traffic;
  const hold = steps.reduce((sum, step) => sum + step.hold, 0);
  const path = steps
    .map(({ weight, approvals }) => `${weight} %${approvals === 0 ? '' : ` (gate switch:${unit}:${weight})`}`)
    .join(', ');
  const step = (stage: PlanStep['stage'], rest: Described): PlanPart['steps'][number] => ({ unit, stage, ...rest });
  const back = backText(traffic);
  return [
    ...certificateStep(traffic).map((one) => step('prepare', one)),
    step('prepare', {
      title: 'Attach green with weight 0, and wait until it is healthy',
      touches: [place, ...prepared(traffic)],
      undo: 'put the before-image back whole, in one write',
      estimate: { seconds: null, basis: 'as long as green needs to become healthy' },
    }),
    step('switch', {
      title: `Move the traffic in ${steps.length} steps: ${path}`,
      touches: [place],
      undo: back,
      guards: guardsOf(traffic, (place) => place !== WATCHED),
      estimate: { seconds: Math.round(hold / 1_000), basis: 'sum of all holds' },
    }),
    step('watch', {
      title: 'Watch green, with blue kept ready',
      touches: [],
      undo: back,
      guards: guardsOf(traffic, (place) => place === WATCHED || place === TRIGGERED),
      estimate: { seconds: Math.round(watch.for / 1_000), basis: 'watch.for' },
    }),
    step('finalize', {
      title: 'Detach blue',
      touches: [place],
      undo: null,
      estimate: { seconds: null, basis: 'stickiness and deregistration delay' },
    }),
  ];
}

function certificateStep({ route }: NormalTraffic): Described[] {
  const certificate = route.kind === 'alb' ? route.certificate : undefined;
  if (certificate === undefined) return [];
  const { names, zone, listener } = certificate;
  return [
    {
      title: `Request a certificate for ${names.join(', ')}, validate it by DNS, and give it to the listener`,
      touches: [
        'a certificate in ACM',
        `validation records (CNAME) in zone ${zone}, those alone that are not there`,
        `${listener}: certificates beside the default one`,
      ],
      undo: 'take it off the listener, delete the records that were made, and delete it',
      estimate: { seconds: null, basis: 'minutes as a rule; a person is asked after certificate.stall' },
    },
  ];
}

function prepared({ route }: NormalTraffic): string[] {
  if (route.kind === 'route53')
    return ['TTL of the records, until the end', 'a TXT record that keeps other migrations away'];
  return [
    'a tag that keeps other migrations away',
    ...(route.settings === 'apply' ? [`settings of ${route.green}`] : []),
  ];
}

function backText({ undo }: NormalTraffic): string {
  if (undo === undefined || undo.steps.length === 0) return 'give all traffic back to blue, in one write';
  const steps = undo.steps.map((weight) => `${weight} %`).join(', ');
  return `give the traffic back to blue: at a rollback that a person asks for by ${steps}, ${formatDuration(undo.hold)} each; else in one write`;
}

function guardsOf(traffic: NormalTraffic, isMeant: (place: string) => boolean): string[] {
  return gatesOfTraffic(traffic, null)
    .filter(({ place }) => isMeant(place))
    .flatMap(({ place, gates }) =>
      gates.map((gate) => `${place === WATCHED || place === TRIGGERED ? '' : `${place}: `}${guardText(gate)}`),
    );
}
