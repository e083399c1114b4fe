import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCron } from '../../spec/cron.js';
import { describeProblems, loadAny, loadReconciliation } from '../../spec/load.js';
import { normalizeReconciliation } from '../../spec/normalize-reconciliation.js';
import type { NormalReconciliation } from '../../spec/reconciliation.js';

const TEN_LINES = await readFile(new URL('../../examples/reconciliation-minimal.yaml', import.meta.url), 'utf8');
const FULL = await readFile(new URL('../../examples/reconciliation.yaml', import.meta.url), 'utf8');

/** The ten lines, with more under `spec`. */
const fileWith = (...lines: string[]): string => `${TEN_LINES}${lines.map((line) => `  ${line}\n`).join('')}`;

function normalOf(text: string): NormalReconciliation {
  const loaded = loadReconciliation(text);
  if (!loaded.ok) throw new Error(describeProblems('shop.yaml', loaded.problems));
  return loaded.normal;
}

function problemsOf(text: string): string {
  const loaded = loadReconciliation(text);
  return loaded.ok ? '' : describeProblems('shop.yaml', loaded.problems);
}

describe('ten lines', () => {
  test('are enough', () => {
    expect(TEN_LINES.trim().split('\n')).toHaveLength(10);
    expect(problemsOf(TEN_LINES)).toBe('');
  });

  test('compare everything, change nothing, and ask a person about what differs', () => {
    expect(normalOf(TEN_LINES)).toMatchObject({
      version: 1,
      name: 'shop',
      source: { url: { env: 'SHOP_SOURCE_URL' }, replica: null },
      primary: 'source',
      replication: { kind: 'auto' },
      tables: { include: ['*.*'], exclude: [], rowFilters: {} },
      columns: [],
      level: 'comprehensive',
      sample: null,
      incremental: null,
      checks: { temporal: [], duplicates: [], business: [] },
      severity: { kinds: {}, highAbove: 100 },
      repair: {
        rules: [{ tables: ['*.*'], kinds: ['missing', 'extra', 'changed'], action: 'ask', truth: 'source' }],
        limits: { rows: 1_000, percent: 1 },
        batch: 100,
        rowsPerSecond: null,
      },
      review: { expireAfter: 7 * 86_400_000, onExpiry: 'keep' },
      limits: {
        parallelism: 2,
        bytesPerSecond: null,
        rowsPerSecond: null,
        statementTimeout: 60_000,
        lockTimeout: 2_000,
        leafRows: 1_000,
        slowDown: { replicationLag: 30_000, activeSessions: null, probe: null },
        busy: { transactions: 100, share: 0.01 },
      },
      taskQueues: { light: 'godwit', bulk: 'godwit-bulk' },
    });
  });

  test('have four rhythms', () => {
    expect(normalOf(TEN_LINES).schedules).toMatchObject([
      { name: 'quick', level: 'quick', every: 15 * 60_000, cron: null, overlap: 'skip' },
      { name: 'comprehensive', level: 'comprehensive', every: 4 * 3_600_000, cron: null },
      { name: 'deep', level: 'deep', every: null, cron: '0 2 * * *', timeZone: 'UTC' },
      { name: 'business', level: 'business', every: null, cron: '0 3 * * 0' },
    ]);
  });
});

