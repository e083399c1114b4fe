/** Figures in words, and names made safe: tables, columns and rules may hold any character. */
import prettyBytes from 'pretty-bytes';
import prettyMs from 'pretty-ms';
import type { ReportFinding, ReportTable } from './report.js';
import type { Figure, Moved } from './trend.js';

export const number = (value: number): string => Math.round(value).toLocaleString('en-US');
export const bytes = (value: number): string => prettyBytes(value);
export const duration = (ms: number): string => prettyMs(ms, ms < 1_000 ? {} : { secondsDecimalDigits: 0 });

/** Into a page. */
export const html = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0) ?? 0};`);

/** Into a line or a table's cell of markdown, where it means only itself. */
export const markdown = (text: string): string =>
  text
    .replace(/[\\`*_{}[\]<>#|~!]/g, (character) => `\\${character}`)
    .replace(/\s+/g, ' ')
    .trim();

export const tableName = ({ schema, table }: { schema: string; table: string }): string =>
  table === '' ? 'the database' : `${schema}.${table}`;

export const FIGURE_WORDS: Record<Figure, { title: string; write: (value: number) => string }> = {
  rows: { title: 'rows', write: number },
  differences: { title: 'differences', write: number },
  tookMs: { title: 'time', write: duration },
  rowsPerSecond: { title: 'rows a second', write: number },
};

export function movedInWords({ table, figure, was, now, change }: Moved): string {
  const { title, write } = FIGURE_WORDS[figure];
  const by = change === null ? 'none before' : `${change > 0 ? '+' : '−'}${number(Math.abs(change) * 100)} %`;
  return `${table ?? 'the whole run'}: ${title} ${write(was)} → ${write(now)} (${by})`;
}

export const HOW_WORDS: Record<ReportTable['how'], string> = {
  all: 'all rows',
  sample: 'a sample',
  touched: 'rows touched since',
  count: 'counted',
  'not-compared': 'not compared',
};

export const differencesOf = ({ findings }: Pick<ReportTable, 'findings'>): number =>
  Object.values(findings).reduce((sum, count) => sum + count, 0);

export const STATE_WORDS: Record<ReportFinding['state'], string> = {
  confirmed: 'open',
  accepted: 'accepted',
  suspect: 'not proven',
  repaired: 'repaired',
  gone: 'equal since',
};

/** Severity, table, kind, side, rows, state, what. */
export const findingCells = (one: ReportFinding): string[] => [
  one.severity,
  tableName(one),
  one.kind,
  one.side ?? 'both',
  number(one.count),
  STATE_WORDS[one.state],
  one.detail,
];
