/** Runs of reconciliations: one as a page, many as a list. */
import type { FindingCount, FindingSeverity, RepairSummary, RunSummary } from '../../spec/reconciliation.js';
import { isWhole, type ListedRun } from '../runs.js';
import type { Colours } from '../terminal.js';
import { ago, bytes, count, duration, plural } from './figures.js';
import { paintState } from './states.js';
import { indented, table } from './table.js';

/** @param file as the person named it, for the commands to go on with */
export function runText(summary: RunSummary, colours: Colours, file: string | null): string {
  if (summary.outcome === 'skipped') return `${colours.yellow('skipped')}  ${summary.why ?? 'another run goes on'}`;
  const sections = [
    `${verdictText(summary, colours)}  ${comparedText(summary)}`,
    ...noteLines(summary).map((line) => indented(line)),
  ].join('\n');
  return [sections, findingTable(summary.found, colours), remainsText(summary, colours, file)]
    .filter((section) => section !== '')
    .join('\n\n');
}

/** What is there after repairs, in a word. */
export function verdictText(summary: RunSummary, colours: Colours): string {
  const { verdict, remaining, accepted = 0 } = summary;
  switch (verdict) {
    case 'equal':
      return colours.green('equal');
    case 'different':
      if (remaining > 0) return colours.red('different');
      if (!isWhole(summary)) return colours.yellow('incomplete');
      return colours.green(accepted > 0 ? 'accepted' : 'repaired');
    case 'incomplete':
      return colours.yellow('incomplete');
  }
}

function comparedText({ level, incremental, rows, tables, bytes: size, tookMs, lsn, at }: RunSummary): string {
  const how = incremental ? `${level}, of what changed` : level;
  const place = `${lsn === null ? '' : `at ${lsn}, `}${at.replace(/\.\d+Z$/, 'Z')}`;
  return `${how}: ${plural(rows, 'row')} of ${plural(tables, 'table')}, ${bytes(size)}, in ${duration(tookMs)} (${place})`;
}

function noteLines(summary: RunSummary): string[] {
  const { run, late, suspects, tablesNotCompared, repaired, accepted = 0, certificate } = summary;
  return [
    `run ${run}${certificate === null ? '' : `, certificate ${certificate}`}`,
    ...(late === 0 ? [] : [`${plural(late, 'row')} differed when first read, and were equal once all had arrived`]),
    ...(suspects === 0 ? [] : [`${plural(suspects, 'row')} could be proven neither equal nor different`]),
    ...(tablesNotCompared === 0 ? [] : [`${plural(tablesNotCompared, 'table')} not compared; the report says why`]),
    ...(repaired === 0 ? [] : [`${plural(repaired, 'row')} repaired`]),
    ...(accepted === 0 ? [] : [`${plural(accepted, 'finding')} accepted in the review`]),
  ];
}

function findingTable(found: FindingCount[], colours: Colours): string {
  const rows = found
    .filter((one) => one.count > 0)
    .map(({ severity, kind, schema, table: name, count: amount }) => [
      paintSeverity(severity, colours),
      kind,
      name === '' ? '-' : `${schema}.${name}`,
      count(amount),
    ]);
  return rows.length === 0 ? '' : table(['SEVERITY', 'KIND', 'TABLE', 'FOUND'], rows, colours);
}

export function paintSeverity(severity: FindingSeverity, colours: Colours): string {
  switch (severity) {
    case 'low':
      return severity;
    case 'medium':
      return colours.yellow(severity);
    case 'high':
    case 'critical':
      return colours.red(severity);
  }
}

function remainsText({ remaining, queued, run }: RunSummary, { dim }: Colours, file: string | null): string {
  if (remaining === 0 && queued === 0) return '';
  const waits = queued === 0 ? '' : `; ${plural(queued, 'item')} in the review queue`;
  const steps =
    file === null
      ? []
      : [
          ...(queued === 0 ? [] : [`godwit review list -f ${file}`]),
          ...(remaining === 0 ? [] : [`godwit reconcile repair ${file} ${run} --all --dry-run`]),
        ];
  return [
    `${plural(remaining, 'finding')} ${remaining === 1 ? 'remains' : 'remain'}${waits}`,
    ...steps.map((step) => `  ${dim('→')} ${step}`),
  ].join('\n');
}

export function runList(runs: ListedRun[], { colours, now, wide }: { colours: Colours; now: Date; wide: boolean }) {
  const rows = runs.map((run) => [
    run.id,
    run.level ?? '-',
    outcomeText(run, colours),
    run.summary === null ? '-' : count(run.summary.remaining),
    run.summary === null ? '-' : count(run.summary.rows),
    ago(run.startedAt, now),
    run.summary === null ? '-' : duration(run.summary.tookMs),
    ...(wide ? [run.run ?? '-'] : []),
  ]);
  const head = ['ID', 'LEVEL', 'OUTCOME', 'REMAIN', 'ROWS', 'STARTED', 'TOOK', ...(wide ? ['RUN'] : [])];
  return table(head, rows, colours);
}

/** What it came to; of one that failed, why; of one that runs, its state. */
export function outcomeText({ summary, failure, state, execution }: Omit<ListedRun, 'id'>, colours: Colours): string {
  if (summary !== null)
    return summary.outcome === 'skipped' ? colours.yellow('skipped') : verdictText(summary, colours);
  if (execution === 'RUNNING') return paintState(state ?? 'running', colours);
  if (state === 'aborted') return paintState(state, colours);
  const why = failure === null ? '' : `: ${failure.split('\n')[0] ?? ''}`;
  return `${paintState(execution.toLowerCase().replaceAll('_', ' '), colours)}${why}`;
}

export function repairText({ repair, outcome, tookMs, ...figures }: RepairSummary, { green, yellow }: Colours): string {
  const { inserted, updated, deleted, refused, unneeded } = figures;
  const verb = outcome === 'undone' ? 'taken back' : 'repaired';
  const parts = [
    `${count(inserted)} inserted`,
    `${count(updated)} updated`,
    `${count(deleted)} deleted`,
    ...(unneeded === 0 ? [] : [`${count(unneeded)} as they should be already`]),
    ...(refused === 0 ? [] : [yellow(`${count(refused)} refused and left as they are`)]),
  ];
  return `${green(verb)}  ${parts.join(', ')}; in ${duration(tookMs)} (repair ${repair})`;
}
