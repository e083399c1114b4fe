import { build } from 'esbuild';
import { describe, expect, test } from 'vitest';
import type { NormalMigration } from '../../spec/normal.js';
import { normalizeMigration } from '../../spec/normalize.js';
import { applySetting, settable, type SettingValue } from '../../spec/settable.js';

function shop(): NormalMigration {
  const answer = normalizeMigration({
    apiVersion: 'godwit.dev/v1alpha1',
    kind: 'Migration',
    metadata: { name: 'shop' },
    spec: {
      metrics: { prom: { prometheus: { url: 'http://localhost:9090', template: 'http' } } },
      databases: {
        orders: {
          source: { url: { env: 'S' } },
          target: { url: { env: 'T' } },
          cutover: { probation: { gates: [{ errorRatio: {} }] } },
          validation: { rules: [{ name: 'paid', noRows: { sql: 'select 1' } }] },
        },
      },
    },
  });
  if (!answer.ok) throw new Error('the sample is wrong');
  return answer.normal;
}

describe('settings of a running migration', () => {
  test.each<[string, SettingValue, object]>([
    ['databases.orders.copy.rateLimit', '20MB', { copy: { rateLimit: 20_000_000 } }],
    ['databases.orders.copy.rateLimit', null, { copy: { rateLimit: null } }],
    ['databases.orders.copy.rateLimit', 'none', { copy: { rateLimit: null } }],
    ['databases.orders.copy.parallelism', '8', { copy: { parallelism: 8 } }],
    ['spec.databases.orders.cutover.maxPause', '750ms', { cutover: { maxPause: 750 } }],
    ['databases.orders.cutover.maxLag', '2s', { cutover: { maxLag: 2_000 } }],
    ['databases.orders.cutover.standbys.ignore', 'a, b', { cutover: { standbys: { ignore: ['a', 'b'] } } }],
    ['databases.orders.cutover.standbys.ignore', 'none', { cutover: { standbys: { ignore: [] } } }],
    ['databases.orders.lookout.maxRetainedWal', '10GB', { lookout: { maxRetainedWal: 10_000_000_000 } }],
    ['databases.orders.lookout.onLimit', 'drop', { lookout: { onLimit: 'drop' } }],
    ['databases.orders.cutover.probation.for', '0s', { cutover: { probation: { for: 0 } } }],
    ['databases.orders.cutover.attempts', 9, { cutover: { attempts: 9 } }],
    ['databases.orders.cutover.waitBetweenAttempts', '10m', { cutover: { waitBetweenAttempts: 600_000 } }],
    [
      'databases.orders.cutover.window',
      'mon-fri 22:00-04:00',
      { cutover: { window: { days: [1, 2, 3, 4, 5], from: 1_320, to: 240 } } },
    ],
    [
      'databases.orders.cutover.window',
      'sat,sun 00:00-24:00',
      { cutover: { window: { days: [0, 6], from: 0, to: 1_440 } } },
    ],
    [
      'databases.orders.cutover.window',
      'fri-mon 01:00-02:00',
      { cutover: { window: { days: [0, 1, 5, 6], from: 60, to: 120 } } },
    ],
    ['databases.orders.cutover.window', 'none', { cutover: { window: null } }],
    ['databases.orders.watch.for', '1d', { watch: { for: 86_400_000 } }],
    ['databases.orders.watch.every', '10s', { watch: { every: 10_000 } }],
    ['databases.orders.watch.validateEvery', 'none', { watch: { validateEvery: null } }],
    ['databases.orders.watch.onFailure', 'undo', { watch: { onFailure: 'undo' } }],
    ['databases.orders.validation.lockTimeout', '1s', { validation: { lockTimeout: 1_000 } }],
    ['databases.orders.validation.parallelism', 4, { validation: { parallelism: 4 } }],
    ['databases.orders.validation.ruleTimeout', '5m', { validation: { ruleTimeout: 300_000 } }],
    ['databases.orders.validation.ignoreRules', 'paid', { validation: { ignoreRules: ['paid'] } }],
    ['databases.orders.validation.ignoreRules', 'none', { validation: { ignoreRules: [] } }],
  ])('%s can be set to %s', (path, value, expected) => {
    const before = shop();
    const answer = applySetting(before, path, value);
    expect(answer).toMatchObject({ ok: true, normal: { databases: [expected] } });
    expect(before).toEqual(shop());
  });

  test.each<[string, SettingValue, string]>([
    ['databases.orders.copy.rateLimt', '1MB', 'did you mean copy.rateLimit?'],
    ['databases.order.copy.rateLimit', '1MB', 'no database order in this migration; did you mean orders?'],
    ['databases.orders.source', 'x', "can't be changed in a running migration"],
    ['databases.orders.tables.include', '*.*', "can't be changed in a running migration"],
    ['databases.orders.taskQueue', 'x', "can't be changed in a running migration"],
    ['gates.switch.approvals', 0, 'expected databases.NAME.FIELD'],
    ['', 1, 'expected databases.NAME.FIELD'],
    ['databases', 1, 'expected databases.NAME.FIELD'],
    ['databases.__proto__.copy.rateLimit', '1MB', 'no database __proto__'],
    ['databases.orders.cutover.maxPause', '5', '5 has no unit'],
    ['databases.orders.cutover.maxPause', null, 'expected a duration'],
    ['databases.orders.cutover.attempts', '0', 'expected'],
    ['databases.orders.cutover.attempts', true, 'expected'],
    ['databases.orders.cutover.window', 'someday', 'expected a window such as'],
    ['databases.orders.cutover.window', 'mon 25:00-26:00', 'expected a time of day'],
    ['databases.orders.cutover.window', 'mon 01:00-01:00', 'the window is empty'],
    ['databases.orders.watch.onFailure', 'panic', 'expected'],
    ['databases.orders.validation.ignoreRules', 'payd', 'no rule payd in this database; did you mean paid?'],
    ['databases.orders.validation.ruleTimeout', '10ms', 'expected 1s to'],
  ])('%s = %s is refused with a reason', (path, value, expected) => {
    const answer = applySetting(shop(), path, value);
    expect(answer.ok).toBe(false);
    expect(!answer.ok && answer.error).toContain(expected);
  });

  test('rules can be neither waited for nor left out where there are none', () => {
    const [database] = shop().databases;
    if (database === undefined) throw new Error('the sample is wrong');
    const { parallelism, leafRows, lockTimeout, exclude } = database.validation;
    const bare = {
      ...shop(),
      databases: [{ ...database, validation: { parallelism, leafRows, lockTimeout, exclude } }],
    };
    for (const [field, value] of [
      ['ruleTimeout', '5m'],
      ['ignoreRules', 'paid'],
    ] as const) {
      expect(applySetting(bare, `databases.orders.validation.${field}`, value)).toMatchObject({
        ok: false,
        error: expect.stringContaining('has no rules') as string,
      });
    }
  });

  test('every settable field has a meaning, and names a place in the normal form', () => {
    const [orders] = shop().databases;
    for (const { path, meaning } of settable) {
      expect(meaning).not.toBe('');
      const [group = '', name = ''] = path.split('.');
      expect(orders).toHaveProperty([group, name]);
    }
  });

  test('what workflows use of the specification needs nothing of Node', async () => {
    const result = await build({
      entryPoints: ['settable', 'graph', 'gates', 'duration'].map(
        (name) => new URL(`../../spec/${name}.ts`, import.meta.url).pathname,
      ),
      bundle: true,
      write: false,
      outdir: '/unused',
      platform: 'neutral',
      mainFields: ['module', 'main'],
      logLevel: 'silent',
    });
    expect(result.errors).toEqual([]);
  });
});
