/** `godwit status`: everything about one migration on one page, what matters most first. */
import type { Progress, Problem, State, StatusDocument, SwitchFigures, UnitStatus } from '../../spec/status.js';
import type { UndoRecord } from '../../spec/undo.js';
import type { Colours } from '../terminal.js';
import type { MigrationView } from '../view.js';
import { ago, bytes, clock, count, duration, fine, plural, shortDigest } from './figures.js';
import { nextSteps, stageText } from './next.js';
import { bar, progressText } from './progress.js';
import { reasonLines } from './reason.js';
import { heldText, rulesThatDidNot } from './rules.js';
import { runText } from './run.js';
import { sparkline } from './sparkline.js';
import { paintState } from './states.js';
import { indented, table } from './table.js';
import { trafficLines } from './traffic.js';
import { verdictLines } from './verdicts.js';

export interface StatusLook {
  colours: Colours;
  now: Date;
  /** All messages and steps instead of the newest. */
  wide: boolean;
}

const NEWEST_MESSAGES = 5;
const BAR_WIDTH = 24;

export function statusText(view: MigrationView, look: StatusLook): string {
  const { status } = view;
  const sections = [
    heading(view, look),
    ...status.units.map((unit) => unitText(unit, view, look)),
    ...reconciliationText(view, look),
    troubles(view, look),
    findings(status, look),
    gates(status, look),
    undoLog(status.undoLog, look),
    messages(status, look),
    next(status, look),
  ];
  return sections.filter((section) => section !== '').join('\n\n');
}

const ENDS: State[] = ['migrated', 'undone', 'failed', 'done', 'aborted'];

export function heading({ status, execution }: MigrationView, { colours, now }: StatusLook): string {
  const facts = [
    stageText(status),
    `started ${ago(status.startedAt, now)}`,
    status.planDigest === null ? null : `plan ${shortDigest(status.planDigest)}`,
    plural(execution.historyEvents, 'event'),
  ];
  const title = `${colours.bold(status.migration)}  ${paintState(status.state, colours)}  ${colours.dim(facts.filter((fact) => fact !== null).join(' · '))}`;
  const stopped =
    execution.closedAt !== null && !ENDS.includes(status.state)
      ? colours.red(
          `Its workflow was ${execution.status.toLowerCase()} ${ago(execution.closedAt, now)}; this is what it knew last.`,
        )
      : null;
  return [title, stopped, ...reasonLines(status)].filter((line) => line !== null).join('\n');
}

/** A reconciliation has no units: how far it is, or what it found. */
function reconciliationText({ status, pending }: MigrationView, look: StatusLook): string[] {
  if (status.reconciliation === undefined) return [];
  const running = pending.map(({ progress }) => progress).filter((progress) => progress !== null);
  const { summary } = status.reconciliation;
  return [
    running.map((progress) => progressLine(progress, look)).join('\n'),
    summary === null ? '' : runText(summary, look.colours, null),
  ];
}

export function place({ traffic, primary }: UnitStatus): string {
  if (traffic === undefined) return `writes go to the ${primary}`;
  const { weight } = traffic;
  if (weight !== null && weight > 0 && weight < 100) return 'traffic goes to both';
  return `traffic goes to ${primary === 'target' ? 'green' : 'blue'}`;
}

function unitText(unit: UnitStatus, { status, pending }: MigrationView, look: StatusLook): string {
  const { colours } = look;
  const head = `${colours.bold(unit.unit)}  ${unit.stage} / ${unit.phase}  ${paintState(unit.state, colours)}  ${place(unit)}${lagText(unit, colours)}${leftText(unit)}`;
  const running = pending.map(({ progress }) => progress).filter((progress) => progress?.unit === unit.unit);
  const lines = [
    ...running.filter((progress) => progress !== null).map((progress) => progressLine(progress, look)),
    ...trafficLines(unit, status, look.colours, look.now),
    ...syncLine(unit),
    ...certificateLine(unit, look),
    ...rulesLines(unit, look),
    ...switchLines(unit, look),
    ...verdictLines(unit.verdicts ?? [], colours, unit.recent),
    ...(unit.problem === null ? [] : problemLines(unit.problem, look)),
  ];
  return [head, ...lines.map((line) => indented(line))].join('\n');
}

