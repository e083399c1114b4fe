/** Plots as SVG: bars by table, lines by time. Strings only, so that a worker draws them; colours come from the page. */
import { html } from './words.js';

const WIDTH = 640;
const LABELS = 220;
const BAR = 18;
/** More bars than this nobody reads. */
const BARS = 20;

export interface Bar {
  label: string;
  value: number;
}

/** The greatest first. Empty if nothing is above 0. */
export function bars(title: string, all: Bar[], write: (value: number) => string): string {
  const sorted = all.filter(({ value }) => value > 0).sort((a, b) => b.value - a.value);
  const most = sorted[0]?.value;
  if (most === undefined) return '';
  const shown = sorted.slice(0, BARS);
  const room = WIDTH - LABELS - 90;
  const lines = shown.map(({ label, value }, index) => {
    const y = index * (BAR + 6);
    const width = Math.max(1, (value / most) * room);
    return [
      `<text x="${LABELS - 8}" y="${y + 13}" text-anchor="end">${html(shortened(label))}<title>${html(label)}</title></text>`,
      `<rect x="${LABELS}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2"/>`,
      `<text x="${(LABELS + width + 6).toFixed(1)}" y="${y + 13}" class="value">${html(write(value))}</text>`,
    ].join('');
  });
  const rest = sorted.length - shown.length;
  return figure(
    `${title}${rest > 0 ? `, and ${rest} tables with less` : ''}`,
    shown.length * (BAR + 6),
    lines.join(''),
    'bars',
  );
}

export interface Point {
  at: string;
  value: number;
}

const LINE_HEIGHT = 120;

/** From 0 up to the greatest; empty for fewer than two points. */
export function line(title: string, points: Point[], write: (value: number) => string): string {
  if (points.length < 2) return '';
  const times = points.map(({ at }) => Date.parse(at));
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const most = Math.max(...points.map(({ value }) => value));
  const x = (time: number): number => 80 + ((time - first) / Math.max(1, last - first)) * (WIDTH - 100);
  const y = (value: number): number => 10 + (1 - value / Math.max(most, 1e-9)) * (LINE_HEIGHT - 35);
  const drawn = points.map(({ value }, index) => `${x(times[index] ?? first).toFixed(1)},${y(value).toFixed(1)}`);
  const newest = points.at(-1)?.value ?? 0;
  const day = (time: number): string => new Date(time).toISOString().slice(0, 16).replace('T', ' ');
  return figure(
    title,
    LINE_HEIGHT,
    [
      `<line x1="80" x2="${WIDTH - 20}" y1="${y(0)}" y2="${y(0)}"/>`,
      ...(most > 0
        ? [
            `<line x1="80" x2="${WIDTH - 20}" y1="${y(most)}" y2="${y(most)}"/>`,
            `<text x="74" y="${y(most) + 4}" text-anchor="end">${html(write(most))}</text>`,
          ]
        : []),
      `<text x="74" y="${y(0) + 4}" text-anchor="end">0</text>`,
      `<polyline points="${drawn.join(' ')}"/>`,
      `<circle cx="${x(last).toFixed(1)}" cy="${y(newest).toFixed(1)}" r="3"/>`,
      `<text x="80" y="${LINE_HEIGHT - 6}">${day(first)}</text>`,
      `<text x="${WIDTH - 20}" y="${LINE_HEIGHT - 6}" text-anchor="end">${day(last)} UTC: ${html(write(newest))}</text>`,
    ].join(''),
    'line',
  );
}

function figure(title: string, height: number, inside: string, kind: string): string {
  const name = html(title);
  return (
    `<figure><figcaption>${name}</figcaption>` +
    `<svg class="${kind}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${name}" xmlns="http://www.w3.org/2000/svg">${inside}</svg></figure>`
  );
}

const shortened = (label: string): string => (label.length <= 30 ? label : `${label.slice(0, 29)}…`);