describe('the normal form', () => {
  test('of the full example survives JSON, as it has to on its way to a workflow', () => {
    const normal = normalOf(FULL);
    expect(JSON.parse(JSON.stringify(normal))).toEqual(normal);
  });

  test('of the full example holds every kind of rule', () => {
    const { checks, sample, incremental, repair, limits, taskQueues, schedules } = normalOf(FULL);
    expect(checks.temporal.map(({ kind }) => kind)).toEqual(['order', 'not-in-future', 'no-gaps']);
    expect(checks.business.map(({ kind }) => kind)).toEqual(['no-rows', 'same', 'same', 'within']);
    expect(checks.business[2]).toMatchObject({
      sql: { source: 'select sum(amount) from billing.invoice', target: 'select total from billing.revenue' },
    });
    expect(sample).toEqual({ percent: 5, method: 'random', seed: 42, tables: ['shop.event'] });
    expect(incremental).toMatchObject({ by: 'column', column: 'updated_at', maxRetainedWal: 8 * 2 ** 30 });
    expect(repair.limits).toEqual({ rows: 1_000, percent: 1 });
    expect(limits.bytesPerSecond).toBe(20_000_000);
    expect(taskQueues).toEqual({ light: 'godwit-frankfurt', bulk: 'godwit-frankfurt-bulk' });
    expect(schedules.map(({ name, level }) => [name, level])).toEqual([
      ['quick', 'quick'],
      ['comprehensive', 'comprehensive'],
      ['nightly', 'deep'],
      ['business', 'business'],
    ]);
  });

  test.each([
    ['{ scope: 0123456789ab }', { kind: 'scope', key: '0123456789ab' }],
    ['{ subscription: shop_copy }', { kind: 'subscription', name: 'shop_copy' }],
    ['{ grace: 45s }', { kind: 'grace', for: 45_000 }],
    ['{ none: true }', { kind: 'none' }],
    ['{}', { kind: 'auto' }],
  ])('knows how the other side follows: %s', (written, proof) => {
    expect(normalOf(fileWith(`replication: ${written}`)).replication).toEqual(proof);
  });

  test.each([
    ['the primary is right', 'repair', 'source', ['missing', 'changed']],
    ['the other side is right', 'repair', 'target', ['extra', 'changed']],
    ['it only asks', 'ask', 'source', ['missing', 'extra', 'changed']],
  ])('deletes no row by itself that no rule names: %s', (_, action, truth, kinds) => {
    const normal = normalOf(fileWith(`repair: { rules: [{ action: ${action}, truth: ${truth} }] }`));
    expect(normal.repair.rules[0]).toEqual({ tables: ['*.*'], kinds, action, truth });
  });

  test('takes the target for right where it is the primary', () => {
    const normal = normalOf(fileWith('primary: target', 'repair: { rules: [{ action: repair, kinds: [extra] }] }'));
    expect(normal.repair.rules).toMatchObject([
      { truth: 'target', kinds: ['extra'] },
      { truth: 'target', action: 'ask' },
    ]);
  });

  test('has no schedules where the file says that there are none', () => {
    expect(normalOf(fileWith('schedules: {}')).schedules).toEqual([]);
  });
});