/** With its way over the newest looks. */
export function lagText({ lagMs, recent = [] }: UnitStatus, colours: Colours): string {
  if (lagMs === null) return '';
  const values = recent.find(({ name }) => name === 'lag')?.values ?? [];
  return `  lag ${values.length < 2 ? '' : `${colours.cyan(sparkline(values))} `}${fine(lagMs)}`;
}

/** Of a trial or a watch. */
export function leftText({ well, phase }: UnitStatus): string {
  if (well === undefined) return '';
  return `  ${duration(Math.max(0, well.of - well.for))} left ${phase === 'probation' ? 'on trial' : 'to watch'}`;
}

function progressLine(progress: Progress, { colours }: StatusLook): string {
  const detail = progress.detail === '' ? '' : `  ${colours.dim(progress.detail)}`;
  return `${progress.phase}  ${colours.cyan(bar(progress, BAR_WIDTH))}  ${progressText(progress)}${detail}`;
}

function syncLine({ sync }: UnitStatus): string[] {
  if (sync === null) return [];
  const seconds = sync.copyMs / 1000;
  const speed = seconds > 0 ? ` (${bytes(sync.bytes / seconds)}/s)` : '';
  const kept = sync.rangesKept > 0 ? `; ${plural(sync.rangesKept, 'range')} kept from an interrupted copy` : '';
  return [
    `copied ${plural(sync.tables, 'table')}, ${plural(sync.rows, 'row')}, ${bytes(sync.bytes)} in ${duration(sync.copyMs)}${speed}, keys and indexes in ${duration(sync.indexMs)}${kept}`,
  ];
}

function certificateLine({ certificate }: UnitStatus, { colours, now }: StatusLook): string[] {
  if (certificate === null) return [];
  const scope = `${plural(certificate.tables, 'table')}, ${plural(certificate.rows, 'row')} at ${certificate.lsn}, ${ago(certificate.at, now)}`;
  switch (certificate.verdict) {
    case 'equal':
      return [`${colours.green('both sides equal')}: ${scope} (certificate ${certificate.id})`];
    case 'different':
      return [`${colours.red(`${plural(certificate.differences, 'difference')} found`)}: ${scope}`];
    case 'incomplete':
      return [`${colours.yellow('comparison incomplete')}: ${scope}`];
  }
}

function rulesLines({ certificate }: UnitStatus, { colours, now }: StatusLook): string[] {
  const rules = certificate?.rules;
  if (rules === undefined) return [];
  const colour = rules.held === rules.asked ? colours.green : rules.broken.length > 0 ? colours.red : colours.yellow;
  const head = `${colour(heldText(rules))}: on the ${rules.primary} at ${rules.lsn}, ${ago(rules.at, now)}`;
  return [head, ...rulesThatDidNot(rules).map((line) => indented(line))];
}

function switchLines(unit: UnitStatus, look: StatusLook): string[] {
  const done = unit.switches.map(
    (figures) => `${switched(figures)} ${ago(figures.at, look.now)}: ${pause(figures, look)}`,
  );
  const rehearsed =
    unit.rehearsal === null ? [] : [`rehearsed ${ago(unit.rehearsal.at, look.now)}: ${pause(unit.rehearsal, look)}`];
  return [...done, ...rehearsed];
}

function switched({ direction }: SwitchFigures): string {
  return direction === 'forward' ? 'switched to the target' : 'moved back to the source';
}

function pause(figures: SwitchFigures, { wide }: StatusLook): string {
  const attempt = figures.attempt > 1 ? `, attempt ${figures.attempt}` : '';
  const steps = wide ? ` [${figures.steps.map(({ name, ms }) => `${name} ${fine(ms)}`).join(', ')}]` : '';
  return `writes paused for ${fine(figures.pauseMs)}${attempt}${steps}`;
}

