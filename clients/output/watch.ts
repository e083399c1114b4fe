/**
 * `godwit status --watch`: a screen that stays. What matters most comes first: a line for each unit, what the last looks
 * came to, what went wrong and what to do. It never is wider or higher than the terminal, since a line that wraps or scrolls
 * away makes the whole screen jump.
 */
import sliceAnsi from 'slice-ansi';
import type { Series } from '../../spec/recent.js';
import type { UnitStatus } from '../../spec/status.js';
import type { Colours } from '../terminal.js';
import type { MigrationView } from '../view.js';
import { clock } from './figures.js';
import { bar, progressText } from './progress.js';
import { paintState } from './states.js';
import { heading, lagText, leftText, next, place, problemLines, troubles, type StatusLook } from './status.js';
import { indented } from './table.js';
import { attachText, meter, stepsOf, trafficVerdicts, waitText } from './traffic.js';
import { verdictLines } from './verdicts.js';

export interface Screen {
  columns: number;
  rows: number;
}

const BAR_WIDTH = 16;
/** Below this many columns words matter more than bars. */
const NARROW = 60;
const NARROW_BAR_WIDTH = 6;
/** Of a line, for the figures of the newest looks. */
const SPARKLINE_SHARE = 1 / 5;
const NEWEST_MESSAGES = 3;

/** @param hint stays at the end, however little room there is */
export function watchText(view: MigrationView, look: StatusLook, screen: Screen, hint: string): string {
  const { columns } = screen;
  const status = {
    ...view.status,
    units: view.status.units.map((unit) => newest(unit, Math.max(1, columns * SPARKLINE_SHARE))),
  };
  const width = Math.max(0, ...status.units.map(({ unit }) => unit.length));
  const sections = [
    heading(view, look),
    ...status.units.map((unit) => [unitLine(unit, view, look, { width, columns }), ...below(unit, look)].join('\n')),
    troubles(view, look),
    next(status, look),
    messages(view, look),
  ];
  const text = sections.filter((section) => section !== '').join('\n\n');
  return fitted(text, hint, screen, look.colours);
}

/** Only so many looks of its series. */
function newest(unit: UnitStatus, looks: number): UnitStatus {
  const kept = (recent: Series[] | undefined) =>
    recent === undefined ? {} : { recent: recent.map((one) => ({ ...one, values: one.values.slice(-looks) })) };
  const { traffic, recent } = unit;
  return {
    ...unit,
    ...kept(recent),
    ...(traffic === undefined ? {} : { traffic: { ...traffic, ...kept(traffic.recent) } }),
  };
}

function unitLine(
  unit: UnitStatus,
  view: MigrationView,
  look: StatusLook,
  { width, columns }: { width: number; columns: number },
): string {
  const { colours } = look;
  const bars = columns < NARROW ? NARROW_BAR_WIDTH : BAR_WIDTH;
  const doing = goingOn(unit, view, look, bars);
  const parts = [colours.bold(unit.unit.padEnd(width)), paintState(unit.state, colours), ...doing];
  return `${parts.join('  ')}${leftText(unit)}`;
}

function goingOn(
  unit: UnitStatus,
  { status, pending }: MigrationView,
  { colours }: StatusLook,
  bars: number,
): string[] {
  const { traffic, stage, phase } = unit;
  const running = pending.find(({ progress }) => progress?.unit === unit.unit)?.progress ?? null;
  if (running !== null) return [running.phase, colours.cyan(bar(running, bars)), progressText(running)];
  if (traffic !== undefined && traffic.weight !== null) {
    const steps = stepsOf(unit, status)?.length ?? 0;
    const at = unit.stage === 'switch' && steps > 0 ? [`step ${Math.min(steps, traffic.step + 1)} of ${steps}`] : [];
    const waits = unit.stage === 'switch' ? [waitText(unit, status)] : [`${stage} / ${phase}`];
    return [meter(traffic, colours, bars), ...at, ...waits];
  }
  if (traffic !== undefined) return [`${stage} / ${phase}`, attachText(traffic)];
  return [`${stage} / ${phase}`, `${place(unit)}${lagText(unit, colours)}`];
}

function below(unit: UnitStatus, look: StatusLook): string[] {
  const { traffic, verdicts = [], recent = [], problem } = unit;
  const lines = [
    ...(traffic === undefined ? [] : trafficVerdicts(traffic, look.colours)),
    ...verdictLines(verdicts, look.colours, recent),
    ...(problem === null ? [] : problemLines(problem, look)),
  ];
  return lines.map((line) => indented(line));
}

function messages({ status }: MigrationView, { colours, now }: StatusLook): string {
  return status.messages
    .slice(-NEWEST_MESSAGES)
    .map(({ at, name, unit, by, reason, outcome }) => {
      const what = [unit === null ? name : `${name} ${unit}`, by === null ? null : `by ${by}`, outcome, reason];
      return colours.dim(`${clock(at, now)}  ${what.filter((part) => part !== null).join(', ')}`);
    })
    .join('\n');
}

/** Cut to the terminal; its last line is left to the cursor. */
function fitted(text: string, hint: string, { columns, rows }: Screen, colours: Colours): string {
  const lines = text.split('\n');
  const room = Math.max(1, rows - 1 - 2);
  const shown = lines.length <= room ? lines : lines.slice(0, room - 1);
  const left = lines.length - shown.length;
  const more = left === 0 ? [] : [colours.dim(`… ${left} more lines; a higher terminal shows them`)];
  return [...shown, ...more, '', hint].map((line) => cut(line, columns)).join('\n');
}

function cut(line: string, columns: number): string {
  const whole = sliceAnsi(line, 0, columns);
  return whole === line || sliceAnsi(line, 0, columns + 1) === whole ? whole : `${sliceAnsi(line, 0, columns - 1)}…`;
}
