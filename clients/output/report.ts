/** `godwit report`: the evidence of one migration, for whoever asks for it later. */
import type { ServerCertificate, SwitchFigures, UnitStatus } from '../../spec/status.js';
import type { UndoRecord } from '../../spec/undo.js';
import type { MigrationView } from '../view.js';
import { bytes, count, duration, fine, plural } from './figures.js';
import { heldText, rulesThatDidNot } from './rules.js';

/** Stable keys: scripts read it. */
export interface Report {
  version: 1;
  migration: string;
  name: string;
  state: string;
  stage: string;
  /** Temporal's own word for its workflow: `RUNNING`, `COMPLETED`, `TERMINATED`, … */
  execution: string;
  reason: string | null;
  startedAt: string;
  endedAt: string | null;
  planDigest: string | null;
  historyEvents: number;
  units: (Pick<
    UnitStatus,
    'unit' | 'state' | 'primary' | 'sync' | 'certificate' | 'switches' | 'rehearsal' | 'verdicts' | 'problem'
  > & { serverCertificate?: ServerCertificate })[];
  gates: MigrationView['status']['gates'];
  findings: MigrationView['status']['findings'];
  undoLog: UndoRecord[];
  messages: MigrationView['status']['messages'];
}

export function reportOf({ status, execution }: MigrationView): Report {
  return {
    version: 1,
    migration: status.migration,
    name: status.name,
    state: status.state,
    stage: status.stage,
    execution: execution.status,
    reason: status.reason,
    startedAt: status.startedAt,
    endedAt: execution.closedAt,
    planDigest: status.planDigest,
    historyEvents: execution.historyEvents,
    units: status.units.map(
      ({ unit, state, primary, sync, certificate, switches, rehearsal, verdicts, problem, traffic }) => ({
        ...{ unit, state, primary, sync, certificate, switches, rehearsal, problem },
        ...(verdicts === undefined ? {} : { verdicts }),
        ...(traffic?.certificate === undefined ? {} : { serverCertificate: traffic.certificate }),
      }),
    ),
    gates: status.gates,
    findings: status.findings,
    undoLog: status.undoLog,
    messages: status.messages,
  };
}

export function reportMarkdown(report: Report): string {
  return [
    `# Migration ${report.migration}`,
    summary(report),
    ...report.units.map(unitSection),
    approvals(report),
    findings(report),
    undoLog(report),
    messages(report),
  ]
    .filter((section) => section !== '')
    .join('\n\n');
}

function summary(report: Report): string {
  const took =
    report.endedAt === null
      ? 'not ended'
      : `${report.endedAt} (${duration(new Date(report.endedAt).getTime() - new Date(report.startedAt).getTime())})`;
  return [
    ...(report.reason === null ? [] : [report.reason, '']),
    ...grid(
      ['', ''],
      [
        ['State', `${report.state}, stage ${report.stage} (workflow ${report.execution.toLowerCase()})`],
        ['Started', report.startedAt],
        ['Ended', took],
        ['Plan', report.planDigest ?? 'started without a plan'],
        ['History', plural(report.historyEvents, 'event')],
      ],
    ),
  ].join('\n');
}

function unitSection(unit: Report['units'][number]): string {
  return [
    `## ${unit.unit}`,
    '',
    `Writes go to the **${unit.primary}**; ${unit.state}.`,
    ...(unit.problem === null
      ? []
      : ['', `**Problem** (${unit.problem.type}, ${unit.problem.at}): ${unit.problem.message}`]),
    ...copySection(unit),
    ...certificateSection(unit),
    ...rulesSection(unit),
    ...switchSections(unit),
    ...verdictSection(unit),
    ...serverCertificateSection(unit),
  ].join('\n');
}

/** Of the last look at metrics. */
function verdictSection({ verdicts = [] }: Pick<UnitStatus, 'verdicts'>): string[] {
  if (verdicts.length === 0) return [];
  const rows = verdicts.map(({ gate, verdict, decision, explanation }) => [gate, verdict, decision, explanation]);
  return ['', '### The judge', '', ...grid(['Gate', 'Look', 'Decision', 'Why'], rows)];
}

/** For TLS. */
function serverCertificateSection({ serverCertificate }: Report['units'][number]): string[] {
  if (serverCertificate === undefined) return [];
  const { names, arn, state, notAfter } = serverCertificate;
  const row = [names.join(', '), state, notAfter ?? 'not issued', arn ?? 'not requested'];
  return ['', '### Certificate of the listener', '', ...grid(['Names', 'State', 'Ends', 'ARN'], [row])];
}