export function problemLines(problem: Problem, { colours }: StatusLook): string[] {
  return [
    `${colours.red('✗')} ${problem.message} ${colours.dim(`(${problem.type})`)}`,
    `  ${colours.dim('→')} ${problem.next}`,
  ];
}

/** Steps that fail and are tried again: they aren't the migration's problem yet, but someone may want to know. */
export function troubles({ pending }: MigrationView, { colours, now }: StatusLook): string {
  return pending
    .filter(({ lastFailure }) => lastFailure !== null)
    .map(({ activity, attempt, lastFailure, nextAttemptAt }) => {
      const again = nextAttemptAt === null ? 'trying again now' : `next try ${clock(nextAttemptAt, now)}`;
      return `${colours.yellow('!')} ${activity}, attempt ${attempt}, ${again}: ${lastFailure ?? ''}`;
    })
    .join('\n');
}

function findings(status: StatusDocument, { colours }: StatusLook): string {
  const errors = status.findings.filter(({ severity }) => severity === 'error').length;
  const warnings = status.findings.filter(({ severity }) => severity === 'warning').length;
  if (errors + warnings === 0) return '';
  const text = `preflight: ${plural(errors, 'error')}, ${plural(warnings, 'warning')}`;
  const list = status.findings
    .filter(({ severity }) => severity !== 'info')
    .map((finding) => `${finding.severity}: ${finding.unit} ${finding.title} (${finding.evidence})`);
  return [errors > 0 ? colours.red(text) : text, ...list.map((line) => indented(line))].join('\n');
}

function gates(status: StatusDocument, { colours, wide }: StatusLook): string {
  const shown = status.gates.filter((gate) => wide || gate.state !== 'off');
  const rows = shown.map((gate) => [
    gate.id,
    gate.state === 'open' ? colours.yellow('open') : gate.state.replace('-', ' '),
    gate.state === 'off' ? '' : `${count(gate.approvals.length)} of ${plural(gate.needed, 'approval')}`,
    gate.approvals.map(({ by }) => by).join(', '),
  ]);
  return rows.length === 0 ? '' : table(['GATE', 'STATE', 'APPROVALS', 'BY'], rows, colours);
}

/** Newest first, the order in which an undo would run. */
function undoLog(log: UndoRecord[], { colours, wide }: StatusLook): string {
  if (log.length === 0) return '';
  const rows = [...log]
    .reverse()
    .map((entry) => [
      String(entry.seq),
      undoState(entry, colours),
      entry.unit,
      entry.title,
      ...(wide ? [entry.activity, duration(entry.budget)] : []),
    ]);
  const failed = log.filter((entry) => entry.state === 'failed');
  return [
    table(['UNDO', 'STATE', 'UNIT', 'WHAT', ...(wide ? ['ACTIVITY', 'BUDGET'] : [])], rows, colours),
    ...failed.map(
      (entry) => `${colours.red('✗')} ${entry.title}: ${entry.error}\n  ${colours.dim('by hand →')} ${entry.byHand}`,
    ),
  ].join('\n');
}

function undoState(entry: UndoRecord, colours: Colours): string {
  switch (entry.state) {
    case 'pending':
      return 'ready';
    case 'done':
      return entry.overBudget ? colours.yellow(`done, late (${duration(entry.tookMs)})`) : colours.green('done');
    case 'failed':
      return colours.red('failed');
  }
}

function messages(status: StatusDocument, { colours, now, wide }: StatusLook): string {
  const shown = wide ? status.messages : status.messages.slice(-NEWEST_MESSAGES);
  if (shown.length === 0) return '';
  const rows = shown.map((message) => [
    clock(message.at, now),
    message.unit === null ? message.name : `${message.name} ${message.unit}`,
    message.by ?? '',
    message.outcome,
    message.reason ?? '',
  ]);
  return table(['AT (UTC)', 'MESSAGE', 'BY', 'OUTCOME', 'REASON'], rows, colours);
}

export function next(status: StatusDocument, { colours }: StatusLook): string {
  return nextSteps(status)
    .map((command) => `${colours.dim('→')} ${command}`)
    .join('\n');
}
