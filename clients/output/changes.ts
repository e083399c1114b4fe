/** What changed between two looks at a migration, one plain line each: for logs, pipes and `--wait`. */
import type { StatusDocument, TrafficStatus, UnitStatus } from '../../spec/status.js';
import type { MigrationView } from '../view.js';
import { bytes, clock, duration, fine, plural } from './figures.js';
import { approveCommand, stageText } from './next.js';
import { fraction, progressText } from './progress.js';
import { reasonLines } from './reason.js';
import { heldText } from './rules.js';

/** A log wants a line for each tenth of a long copy, not for each second. */
const TENTHS = 10;

export function changes(before: MigrationView | null, after: MigrationView, now: Date): string[] {
  const old = before?.status ?? null;
  const lines = [
    ...stateLines(old, after.status),
    ...after.status.units.flatMap((unit) => unitLines(old?.units.find((was) => was.unit === unit.unit) ?? null, unit)),
    ...progressLines(before, after),
    ...findingLines(old, after.status),
    ...troubleLines(before, after),
    ...gateLines(old, after.status),
    ...undoLines(old, after.status),
    ...messageLines(old, after.status),
  ];
  return lines.map((line) => `${clock(now.toISOString(), now)}  ${line}`);
}

function stateLines(old: StatusDocument | null, status: StatusDocument): string[] {
  const same = old?.state === status.state && old.reason === status.reason && stageText(old) === stageText(status);
  if (same) return [];
  const reason = reasonLines(status).join('; ');
  return [`${status.migration}: ${status.state}, ${stageText(status)}${reason === '' ? '' : ` (${reason})`}`];
}

function unitLines(old: UnitStatus | null, unit: UnitStatus): string[] {
  const lines: string[] = [];
  if (old?.phase !== unit.phase || old.stage !== unit.stage || old.state !== unit.state) {
    lines.push(`${unit.stage} / ${unit.phase} ${unit.state}`);
  }
  if (unit.sync !== null && old?.sync === null) {
    lines.push(`copied ${plural(unit.sync.rows, 'row')}, ${bytes(unit.sync.bytes)} in ${duration(unit.sync.copyMs)}`);
  }
  if (unit.certificate !== null && old?.certificate?.id !== unit.certificate.id) {
    const { verdict, tables, rows, differences, rules } = unit.certificate;
    const found = verdict === 'different' ? `, ${plural(differences, 'difference')}` : '';
    const held = rules === undefined ? '' : `, ${heldText(rules)}`;
    lines.push(`validation: ${verdict}${found} (${plural(tables, 'table')}, ${plural(rows, 'row')})${held}`);
  }
  for (const figures of unit.switches.slice(old?.switches.length ?? 0)) {
    const to = figures.direction === 'forward' ? 'target' : 'source';
    lines.push(`writes go to the ${to} now; they paused for ${fine(figures.pauseMs)}`);
  }
  for (const { weight, why, by } of newWeights(old, unit)) {
    lines.push(`green gets ${weight} % (${why}${by === null ? '' : `, by ${by}`})`);
  }
  if (unit.rehearsal !== null && old?.rehearsal?.at !== unit.rehearsal.at) {
    lines.push(`rehearsed: writes paused for ${fine(unit.rehearsal.pauseMs)}`);
  }
  if (unit.problem !== null && old?.problem?.at !== unit.problem.at) {
    lines.push(`problem: ${unit.problem.message}`, `next: ${unit.problem.next}`);
  }
  return lines.map((line) => `${unit.unit}: ${line}`);
}

/** The log keeps the newest weights only. Who looks for the first time wants to know where it is, not how it came there. */
function newWeights(old: UnitStatus | null, { traffic }: UnitStatus): TrafficStatus['log'] {
  if (traffic === undefined) return [];
  if (old?.traffic === undefined) return traffic.log.slice(-1);
  const known = new Set(old.traffic.log.map(({ at }) => at));
  return traffic.log.filter(({ at }) => !known.has(at));
}

/** Only what stops it: the rest is in `godwit status`. */
function findingLines(old: StatusDocument | null, status: StatusDocument): string[] {
  const known = new Set(old?.findings.map(({ id, unit, evidence }) => `${id} ${unit} ${evidence}`));
  return status.findings
    .filter(({ severity, id, unit, evidence }) => severity === 'error' && !known.has(`${id} ${unit} ${evidence}`))
    .flatMap(({ unit, title, evidence, repair }) => [
      `${unit}: ${title}: ${evidence}`,
      ...repair.map((step) => `${unit}: to mend it: ${step}`),
    ]);
}

function progressLines(before: MigrationView | null, after: MigrationView): string[] {
  return after.pending.flatMap(({ workflowId, activity, progress }) => {
    if (progress === null) return [];
    const was = before?.pending.find((work) => work.workflowId === workflowId && work.activity === activity)?.progress;
    const same = was && was.phase === progress.phase && was.what === progress.what;
    if (same && Math.floor(fraction(was) * TENTHS) === Math.floor(fraction(progress) * TENTHS)) return [];
    return [`${progress.unit}: ${progress.phase} ${progressText(progress)}`];
  });
}

function troubleLines(before: MigrationView | null, after: MigrationView): string[] {
  return after.pending.flatMap(({ workflowId, activity, attempt, lastFailure }) => {
    if (lastFailure === null) return [];
    const was = before?.pending.find((work) => work.workflowId === workflowId && work.activity === activity);
    return was?.lastFailure === lastFailure ? [] : [`${activity}, attempt ${attempt}: ${lastFailure}`];
  });
}

function gateLines(old: StatusDocument | null, status: StatusDocument): string[] {
  return status.gates.flatMap((gate) => {
    const was = old?.gates.find(({ id }) => id === gate.id);
    const lines: string[] = [];
    if (gate.state === 'open' && was?.state !== 'open') {
      lines.push(
        `gate ${gate.id} waits for ${plural(gate.needed, 'approval')}: ${approveCommand(status.migration, gate)}`,
      );
    }
    if (gate.state === 'passed' && was !== undefined && was.state !== 'passed') lines.push(`gate ${gate.id} passed`);
    return lines;
  });
}

function undoLines(old: StatusDocument | null, status: StatusDocument): string[] {
  // Newest first, the order in which they are undone.
  return status.undoLog.toReversed().flatMap((entry) => {
    const was = old?.undoLog.find(({ seq }) => seq === entry.seq);
    if (was?.state === entry.state || (was === undefined && old === null)) return [];
    switch (entry.state) {
      case 'pending':
        return [];
      case 'done':
        return [`undone: ${entry.title} (${duration(entry.tookMs)}${entry.overBudget ? ', over its budget' : ''})`];
      case 'failed':
        return [`could not be undone: ${entry.title}: ${entry.error}`, `by hand: ${entry.byHand}`];
    }
  });
}

function messageLines(old: StatusDocument | null, status: StatusDocument): string[] {
  if (old === null) return [];
  // The document keeps the newest messages only, so positions shift: the last one known marks the place.
  const last = old.messages.at(-1);
  const known = status.messages.findLastIndex(
    ({ at, name, by }) => at === last?.at && name === last.name && by === last.by,
  );
  return status.messages
    .slice(known + 1)
    .map(({ name, by, outcome }) => `${name}${by === null ? '' : ` by ${by}`}: ${outcome}`);
}
