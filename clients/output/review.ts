/** What waits for a person: as a list, and one item with both versions side by side. */
import type { ReviewItem, ShownItem } from '../../activities/reconciliation/review.js';
import type { Colours } from '../terminal.js';
import { ago, duration } from './figures.js';
import { paintSeverity } from './run.js';
import { pairs, table } from './table.js';

interface Look {
  colours: Colours;
  now: Date;
  wide: boolean;
}

export function reviewTable(items: ReviewItem[], { colours, now, wide }: Look): string {
  const rows = items.map((item) => [
    String(item.id),
    item.state === 'waiting' ? colours.yellow(item.state) : item.state,
    paintSeverity(item.severity, colours),
    item.kind,
    `${item.schema}.${item.table}`,
    keyOf(item),
    ago(item.createdAt, now),
    ...(wide ? [item.why, item.run, decided(item)] : []),
  ]);
  const head = [
    'ITEM',
    'STATE',
    'SEVERITY',
    'KIND',
    'TABLE',
    'KEY',
    'SINCE',
    ...(wide ? ['WHY', 'RUN', 'DECIDED'] : []),
  ];
  return table(head, rows, colours);
}

export function itemText({ item, source, target, columns }: ShownItem, { colours, now }: Look): string {
  const facts = pairs(
    [
      ['  why', item.why],
      ['  right is', `the ${item.truth}`],
      ['  found', `${ago(item.createdAt, now)}, run ${item.run}`],
      ...expiryOf(item, now).map((text): [string, string] => ['  expires', text]),
      ...(item.decidedAt === null ? [] : [['  decided', decided(item)] satisfies [string, string]]),
    ],
    colours,
  );
  const rows = columns.map((column) => {
    const [left, right] = [valueOf(source, column), valueOf(target, column)];
    const differs = left !== right || item.columns?.includes(column) === true;
    return [column, ...[left, right].map((value) => (differs ? colours.yellow(value) : value))];
  });
  const heading = `${colours.bold(`${item.schema}.${item.table}`)} ${keyOf(item)}  ${item.kind}  ${item.state}`;
  return [`${heading}\n${facts}`, table(['COLUMN', 'SOURCE', 'TARGET'], rows, colours)].join('\n\n');
}

/** A row that isn't there has no values; null is one. */
function valueOf(row: Record<string, string | null> | null, column: string): string {
  if (row === null) return '(no row)';
  return row[column] ?? 'null';
}

function keyOf({ key }: ReviewItem): string {
  return key === null ? '-' : key.length === 1 ? (key[0] ?? '') : `(${key.join(', ')})`;
}

function decided({ state, decidedBy, reason }: ReviewItem): string {
  if (decidedBy === null) return '-';
  return `${state} by ${decidedBy}${reason === null ? '' : `: ${reason}`}`;
}

const THEN: Record<ReviewItem['onExpiry'], string> = {
  keep: '',
  reject: 'then it is rejected',
  repair: 'then it is to be repaired',
};

/** Only of what waits, and not for ever. */
function expiryOf({ state, expiresAt, onExpiry }: ReviewItem, now: Date): string[] {
  if (state !== 'waiting' || expiresAt === null || onExpiry === 'keep') return [];
  return [`${untilText(expiresAt, now)}; ${THEN[onExpiry]}`];
}

function untilText(iso: string, now: Date): string {
  const ms = new Date(iso).getTime() - now.getTime();
  return ms < 0 ? 'now' : `in ${duration(ms)}`;
}