function copySection({ sync }: Pick<UnitStatus, 'sync'>): string[] {
  if (sync === null) return [];
  return [
    '',
    '### Copy',
    '',
    ...grid(
      ['Tables', 'Rows', 'Bytes', 'Rows copied in', 'Keys and indexes in', 'Ranges kept'],
      [
        [
          count(sync.tables),
          count(sync.rows),
          bytes(sync.bytes),
          duration(sync.copyMs),
          duration(sync.indexMs),
          count(sync.rangesKept),
        ],
      ],
    ),
  ];
}

function certificateSection({ certificate }: Pick<UnitStatus, 'certificate'>): string[] {
  if (certificate === null) return [];
  return [
    '',
    '### Validation certificate',
    '',
    ...grid(
      ['Certificate', 'Verdict', 'Tables', 'Rows', 'Differences', 'LSN', 'At', 'Took'],
      [
        [
          `\`${certificate.id}\``,
          `**${certificate.verdict}**`,
          count(certificate.tables),
          count(certificate.rows),
          count(certificate.differences),
          `\`${certificate.lsn}\``,
          certificate.at,
          duration(certificate.tookMs),
        ],
      ],
    ),
  ];
}

function rulesSection({ certificate }: Pick<UnitStatus, 'certificate'>): string[] {
  const rules = certificate?.rules;
  if (rules === undefined) return [];
  return [
    '',
    '### Rules of your own',
    '',
    `**${heldText(rules)}**, at \`${rules.lsn}\` of the ${rules.primary}, which took the writes; asked ${rules.at}, in ${duration(rules.tookMs)}.`,
    ...rulesThatDidNot(rules).map((line, index) => `${index === 0 ? '\n' : ''}- ${line}`),
  ];
}

function switchSections({ switches, rehearsal }: Pick<UnitStatus, 'switches' | 'rehearsal'>): string[] {
  const all = [
    ...(rehearsal === null ? [] : [{ what: 'rehearsal', figures: rehearsal }]),
    ...switches.map((figures) => ({ what: to(figures), figures })),
  ];
  if (all.length === 0) return [];
  return [
    '',
    '### Switches',
    '',
    ...grid(
      ['Switch', 'At', 'Attempt', 'Writes paused', 'Fenced'],
      all.map(({ what, figures }) => [
        what,
        figures.at,
        String(figures.attempt),
        fine(figures.pauseMs),
        fine(figures.fencedMs),
      ]),
    ),
    ...all.flatMap(({ what, figures }) => [
      '',
      `Steps of the ${what === 'rehearsal' ? what : `switch ${what}`} at ${figures.at}:`,
      '',
      ...grid(
        ['Step', 'Took'],
        figures.steps.map(({ name, ms }) => [name, fine(ms)]),
      ),
    ]),
  ];
}

function to({ direction }: SwitchFigures): string {
  return direction === 'forward' ? 'to the target' : 'back to the source';
}

function approvals({ gates }: Report): string {
  const given = gates.flatMap((gate) => gate.approvals.map(({ by, at }) => [gate.id, by, at]));
  return given.length === 0 ? '' : ['## Approvals', '', ...grid(['Gate', 'By', 'At'], given)].join('\n');
}

function findings(report: Report): string {
  const rows = report.findings.map(({ severity, unit, side, title, evidence }) => [
    severity,
    unit,
    side,
    title,
    evidence,
  ]);
  return rows.length === 0
    ? ''
    : ['## Preflight', '', ...grid(['Severity', 'Unit', 'Side', 'Finding', 'Evidence'], rows)].join('\n');
}

function undoLog(report: Report): string {
  const rows = report.undoLog.map((entry) => [String(entry.seq), entry.unit, entry.title, undoOutcome(entry)]);
  return rows.length === 0 ? '' : ['## Undo log', '', ...grid(['', 'Unit', 'What', 'State'], rows)].join('\n');
}

function undoOutcome(entry: UndoRecord): string {
  switch (entry.state) {
    case 'pending':
      return 'ready, not run';
    case 'done':
      return [
        `done in ${duration(entry.tookMs)}${entry.overBudget ? ', over its budget' : ''}`,
        ...(entry.different === undefined ? [] : [entry.different]),
      ].join('; ');
    case 'failed':
      return `failed: ${entry.error}. By hand: ${entry.byHand}`;
  }
}

function messages(report: Report): string {
  const rows = report.messages.map(({ at, name, unit, by, outcome, reason }) => [
    at,
    unit === null ? name : `${name} ${unit}`,
    by ?? '',
    outcome,
    reason ?? '',
  ]);
  return rows.length === 0
    ? ''
    : ['## Messages', '', ...grid(['At', 'Message', 'By', 'Outcome', 'Reason'], rows)].join('\n');
}

function grid(head: string[], rows: string[][]): string[] {
  const line = (cells: string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}
