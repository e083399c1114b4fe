/** A unit of traffic as `godwit status` shows it: the weight, the steps, what the last look came to. */
import type { ServerCertificate, StatusDocument, TrafficStatus, UnitStatus } from '../../spec/status.js';
import type { Colours } from '../terminal.js';
import { clock, duration, plural } from './figures.js';
import { verdictLine } from './verdicts.js';

const BAR_WIDTH = 24;
/** Weights that are told. */
const NEWEST = 3;

type Spec = Pick<StatusDocument, 'spec'>;

/** Empty for other units. */
export function trafficLines(unit: UnitStatus, status: Spec, colours: Colours, now = new Date()): string[] {
  const { traffic, state } = unit;
  const steps = stepsOf(unit, status);
  if (traffic === undefined || steps === undefined) return [];
  const { certificate, weight } = traffic;
  const tls = certificate === undefined || state === 'undone' ? [] : [certificateText(certificate, now)];
  if (weight === null) return [...tls, attachText(traffic)];
  const path = steps.map(({ weight }, index) =>
    index === traffic.step ? colours.bold(String(weight)) : String(weight),
  );
  return [
    ...tls,
    `${meter(traffic, colours, BAR_WIDTH)}  ${colours.dim(`steps ${path.join(' ')}`)}  ${waitText(unit, status)}`,
    ...trafficVerdicts(traffic, colours),
    ...traffic.log.slice(-NEWEST).map((one) => {
      const who = one.by === null ? '' : ` by ${one.by}`;
      return colours.dim(`${clock(one.at, now)}  ${one.weight} %  ${one.why}${who}`);
    }),
  ];
}

/** What the last look came to: of gates with their figures over the newest looks. */
export function trafficVerdicts({ verdicts, recent = [] }: TrafficStatus, colours: Colours): string[] {
  return verdicts.map((text) => {
    const series = recent.find(({ name }) => text.startsWith(`${name}: `));
    if (series === undefined) return `  ${colours.dim(text)}`;
    const { name, decision } = series;
    return verdictLine(
      { gate: name, decision: decision ?? 'hold', explanation: text.slice(name.length + 2) },
      series,
      colours,
    );
  });
}

/** Blue's share and green's, and the weight: `██████████████████ green 25 % → 50 %`. */
export function meter({ weight, wanted }: TrafficStatus, colours: Colours, width: number): string {
  const green = weight ?? 0;
  const filled = Math.round((green / 100) * width);
  const bar = `${colours.blue('█'.repeat(width - filled))}${colours.green('█'.repeat(filled))}`;
  const moving = wanted === null || wanted === weight ? '' : ` ${colours.dim(`→ ${wanted} %`)}`;
  return `${bar}  green ${green} %${moving}`;
}

export function attachText({ wanted }: TrafficStatus): string {
  return wanted === null ? 'green is not attached yet' : 'green is being attached';
}

/** What it waits for, or how long it holds on. */
export function waitText(unit: UnitStatus, status: Spec): string {
  const { traffic, primary } = unit;
  const step = traffic === undefined ? undefined : stepsOf(unit, status)?.[traffic.step];
  if (traffic === undefined || step === undefined || primary === 'target') return 'all steps done';
  if (traffic.byHand) return 'set by hand, stays until promote';
  if (traffic.waitsFor !== null) return `waits for the gate ${traffic.waitsFor}`;
  return `${duration(Math.max(0, step.hold - traffic.held))} left at this step`;
}

export function stepsOf({ unit }: UnitStatus, { spec }: Spec): { weight: number; hold: number }[] | undefined {
  return spec?.traffic?.find((one) => one.unit === unit)?.steps;
}

const PLACES: Record<ServerCertificate['state'], string> = {
  requested: 'is being requested',
  pending: 'is not issued yet',
  issued: 'is issued, and not yet at the listener',
  served: 'is at the listener',
};

const DAY_MS = 86_400_000;

/** `certificate for shop.example.org is at the listener, ends 2027-12-22, in 394 days`. */
export function certificateText({ names, state, notAfter }: ServerCertificate, now = new Date()): string {
  const days = notAfter === null ? 0 : Math.floor((Date.parse(notAfter) - now.getTime()) / DAY_MS);
  const end = notAfter === null ? '' : `, ends ${notAfter.slice(0, 10)}, in ${plural(days, 'day')}`;
  return `certificate for ${names.join(', ')} ${PLACES[state]}${end}`;
}
