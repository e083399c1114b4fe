/** Kinds of field that the schema is made of: each reads what a person writes, and gives what the normal form holds. */
import { z } from 'zod';
import { CRON_PATTERN, parseCron } from './cron.js';
import { DURATION_PATTERN, formatDuration, parseDuration } from './duration.js';
import type { HostPort } from './normal.js';
import { unreadable, parsed, type Parsed } from './parsed.js';
import { formatPercent, parsePercent, PERCENT_PATTERN } from './percent.js';
import { formatSize, parseSize, SIZE_PATTERN } from './size.js';
import { textField, type Text } from './text-field.js';
import { parseTimeOfDay, TIME_PATTERN } from './window.js';

/** Stands for "no limit", "not at all": written out, since an empty field is more often forgotten than meant. */
export const NONE = 'none';

function within(read: (text: string) => Parsed<number>, min: number, max: number, show: (value: number) => string) {
  return (text: string): Parsed<number> => {
    const answer = read(text);
    if (!answer.ok || (answer.value >= min && answer.value <= max)) return answer;
    return unreadable(`expected ${show(min)} to ${show(max)}`);
  };
}

function orNone<T>({ title, read, pattern, examples }: Text<T>): Text<T | null> {
  return {
    title: `${title} or ${NONE}`,
    read: (text) => {
      if (text === NONE) return parsed(null);
      const answer = read(text);
      return answer.ok ? answer : unreadable(`${answer.error}; or ${NONE}`);
    },
    pattern: `${pattern}|^${NONE}$`,
    examples: [...examples, NONE],
  };
}

const YEAR = 365 * 86_400_000;

function durationText(min: number, max: number): Text<number> {
  return {
    title: 'duration',
    read: within(parseDuration, min, max, formatDuration),
    pattern: DURATION_PATTERN,
    examples: ['30s', '5m', '1h30m', '72h'],
  };
}

function sizeText(min: number, max: number): Text<number> {
  return {
    title: 'size',
    read: within(parseSize, min, max, formatSize),
    pattern: SIZE_PATTERN,
    examples: ['512kB', '16MB', '1GiB'],
  };
}

const QUEUE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/;

/** A task queue of Temporal. */
export const queueName = () =>
  textField({
    title: 'task queue',
    read: (text) =>
      QUEUE.test(text) ? parsed(text) : unreadable('expected letters, digits, dots, hyphens and underscores'),
    pattern: QUEUE.source,
    examples: ['godwit-frankfurt'],
  });

/** Milliseconds, written as a duration. */
export const duration = (min = 0, max = YEAR) => textField(durationText(min, max));

/** Milliseconds or null, written as a duration or `none`. */
export const durationOrNone = (min = 0, max = YEAR) => textField(orNone(durationText(min, max)));

/** Bytes, written as a size. */
export const size = (min: number, max: number) => textField(sizeText(min, max));

/** Bytes or null, written as a size or `none`. */
export const sizeOrNone = (min: number, max: number) => textField(orNone(sizeText(min, max)));

/** A whole number or null, written as a number or `none`. */
export const numberOrNone = (min: number, max: number) =>
  z
    .union([z.int().min(min).max(max), z.literal(NONE)], { error: `expected ${min} to ${max}, or ${NONE}` })
    .meta({ title: `number or ${NONE}` })
    .transform((value) => (value === NONE ? null : value));

/** 0 to 1, written as a share of 100. */
export const percent = (min = 0, max = 1) =>
  textField({
    title: 'percent',
    read: within(parsePercent, min, max, formatPercent),
    pattern: PERCENT_PATTERN,
    examples: ['1%', '0.5%', '95%'],
  });

/** No comma or blank: `set` takes several of them in one text. */
const STANDBY = /^[^\s,]{1,63}$/;

export const standbyName = () =>
  textField({
    title: 'standby',
    read: (text) =>
      STANDBY.test(text)
        ? parsed(text)
        : unreadable('expected an application_name or a slot, without blanks or commas'),
    pattern: STANDBY.source,
    examples: ['standby-2'],
  });

/** Bytes a second or null, written as a size, `20MB/s` or `none`. */
export const rateOrNone = (min: number, max: number) => {
  const plain = sizeText(min, max);
  return textField(
    orNone({
      title: 'size a second',
      read: (text) => plain.read(text.replace(/\/s$/, '')),
      pattern: SIZE_PATTERN.replace(/\$$/, '(/s)?$'),
      examples: ['20MB', '100MiB/s'],
    }),
  );
};

