/**
 * What `godwit set ID PATH=VALUE` may change in a running migration: a closed list, since everything else was planned,
 * approved or built upon. Pure: the workflow itself applies it.
 */
import type { z } from 'zod';
import { NONE } from './fields.js';
import { lookoutOf, type NormalDatabase, type NormalLookout, type NormalMigration } from './normal.js';
import { parsed, unreadable, type Parsed } from './parsed.js';
import { Copy, Cutover, Lookout, Probation, Validation, Watch, Window } from './schema.js';
import { didYouMean } from './spelling.js';
import { parseWindow } from './window.js';

export type SettingValue = string | number | boolean | null;

export interface SettableField {
  /** Below `databases.NAME.`, as in the file. */
  path: string;
  meaning: string;
  apply: (database: NormalDatabase, value: SettingValue) => Parsed<NormalDatabase>;
}

export type SettingResult = { ok: true; normal: NormalMigration } | { ok: false; error: string };

const copy = Copy.unwrap().shape;
const cutover = Cutover.unwrap().shape;
const standbys = Cutover.unwrap().shape.standbys.unwrap().shape;
const lookout = Lookout.unwrap().shape;
const watch = Watch.unwrap().shape;
const validation = Validation.unwrap().shape;

const NO_RULES = unreadable('this database has no rules, and none can be added on the way');

export const settable: readonly SettableField[] = [
  field('copy.parallelism', copy.parallelism, (database, parallelism) => ({
    ...database,
    copy: { ...database.copy, parallelism },
  })),
  field('copy.rateLimit', copy.rateLimit, (database, rateLimit) => ({
    ...database,
    copy: { ...database.copy, rateLimit },
  })),
  field('cutover.maxPause', cutover.maxPause, (database, maxPause) => ({
    ...database,
    cutover: { ...database.cutover, maxPause },
  })),
  field('cutover.maxLag', cutover.maxLag, (database, maxLag) => ({
    ...database,
    cutover: { ...database.cutover, maxLag },
  })),
  field('cutover.attempts', cutover.attempts, (database, attempts) => ({
    ...database,
    cutover: { ...database.cutover, attempts },
  })),
  field('cutover.waitBetweenAttempts', cutover.waitBetweenAttempts, (database, waitBetweenAttempts) => ({
    ...database,
    cutover: { ...database.cutover, waitBetweenAttempts },
  })),
  {
    path: 'cutover.window',
    meaning: `${Window.description ?? ''} Written mon-fri 22:00-04:00, daily 02:00-03:00 or ${NONE}.`,
    apply: (database, value) => {
      const window = value === null || value === NONE ? parsed(null) : parseWindow(String(value));
      return window.ok ? parsed({ ...database, cutover: { ...database.cutover, window: window.value } }) : window;
    },
  },
  {
    path: 'cutover.standbys.ignore',
    meaning: `${standbys.ignore.description ?? ''} Written with commas, or ${NONE}.`,
    apply: (database, value) => {
      const names = value === null || value === NONE ? [] : String(value).split(',');
      const answer = standbys.ignore.safeParse(names.map((name) => name.trim()));
      if (!answer.success) return unreadable(answer.error.issues.map((issue) => issue.message).join('; '));
      return parsed({ ...database, cutover: { ...database.cutover, standbys: { ignore: answer.data } } });
    },
  },
  {
    path: 'cutover.probation.for',
    meaning: Probation.shape.for.description ?? '',
    apply: (database, value) => {
      const { probation } = database.cutover;
      if (probation === undefined)
        return unreadable('this database has no probation, and none can be added on the way');
      const answer = Probation.shape.for.safeParse(asWritten(value));
      if (!answer.success) return unreadable(answer.error.issues.map((issue) => issue.message).join('; '));
      return parsed({
        ...database,
        cutover: { ...database.cutover, probation: { ...probation, for: answer.data } },
      });
    },
  },
  lookoutField('every', lookout.every),
  lookoutField('maxLag', lookout.maxLag),
  lookoutField('stall', lookout.stall),
  lookoutField('maxRetainedWal', lookout.maxRetainedWal),
  lookoutField('onLimit', lookout.onLimit),
  field('watch.for', watch.for, (database, value) => ({ ...database, watch: { ...database.watch, for: value } })),
  field('watch.every', watch.every, (database, every) => ({ ...database, watch: { ...database.watch, every } })),
  field('watch.validateEvery', watch.validateEvery, (database, validateEvery) => ({
    ...database,
    watch: { ...database.watch, validateEvery },
  })),
  field('watch.onFailure', watch.onFailure, (database, onFailure) => ({
    ...database,
    watch: { ...database.watch, onFailure },
  })),
  field('validation.parallelism', validation.parallelism, (database, parallelism) => ({
    ...database,
    validation: { ...database.validation, parallelism },
  })),
  field('validation.lockTimeout', validation.lockTimeout, (database, lockTimeout) => ({
    ...database,
    validation: { ...database.validation, lockTimeout },
  })),
  {
    path: 'validation.ruleTimeout',
    meaning: validation.ruleTimeout.description ?? '',
    apply: (database, value) => {
      if (database.validation.rules === undefined) return NO_RULES;
      const answer = validation.ruleTimeout.safeParse(asWritten(value));
      if (!answer.success) return unreadable(answer.error.issues.map((issue) => issue.message).join('; '));
      return parsed({ ...database, validation: { ...database.validation, ruleTimeout: answer.data } });
    },
  },
  {
    path: 'validation.ignoreRules',
    meaning: `${validation.ignoreRules.description ?? ''} Written with commas, or ${NONE}.`,
    apply: (database, value) => {
      if (database.validation.rules === undefined) return NO_RULES;
      const names = value === null || value === NONE ? [] : String(value).split(',');
      const ignoreRules = names.map((name) => name.trim());
      const known = database.validation.rules.map(({ name }) => name);
      const unknown = ignoreRules.find((name) => !known.includes(name));
      if (unknown !== undefined) return unreadable(`no rule ${unknown} in this database${didYouMean(unknown, known)}`);
      return parsed({ ...database, validation: { ...database.validation, ignoreRules } });
    },
  },
];

