/** Calendars as cron writes them: minute, hour, day of the month, month, day of the week; in words for who got one wrong. */
import { parsed, unreadable, type Parsed } from './parsed.js';

interface CronField {
  name: string;
  min: number;
  max: number;
  words: readonly string[];
}

const FIELDS: readonly CronField[] = [
  { name: 'minute', min: 0, max: 59, words: [] },
  { name: 'hour', min: 0, max: 23, words: [] },
  { name: 'day of the month', min: 1, max: 31, words: [] },
  {
    name: 'month',
    min: 1,
    max: 12,
    words: ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'],
  },
  // 7 is Sunday, too.
  { name: 'day of the week', min: 0, max: 7, words: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] },
];

const EXPECTED = 'expected five fields: minute, hour, day of the month, month, day of the week, such as 0 2 * * *';

/** For editors; `parseCron` says more. */
export const CRON_PATTERN = '^\\S+( \\S+){4}$';

/** As written, once it is right: Temporal reads it. https://docs.temporal.io/schedule */
export function parseCron(text: string): Parsed<string> {
  const written = text.split(' ');
  if (written.length !== FIELDS.length) return unreadable(EXPECTED);
  for (const [index, field] of FIELDS.entries()) {
    const found = written[index] ?? '';
    if (!found.split(',').every((part) => isRange(part, field))) {
      const example = field.words.length === 0 ? '' : `, or ${field.words.slice(0, 2).join(', ')}, …`;
      return unreadable(
        `${EXPECTED}; ${found} is no ${field.name}: write *, ${field.min} to ${field.max}${example}, a range 1-5, a step */10`,
      );
    }
  }
  return parsed(text);
}

/** `*`, `5`, `1-5`, `mon-fri`, each with a step behind it or none. */
function isRange(text: string, field: CronField): boolean {
  const match = /^(\*|[a-z0-9]+(?:-[a-z0-9]+)?)(?:\/([1-9]\d*))?$/i.exec(text);
  const [, range = '', step] = match ?? [];
  if (match === null || Number(step ?? 1) > field.max) return false;
  if (range === '*') return true;
  const ends = range.split('-').map((end) => valueOf(end, field));
  const [from, to = from] = ends;
  return from !== undefined && to !== undefined && !ends.includes(undefined) && from <= to;
}

function valueOf(text: string, { min, max, words }: CronField): number | undefined {
  const word = words.indexOf(text.toLowerCase());
  if (word >= 0) return word + min;
  const value = /^\d{1,2}$/.test(text) ? Number(text) : NaN;
  return value >= min && value <= max ? value : undefined;
}
