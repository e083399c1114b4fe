/** A run's report as markdown. */
import type { RunReport } from './report.js';
import {
  findingCells,
  bytes,
  differencesOf,
  duration,
  HOW_WORDS,
  markdown,
  movedInWords,
  number,
  tableName,
} from './words.js';

export function markdownReport(report: RunReport): string {
  return [
    `# ${markdown(report.reconciliation)}: ${verdictOf(report)}`,
    ...head(report),
    ...findings(report),
    ...notChecked(report),
    ...keys(report),
    ...tables(report),
    ...repairs(report),
    ...moved(report),
  ].join('\n');
}

export function verdictOf({ state, summary }: RunReport): string {
  if (summary === null) return state === 'running' ? 'still running' : 'failed';
  return summary.outcome === 'skipped' ? 'skipped' : summary.verdict;
}

/** What is known of the run, in lines. */
export function factsOf({ run, level, startedAt, summary, review, digest }: RunReport): [string, string][] {
  const facts: [string, string][] = [
    ['run', run],
    ['level', `${level}${summary?.incremental === true ? ', incremental' : ''}`],
    ['began', startedAt],
  ];
  if (summary === null) return facts;
  const { tablesNotCompared } = summary;
  facts.push(
    ['holds for', `${summary.at}${summary.lsn === null ? '' : `, LSN ${summary.lsn} of the ${summary.primary}`}`],
    ['took', duration(summary.tookMs)],
    [
      'tables',
      `${number(summary.tables)}${tablesNotCompared > 0 ? `, and ${number(tablesNotCompared)} not compared` : ''}`,
    ],
    ['rows', `${number(summary.rows)}, ${bytes(summary.bytes)}`],
    ['late', `${number(summary.late)} rows differed at first, and were equal once the standby had caught up`],
    ['not proven', number(summary.suspects)],
    ['repaired', number(summary.repaired)],
    ['remaining', number(summary.remaining)],
    ['accepted', number(summary.accepted ?? 0)],
    ['waiting for a person', number(review.waiting)],
  );
  if (summary.why !== null) facts.push(['why', summary.why]);
  if (digest !== null) facts.push(['certificate', digest]);
  return facts;
}

const head = (report: RunReport): string[] => [
  '',
  ...factsOf(report).map(([name, value]) => `- ${name}: ${markdown(value)}`),
];

function findings({ findings: found, cut }: RunReport): string[] {
  if (found.length === 0) return [];
  return [
    '',
    '## Findings',
    '',
    '| severity | table | kind | side | rows | state | what |',
    '| --- | --- | --- | --- | ---: | --- | --- |',
    ...found.map((one) => row(findingCells(one))),
    ...(cut ? ['', 'There are more lines than these.'] : []),
  ];
}

function notChecked({ notChecked: all }: RunReport): string[] {
  if (all.length === 0) return [];
  return ['', '## Not checked', '', ...all.map(({ what, why }) => `- ${markdown(what)}: ${markdown(why)}`)];
}

function keys({ keys: found }: RunReport): string[] {
  if (found === null || found.length === 0) return [];
  return [
    '',
    '## Keys',
    '',
    '| table | kind | side | key | columns |',
    '| --- | --- | --- | --- | --- |',
    ...found.map((one) =>
      row([tableName(one), one.kind, one.side ?? 'both', one.key.join(', '), one.columns?.join(', ') ?? '']),
    ),
  ];
}

function tables({ tables: all }: RunReport): string[] {
  if (all.length === 0) return [];
  return [
    '',
    '## Tables',
    '',
    '| table | compared | rows | differences | late | time | rows/s |',
    '| --- | --- | ---: | ---: | ---: | ---: | ---: |',
    ...all.map((one) =>
      row([
        `${one.schema}.${one.name}`,
        `${HOW_WORDS[one.how]}${one.note === null ? '' : `: ${one.note}`}`,
        number(one.rows),
        number(differencesOf(one)),
        number(one.late),
        duration(one.tookMs),
        number(one.rowsPerSecond),
      ]),
    ),
  ];
}

function repairs({ repairs: all }: RunReport): string[] {
  if (all.length === 0) return [];
  return [
    '',
    '## Repairs',
    '',
    '| repair | what | by | state | inserted | updated | deleted | refused |',
    '| --- | --- | --- | --- | ---: | ---: | ---: | ---: |',
    ...all.map(({ repair, what, by, state, summary }) =>
      row([
        repair,
        what,
        by ?? '',
        state,
        ...[summary?.inserted, summary?.updated, summary?.deleted, summary?.refused].map((count) => number(count ?? 0)),
      ]),
    ),
  ];
}

function moved({ trend }: RunReport): string[] {
  if (trend.moved.length === 0) return [''];
  return [
    '',
    `## Moved by more than 20 % in ${trend.days} days`,
    '',
    ...trend.moved.map((one) => `- ${markdown(movedInWords(one))}`),
    '',
  ];
}

const row = (cells: string[]): string => `| ${cells.map(markdown).join(' | ')} |`;