/**
 * A copy of `normal` with one value changed; `normal` itself stays. `path` is written as in the file, with or without
 * `spec.` in front; `value` as in the file, and null as `none`.
 */
export function applySetting(normal: NormalMigration, path: string, value: SettingValue): SettingResult {
  const [root, name, ...rest] = path.replace(/^spec\./, '').split('.');
  if (root !== 'databases' || name === undefined || rest.length === 0) {
    return unreadable(`${path}: expected databases.NAME.FIELD, such as databases.orders.copy.rateLimit`);
  }
  const database = normal.databases.find((one) => one.name === name);
  if (database === undefined) {
    const names = normal.databases.map((one) => one.name);
    return unreadable(`${path}: no database ${name} in this migration${didYouMean(name, names)}`);
  }
  const below = rest.join('.');
  const setting = settable.find((one) => one.path === below);
  if (setting === undefined) {
    const known = settable.map((one) => one.path);
    return unreadable(`${path}: ${below} can't be changed in a running migration${didYouMean(below, known)}`);
  }
  const changed = setting.apply(database, value);
  if (!changed.ok) return unreadable(`${path}: ${changed.error}`);
  return {
    ok: true,
    normal: { ...normal, databases: normal.databases.map((one) => (one === database ? changed.value : one)) },
  };
}

function field<T>(
  path: string,
  schema: z.ZodType<T>,
  write: (database: NormalDatabase, value: T) => NormalDatabase,
): SettableField {
  return {
    path,
    meaning: schema.description ?? '',
    apply: (database, value) => {
      const answer = schema.safeParse(asWritten(value));
      if (answer.success) return parsed(write(database, answer.data));
      return unreadable(answer.error.issues.map((issue) => issue.message).join('; '));
    },
  };
}

function lookoutField<K extends keyof NormalLookout>(name: K, schema: z.ZodType<NormalLookout[K]>): SettableField {
  return field(`lookout.${name}`, schema, (database, value) => ({
    ...database,
    lookout: { ...lookoutOf(database), [name]: value },
  }));
}

/** A command line knows only text, and a file's `5` is a number. */
function asWritten(value: SettingValue): SettingValue {
  if (value === null) return NONE;
  return typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
}
