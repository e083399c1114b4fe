/** A run's report as one page that holds all it needs: no script, nothing from elsewhere, and everything escaped. */
import { readFileSync } from 'node:fs';
import { factsOf, verdictOf } from './markdown.js';
import { bars, line } from './plots.js';
import type { ReportTable, RunReport } from './report.js';
import { FIGURES } from './trend.js';
import {
  findingCells,
  differencesOf,
  duration,
  FIGURE_WORDS,
  HOW_WORDS,
  html,
  movedInWords,
  number,
  tableName,
} from './words.js';

const PAGE = readFileSync(new URL('./page.html', import.meta.url), 'utf8');

export function htmlReport(report: RunReport): string {
  const title = `${report.reconciliation}: ${verdictOf(report)}`;
  const body = [
    `<h1>${html(title)}</h1>`,
    `<dl>${factsOf(report)
      .map(([name, value]) => `<dt>${html(name)}</dt><dd>${html(value)}</dd>`)
      .join('')}</dl>`,
    findings(report),
    notChecked(report),
    keys(report),
    plots(report.tables),
    trend(report),
    tables(report.tables),
    repairs(report),
  ].join('\n');
  // Once over the page, so that a name like `{{body}}` means only itself.
  return PAGE.replace(/\{\{(title|verdict|body)\}\}/g, (_, part: string) =>
    part === 'body' ? body : html(part === 'title' ? title : verdictOf(report)),
  );
}

function findings({ findings: found, cut }: RunReport): string {
  if (found.length === 0) return '<p>Nothing was found.</p>';
  const rows = found.map(findingCells);
  const more = cut ? '<p>There are more lines than these.</p>' : '';
  return `<h2>Findings</h2>${table(['severity', 'table', 'kind', 'side', 'rows', 'state', 'what'], rows, [4], [1, 6])}${more}`;
}

function notChecked({ notChecked: all }: RunReport): string {
  if (all.length === 0) return '';
  const rows = all.map(({ what, why }) => [what, why]);
  return `<h2>Not checked</h2>${table(['what', 'why'], rows, [], [0, 1])}`;
}

function keys({ keys: found }: RunReport): string {
  if (found === null || found.length === 0) return '';
  const rows = found.map((one) => [
    tableName(one),
    one.kind,
    one.side ?? 'both',
    one.key.join(', '),
    one.columns?.join(', ') ?? '',
  ]);
  return `<h2>Keys</h2>${table(['table', 'kind', 'side', 'key', 'columns'], rows, [], [0, 3, 4])}`;
}

const nameOf = ({ schema, name }: ReportTable): string => `${schema}.${name}`;

function plots(all: ReportTable[]): string {
  const by = (value: (table: ReportTable) => number) => all.map((one) => ({ label: nameOf(one), value: value(one) }));
  const drawn = [
    bars('Differences', by(differencesOf), number),
    bars(
      'Rows',
      by((one) => one.rows),
      number,
    ),
    bars(
      'Time',
      by((one) => one.tookMs),
      duration,
    ),
    bars(
      'Rows a second',
      by((one) => one.rowsPerSecond),
      number,
    ),
  ].join('');
  return drawn === '' ? '' : `<h2>By table</h2>${drawn}`;
}

function trend({ trend: { days, points, moved } }: RunReport): string {
  const drawn = FIGURES.map((figure) => {
    const { title, write } = FIGURE_WORDS[figure];
    return line(
      title,
      points.map((point) => ({ at: point.at, value: point[figure] })),
      write,
    );
  }).join('');
  if (drawn === '') return '';
  const list = moved.map((one) => `<li>${html(movedInWords(one))}</li>`).join('');
  const said =
    list === '' ? '<p>Nothing moved by more than 20 %.</p>' : `<p>Moved by more than 20 %:</p><ul>${list}</ul>`;
  return `<h2>The last ${days} days</h2>${drawn}${said}`;
}

function tables(all: ReportTable[]): string {
  if (all.length === 0) return '';
  const rows = all.map((one) => [
    nameOf(one),
    `${HOW_WORDS[one.how]}${one.note === null ? '' : `: ${one.note}`}`,
    number(one.rows),
    number(differencesOf(one)),
    number(one.late),
    duration(one.tookMs),
    number(one.rowsPerSecond),
  ]);
  const heads = ['table', 'compared', 'rows', 'differences', 'late', 'time', 'rows/s'];
  return `<h2>Tables</h2>${table(heads, rows, [2, 3, 4, 5, 6], [0, 1])}`;
}

function repairs({ repairs: all }: RunReport): string {
  if (all.length === 0) return '';
  const rows = all.map(({ repair, what, by, state, summary }) => [
    repair,
    what,
    by ?? '',
    state,
    ...[summary?.inserted, summary?.updated, summary?.deleted, summary?.refused].map((count) => number(count ?? 0)),
  ]);
  const heads = ['repair', 'what', 'by', 'state', 'inserted', 'updated', 'deleted', 'refused'];
  return `<h2>Repairs</h2>${table(heads, rows, [4, 5, 6, 7], [0, 1])}`;
}

/**
 * @param figures columns that are aligned as numbers
 * @param texts columns that may be broken anywhere, and have room for it; of the others no word is
 */
function table(heads: string[], rows: string[][], figures: number[] = [], texts: number[] = []): string {
  const kindOf = (column: number): string =>
    figures.includes(column) ? ' class="figure"' : texts.includes(column) ? ' class="text"' : '';
  const cell = (tag: string, text: string, column: number): string => `<${tag}${kindOf(column)}>${html(text)}</${tag}>`;
  const line = (tag: string, cells: string[]): string =>
    `<tr>${cells.map((text, column) => cell(tag, text, column)).join('')}</tr>`;
  const body = rows.map((cells) => line('td', cells)).join('');
  return `<div class="wide"><table><thead>${line('th', heads)}</thead><tbody>${body}</tbody></table></div>`;
}
