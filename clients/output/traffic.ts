/** A unit of traffic as `godwit status` shows it: the weight, the steps, what the last look came to. */
import type { ServerCertificate, StatusDocument, UnitStatus } from '../../spec/status.js';
import type { Colours } from '../terminal.js';
import { clock, duration, plural } from './figures.js';

const BAR_WIDTH = 24;
/** Weights that are told. */
const NEWEST = 3;

/** Empty for other units. */
export function trafficLines(
  { unit, traffic, primary, state }: UnitStatus,
  { spec }: Pick<StatusDocument, 'spec'>,
  colours: Colours,
  now = new Date(),
): string[] {
  const steps = spec?.traffic?.find((one) => one.unit === unit)?.steps;
  if (traffic === undefined || steps === undefined) return [];
  const { weight, wanted, step, held, byHand, waitsFor, verdicts, log, certificate } = traffic;
  const tls = certificate === undefined || state === 'undone' ? [] : [certificateText(certificate, now)];
  if (weight === null) return [...tls, wanted === null ? 'green is not attached yet' : 'green is being attached'];
  const filled = Math.round((weight / 100) * BAR_WIDTH);
  const meter = `${colours.blue('█'.repeat(BAR_WIDTH - filled))}${colours.green('█'.repeat(filled))}`;
  const moving = wanted === null || wanted === weight ? '' : ` ${colours.dim(`→ ${wanted} %`)}`;
  const path = steps.map((one, index) => (index === step ? colours.bold(String(one.weight)) : String(one.weight)));
  const current = steps[step];
  const left = current === undefined ? 0 : Math.max(0, current.hold - held);
  const wait =
    primary === 'target' || current === undefined
      ? 'all steps done'
      : byHand
        ? 'set by hand, stays until promote'
        : waitsFor !== null
          ? `waits for the gate ${waitsFor}`
          : `${duration(left)} left at this step`;
  return [
    ...tls,
    `${meter}  green ${weight} %${moving}  ${colours.dim(`steps ${path.join(' ')}`)}  ${wait}`,
    ...verdicts.map((verdict) => colours.dim(verdict)),
    ...log.slice(-NEWEST).map((one) => {
      const who = one.by === null ? '' : ` by ${one.by}`;
      return colours.dim(`${clock(one.at, now)}  ${one.weight} %  ${one.why}${who}`);
    }),
  ];
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