describe('what is wrong is said with its place', () => {
  test.each([
    ['a typo', ['limts: {}'], 'shop.yaml:11:3 spec.limts: unknown field; did you mean limits?'],
    ['a kind of finding', ['severity: { kinds: { mising: high } }'], '11:24 spec.severity.kinds.mising: unknown field'],
    [
      'a level',
      ['level: deeper'],
      '11:10 spec.level: expected quick, comprehensive, deep or business; did you mean deep?',
    ],
    ['a password', ['replication: { subscription: "postgres://me:hunter2@db/x" }'], 'expected no secret'],
    ['two proofs', ['replication: { grace: 5s, none: true }'], 'at most one of scope, subscription, grace or none'],
    ['a column of nothing', ['incremental: { by: column }'], '11:3 spec.incremental: expected column'],
    ['a column too many', ['incremental: { column: at }'], 'spec.incremental.column: expected by: column with it'],
    [
      'a rule of no kind',
      ['checks: { temporal: [{ tables: a.b }] }'],
      'spec.checks.temporal[0]: expected one of order',
    ],
    [
      'a rule of two kinds',
      ['checks: { business: [{ name: x, noRows: { sql: a }, same: { sql: b } }] }'],
      'expected one of noRows, same or within, found noRows and same',
    ],
    ['half a pair', ['checks: { business: [{ name: x, same: { source: a } }] }'], 'source and target, one query each'],
    ['no bounds', ['checks: { business: [{ name: x, within: { sql: a } }] }'], 'expected min, max or both'],
    [
      'bounds that cross',
      ['checks: { business: [{ name: x, within: { sql: a, min: 2, max: 1 } }] }'],
      'expected 2 or more',
    ],
    [
      'a name twice',
      ['checks: { business: [{ name: x, same: { sql: a } }, { name: x, same: { sql: b } }] }'],
      'spec.checks.business[1].name: expected a name of its own',
    ],
    [
      'a rhythm of two kinds',
      ['schedules: { quick: { every: 5m, cron: 0 2 * * * } }'],
      'expected every or cron, found both',
    ],
    ['a rhythm of none', ['schedules: { quick: {} }'], 'expected every or cron, found neither'],
    ['a schedule of no level', ['schedules: { nightly: { every: 5m } }'], 'since nightly names none'],
    ['a time zone', ['schedules: { deep: { every: 5m, timeZone: Mars/Base } }'], 'expected a time zone such as UTC'],
    ['a rhythm too quick', ['schedules: { quick: { every: 1s } }'], 'expected 10s to'],
    ['all rows as a sample', ['sample: { share: 100% }'], 'spec.sample.share: expected'],
    ['a number or none', ['limits: { rowsPerSecond: many }'], 'expected 1 to 1000000000, or none'],
    ['less than a leaf', ['limits: { rowsPerSecond: 10 }'], 'expected at least the 1000 rows of one leaf'],
  ])('%s', (_, lines, expected) => {
    expect(problemsOf(fileWith(...lines))).toContain(expected);
    expect(problemsOf(fileWith(...lines))).not.toContain('hunter2');
  });

  test('the same database twice', () => {
    const text = TEN_LINES.replace('SHOP_TARGET_URL', 'SHOP_SOURCE_URL');
    expect(problemsOf(text)).toContain('shop.yaml:10:5 spec.target.url: expected another database than the source');
  });

  test('all of it at once', () => {
    expect(problemsOf(fileWith('level: deeper', 'limts: {}', 'sample: {}')).split('\n')).toHaveLength(3);
  });

  test('whatever the document is, it never throws', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(normalizeReconciliation(value).ok).toBe(false);
        const spec = { source: { url: { env: 'A' } }, target: { url: { env: 'B' } }, limits: value };
        const head = { apiVersion: 'godwit.dev/v1alpha1', kind: 'Reconciliation', metadata: { name: 'shop' } };
        normalizeReconciliation({ ...head, spec });
      }),
    );
  });
});

describe('a file of any kind', () => {
  test('is read as what it says it is', async () => {
    const migration = await readFile(new URL('../../examples/minimal.yaml', import.meta.url), 'utf8');
    expect(loadAny(TEN_LINES)).toMatchObject({ ok: true, normal: { kind: 'Reconciliation' } });
    expect(loadAny(migration)).toMatchObject({ ok: true, normal: { kind: 'Migration' } });
  });

  test.each([
    ['Reconcilation', '3:7 kind: expected Migration or Reconciliation; did you mean Reconciliation?'],
    ['Cluster', '3:7 kind: expected Migration or Reconciliation'],
    ['~', '3:1 kind: is missing; write Migration or Reconciliation'],
  ])('of the kind %s is told what there is', (kind, expected) => {
    const loaded = loadAny(TEN_LINES.replace('kind: Reconciliation', `kind: ${kind}`));
    expect(loaded.ok ? [] : describeProblems('f', loaded.problems).split('\n')).toEqual([`f:${expected}`]);
  });
});

describe('a calendar', () => {
  test.each([
    '0 2 * * *',
    '*/15 * * * *',
    '0 3 * * 0',
    '0 3 * * sun',
    '30 4 1,15 jan-mar *',
    '5-10/2 0 * * 1-5',
    '0 0 * * 7',
  ])('%s is one', (text) => {
    expect(parseCron(text)).toEqual({ ok: true, value: text });
  });

  test.each([
    ['@daily', 'expected five fields'],
    ['0 2 * *', 'expected five fields'],
    ['0 2 * * * *', 'expected five fields'],
    ['60 2 * * *', '60 is no minute'],
    ['0 24 * * *', '24 is no hour'],
    ['0 2 0 * *', '0 is no day of the month'],
    ['0 2 * 13 *', '13 is no month: write *, 1 to 12, or jan, feb, …'],
    ['0 2 * * someday', 'someday is no day of the week'],
    ['0 22-4 * * *', '22-4 is no hour'],
    ['*/0 * * * *', '*/0 is no minute'],
  ])('%s is none', (text, expected) => {
    const answer = parseCron(text);
    expect(answer.ok ? '' : answer.error).toContain(expected);
  });
});
