/** A unit of traffic as `godwit status` shows it: the weight, the steps, what the last look came to. */
import type { StatusDocument, UnitStatus } from '../../spec/status.js';
import type { Colours } from '../terminal.js';
import { clock, duration } from './figures.js';

const BAR_WIDTH = 24;
/** Weights that are told. */
const NEWEST = 3;

/** Empty for other units. */
export function trafficLines(
  { unit, traffic, primary }: UnitStatus,
  { spec }: Pick<StatusDocument, 'spec'>,
  colours: Colours,
  now = new Date(),
): string[] {
  const steps = spec?.traffic?.find((one) => one.unit === unit)?.steps;
  if (traffic === undefined || steps === undefined) return [];
  const { weight, wanted, step, held, byHand, waitsFor, verdicts, log } = traffic;
  if (weight === null) return [wanted === null ? 'green is not attached yet' : 'green is being attached'];
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
    `${meter}  green ${weight} %${moving}  ${colours.dim(`steps ${path.join(' ')}`)}  ${wait}`,
    ...verdicts.map((verdict) => colours.dim(verdict)),
    ...log.slice(-NEWEST).map((one) => {
      const who = one.by === null ? '' : ` by ${one.by}`;
      return colours.dim(`${clock(one.at, now)}  ${one.weight} %  ${one.why}${who}`);
    }),
  ];
}