/** Five fields, as cron has them. */
export const cron = () =>
  textField({ title: 'cron', read: parseCron, pattern: CRON_PATTERN, examples: ['0 2 * * *', '30 4 * * sun'] });

/** A name of the IANA time zone database. */
export const timeZone = () =>
  textField({
    title: 'time zone',
    read: (text) =>
      isTimeZone(text)
        ? parsed(text)
        : unreadable('expected a time zone such as UTC, Europe/Berlin or America/New_York'),
    pattern: '^[A-Za-z][A-Za-z0-9_+/-]*$',
    examples: ['UTC', 'Europe/Berlin'],
  });

function isTimeZone(text: string): boolean {
  try {
    return (
      new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone !== '' && /^[A-Za-z]/.test(text)
    );
  } catch {
    return false;
  }
}

/** Minutes since midnight, written `HH:MM`. */
export const timeOfDay = () =>
  textField({ title: 'time of day', read: parseTimeOfDay, pattern: TIME_PATTERN, examples: ['01:00', '22:30'] });

const HOST_PORT = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+|\/[^\s:'"=]+):([0-9]{1,5})$/;

/** A host, an address in brackets or a socket's folder, and a port. */
export const hostPort = () =>
  textField<HostPort>({
    title: 'host:port',
    read: (text) => {
      const match = HOST_PORT.exec(text);
      const port = Number(match?.[2]);
      return match?.[1] === undefined || port < 1 || port > 65_535
        ? unreadable('expected host:port, such as db-new.internal:5432 or [fd00::5]:5432')
        : parsed({ host: match[1].replace(/^\[|\]$/g, ''), port });
    },
    pattern: HOST_PORT.source,
    examples: ['db-new.internal:5432'],
  });

const HTTP_URL = /^https?:\/\/[^\s/@?#]+(\/[^\s@#]*)?$/;

/** An address that is called. Never with a password: `looksLikeSecret` finds those everywhere. */
export const httpUrl = () =>
  textField({
    title: 'URL',
    read: (text) =>
      HTTP_URL.test(text)
        ? parsed(text)
        : unreadable(
            'expected a URL of http or https without user, password and fragment, such as https://edge.internal/primary',
          ),
    pattern: HTTP_URL.source,
    examples: ['https://edge.internal/primary'],
  });

const SOCKET_URL = /^wss?:\/\/[^\s/@?#]+(\/[^\s@#]*)?$/;

/** Where a WebSocket is opened. */
export const socketUrl = () =>
  textField({
    title: 'URL of a WebSocket',
    read: (text) =>
      SOCKET_URL.test(text)
        ? parsed(text)
        : unreadable(
            'expected a URL of ws or wss without user, password and fragment, such as wss://shop.internal/live',
          ),
    pattern: SOCKET_URL.source,
    examples: ['wss://shop.internal/live'],
  });

/** Names of labels and dimensions. */
export const NAMED_VALUES = /^[A-Za-z_][A-Za-z0-9_]*$/;

const TABLE_PATTERN = /^[^.\s"'()[\]{}!?|\\/][^."'()[\]{}!?|\\/]*\.[^."'()[\]{}!?|\\/]+$/;

/** `schema.table`, in which `*` stands for any run of characters. */
export const tablePattern = () =>
  textField({
    title: 'table pattern',
    read: (text) =>
      TABLE_PATTERN.test(text)
        ? parsed(text)
        : unreadable(
            'expected schema.table, such as public.orders or shop.*; names stand as they are, without quotes, ' +
              'and only * has a meaning',
          ),
    pattern: TABLE_PATTERN.source,
    examples: ['public.orders', 'shop.*', '*.*'],
  });

/** A DNS label: names of migrations, databases and endpoints, which become parts of workflow ids and labels. */
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

export const label = () =>
  textField({
    title: 'name',
    read: (text) =>
      LABEL.test(text)
        ? parsed(text)
        : unreadable(
            'expected 1 to 63 lower-case letters, digits or hyphens, beginning and ending with a letter or digit',
          ),
    pattern: LABEL.source,
    examples: ['orders'],
  });

/** A query of the user's own. */
export const sql = () => z.string().trim().min(1).max(65_536);

/** Which tables something is done to. */
export const chosenTables = (what: 'move' | 'compare') => ({
  include: z
    .array(tablePattern())
    .min(1)
    .prefault(['*.*'])
    .describe(
      `Tables to ${what}, as patterns schema.table; * stands for any run of characters. A pattern without * must name a table.`,
    ),
  exclude: z
    .array(tablePattern())
    .prefault([])
    .describe('Tables to leave out, as patterns. Exclude wins over include.'),
});
