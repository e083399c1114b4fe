import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { gateOf } from '../../spec/approvals.js';
import { normalizeMigration } from '../../spec/normalize.js';
import { problemText } from '../../spec/problems.js';
import { normalize } from '../../activities/normalize.js';

const database = (more: object = {}) => ({
  source: { url: { env: 'SOURCE' } },
  target: { url: { env: 'TARGET' } },
  ...more,
});

function migration(databases: Record<string, object>, more: object = {}) {
  return {
    apiVersion: 'godwit.dev/v1alpha1',
    kind: 'Migration',
    metadata: { name: 'shop' },
    spec: { databases, ...more },
  };
}

function normalOf(document: unknown) {
  const answer = normalizeMigration(document);
  if (!answer.ok) throw new Error(answer.problems.map(problemText).join('\n'));
  return answer.normal;
}

function problemsOf(document: unknown): string[] {
  const answer = normalizeMigration(document);
  return answer.ok ? [] : answer.problems.map(problemText);
}

const bouncer = (more: object = {}) => ({
  pgbouncer: { admin: { env: 'ADMIN' }, database: 'orders', configFile: '/x.ini', ...more },
});

describe('the normal form', () => {
  test('says of unlogged tables what is asked for, and nothing where nothing is', () => {
    const unlogged = { 'shop.cache': 'empty', 'shop.session_*': 'copy' };
    const [asked] = normalOf(migration({ orders: database({ tables: { unlogged } }) })).databases;
    expect(asked?.tables).toEqual({ include: ['*.*'], exclude: [], rowFilters: {}, unlogged });
    const [silent] = normalOf(migration({ orders: database({ tables: { unlogged: {} } }) })).databases;
    expect(silent?.tables).not.toHaveProperty('unlogged');
  });

  test('holds rules of the user as a reconciliation does, with their defaults; and nothing of them where there are none', () => {
    const rules = [
      { name: 'paid', noRows: { sql: 'select 1' } },
      { name: 'turnover', same: { sql: 'select 2' }, severity: 'low' },
    ];
    const [asked] = normalOf(migration({ orders: database({ validation: { rules } }) })).databases;
    expect(asked?.validation).toMatchObject({
      rules: [
        { kind: 'no-rows', name: 'paid', sql: 'select 1', on: ['source', 'target'], severity: null },
        {
          kind: 'same',
          name: 'turnover',
          sql: { source: 'select 2', target: 'select 2' },
          tolerance: 0,
          severity: 'low',
        },
      ],
      ruleTimeout: 60_000,
      ignoreRules: [],
    });
    const [silent] = normalOf(migration({ orders: database({ validation: { ruleTimeout: '5m' } }) })).databases;
    expect(silent?.validation).toEqual({ parallelism: 2, leafRows: 1_000, lockTimeout: 2_000, exclude: [] });
  });

  test('holds every default, in milliseconds and bytes', () => {
    expect(normalOf(migration({ orders: database() }))).toEqual({
      version: 1,
      name: 'shop',
      databases: [
        {
          name: 'orders',
          unit: 'database/orders',
          dependsOn: [],
          source: { env: 'SOURCE' },
          target: { env: 'TARGET' },
          tables: { include: ['*.*'], exclude: [], rowFilters: {} },
          schema: 'copy',
          endpoints: [],
          copy: {
            parallelism: 4,
            rangeSize: 64 * 1024 * 1024,
            rateLimit: null,
            workers: 1,
            slowDown: { standbyLag: null, activeSessions: null },
          },
          cutover: {
            maxPause: 5_000,
            maxLag: 5_000,
            attempts: 5,
            waitBetweenAttempts: 60_000,
            window: null,
            standbys: { ignore: [] },
          },
          lookout: { every: 30_000, maxLag: 60_000, stall: 1_800_000, maxRetainedWal: null, onLimit: 'hold' },
          watch: { for: 72 * 3_600_000, every: 30_000, validateEvery: 6 * 3_600_000, onFailure: 'hold' },
          validation: { parallelism: 2, leafRows: 1_000, lockTimeout: 2_000, exclude: [] },
          taskQueues: {
            light: 'godwit',
            bulk: 'godwit-bulk',
            snapshot: 'godwit-snapshot',
            switch: 'godwit-switch',
          },
        },
      ],
      gates: [
        { id: 'prepare', stage: 'prepare', unit: null, approvals: 0, validFor: 86_400_000 },
        { id: 'switch', stage: 'switch', unit: null, approvals: 1, validFor: 86_400_000 },
        { id: 'finalize', stage: 'finalize', unit: null, approvals: 1, validFor: 86_400_000 },
      ],
      rollback: { databases: 1_800_000, infrastructure: 900_000, services: 300_000, traffic: 120_000 },
    });
  });

  test('survives the way through a workflow history unchanged', () => {
    const normal = normalOf(migration({ orders: database({ endpoints: [bouncer()] }) }));
    expect(JSON.parse(JSON.stringify(normal))).toEqual(normal);
  });

  test('holds what was written', () => {
    const [orders] = normalOf(
      migration({
        orders: database({
          copy: { rateLimit: '20MB/s', rangeSize: '1GiB' },
          cutover: { window: { days: ['fri', 'mon', 'mon'], from: '22:00', to: '04:00' } },
          watch: { validateEvery: 'none' },
          endpoints: [
            bouncer({ hosts: { target: '[fd00::5]:6432' } }),
            bouncer({ name: 'second', database: 'orders-ro' }),
          ],
          taskQueue: 'eu',
        }),
      }),
    ).databases;
    expect(orders?.copy).toMatchObject({ rateLimit: 20_000_000, rangeSize: 2 ** 30 });
    expect(orders?.cutover.window).toEqual({ days: [1, 5], from: 22 * 60, to: 4 * 60 });
    expect(orders?.watch.validateEvery).toBeNull();
    expect(orders?.endpoints.map(({ name }) => name)).toEqual(['pgbouncer-1', 'second']);
    expect(orders?.endpoints[0]).toMatchObject({ hosts: { source: null, target: { host: 'fd00::5', port: 6432 } } });
    expect(orders?.taskQueues).toEqual({ light: 'eu', bulk: 'eu-bulk', snapshot: 'eu-snapshot', switch: 'eu-switch' });
  });

  test('knows four kinds of endpoint, each with its defaults', () => {
    const [orders] = normalOf(
      migration({
        orders: database({
          endpoints: [
            { multiHost: {} },
            { hook: { url: 'https://edge/primary' } },
            {
              hook: {
                name: 'proxy',
                url: 'http://proxy:8080/lead',
                token: { env: 'TOKEN' },
                check: { url: 'http://proxy:8080/health', status: { source: 200, target: 203 } },
                pause: 'http://proxy:8080/pause',
                resume: 'http://proxy:8080/resume',
                timeout: '500ms',
                hosts: { target: 'new:5432' },
              },
            },
            { none: {} },
          ],
        }),
      }),
    ).databases;
    expect(orders?.endpoints).toEqual([
      { kind: 'multiHost', name: 'multi-host-1', roles: null, applications: null },
      {
        kind: 'hook',
        name: 'hook-2',
        url: 'https://edge/primary',
        token: null,
        check: { url: 'https://edge/primary', status: null },
        hold: null,
        timeout: 2_000,
        hosts: { source: null, target: null },
      },
      {
        kind: 'hook',
        name: 'proxy',
        url: 'http://proxy:8080/lead',
        token: { env: 'TOKEN' },
        check: { url: 'http://proxy:8080/health', status: { source: 200, target: 203 } },
        hold: { pause: 'http://proxy:8080/pause', resume: 'http://proxy:8080/resume' },
        timeout: 500,
        hosts: { source: null, target: { host: 'new', port: 5432 } },
      },
      { kind: 'none', name: 'none-4' },
    ]);
  });

  test("a unit's own gate stands in place of its stage's, and the stage's is gone when nothing waits for it", () => {
    const both = { customers: database(), orders: database({ source: { url: { env: 'OTHER' } } }) };
    const one = normalOf(
      migration(both, { gates: { 'switch:database/orders': { approvals: 2 }, finalize: { approvals: 0 } } }),
    );
    expect(gateOf(one.gates, 'switch', 'database/orders')).toMatchObject({
      id: 'switch:database/orders',
      approvals: 2,
    });
    expect(gateOf(one.gates, 'switch', 'database/customers')).toMatchObject({ id: 'switch', approvals: 1 });
    expect(gateOf(one.gates, 'prepare', 'database/orders')).toBeNull();
    expect(gateOf(one.gates, 'finalize', 'database/orders')).toBeNull();
    const all = normalOf(
      migration(both, { gates: { 'switch:database/orders': {}, 'switch:database/customers': {}, switch: {} } }),
    );
    expect(all.gates.filter(({ stage }) => stage === 'switch').map(({ id }) => id)).toEqual([
      'switch:database/orders',
      'switch:database/customers',
    ]);
  });
});

describe('what no schema can say', () => {
  test.each<[string, unknown, string]>([
    [
      'source and target by the same reference',
      migration({ orders: database({ target: { url: { env: 'SOURCE' } } }) }),
      'spec.databases.orders.target.url: expected another database than the source',
    ],
    [
      'a dependency that is not there',
      migration({ orders: database({ dependsOn: ['database/customer'] }), customers: database() }),
      'spec.databases.orders.dependsOn[0]: no such unit in this migration; did you mean database/customers?',
    ],
    [
      'a dependency without its type',
      migration({ orders: database({ dependsOn: ['customers'] }), customers: database() }),
      'write database/customers',
    ],
    [
      'a unit that waits for itself',
      migration({ orders: database({ dependsOn: ['database/orders'] }) }),
      'found this one itself',
    ],
    [
      'units that wait for each other',
      migration({ a: database({ dependsOn: ['database/b'] }), b: database({ dependsOn: ['database/a'] }) }),
      'found a circle: database/a waits for database/b waits for database/a',
    ],
    [
      'an unknown gate',
      migration({ orders: database() }, { gates: { swich: {} } }),
      'spec.gates.swich: no such gate; did you mean switch?',
    ],
    [
      'a gate of an unknown unit',
      migration({ orders: database() }, { gates: { 'switch:database/order': {} } }),
      'spec.gates["switch:database/order"]: no such gate; did you mean switch:database/orders?',
    ],
    [
      'a gate where no one waits',
      migration({ orders: database() }, { gates: { watch: {} } }),
      'write STAGE or STAGE:UNIT',
    ],
    [
      'endpoints of one name',
      migration({ orders: database({ endpoints: [bouncer({ name: 'a' }), bouncer({ name: 'a', database: 'b' })] }) }),
      'endpoints[1].pgbouncer.name: expected a name of its own, found a twice',
    ],
    [
      'an endpoint of no kind',
      migration({ orders: database({ endpoints: [{}] }) }),
      'endpoints[0]: expected one kind of endpoint, pgbouncer, multiHost, hook or none, found none',
    ],
    [
      'an endpoint of two kinds',
      migration({ orders: database({ endpoints: [{ ...bouncer(), none: {} }] }) }),
      'found pgbouncer and none; write each as an entry of the list',
    ],
    [
      'two hints for one database',
      migration({ orders: database({ endpoints: [{ multiHost: {} }, { multiHost: { roles: ['a'] } }] }) }),
      'endpoints[1].multiHost: expected one multiHost at most',
    ],
    [
      'a hook that holds clients and never lets them go',
      migration({ orders: database({ endpoints: [{ hook: { url: 'http://a/', pause: 'http://a/p' } }] }) }),
      'endpoints[0].hook.pause: expected resume beside it',
    ],
    [
      'the same hook twice',
      migration({ orders: database({ endpoints: [{ hook: { url: 'http://a/' } }, { hook: { url: 'http://a/' } }] }) }),
      'endpoints[1].hook.url: expected a URL of its own, found that of endpoints[0]',
    ],
    [
      'kinds of one name',
      migration({ orders: database({ endpoints: [{ none: { name: 'a' } }, { multiHost: { name: 'a' } }] }) }),
      'endpoints[1].multiHost.name: expected a name of its own, found a twice',
    ],
    [
      'the same process and entry twice',
      migration({ orders: database({ endpoints: [bouncer(), bouncer()] }) }),
      'found the same as endpoints[0]; give each PgBouncer process an address of its own',
    ],
    [
      'an empty window',
      migration({ orders: database({ cutover: { window: { from: '01:00', to: '01:00' } } }) }),
      'cutover.window: the window is empty',
    ],
    ['no database', migration({}), 'spec: expected at least one unit, under databases or under traffic'],
    [
      'a name that is no label',
      migration({ Orders_1: database() }),
      'spec.databases.Orders_1: expected 1 to 63 lower-case letters',
    ],
    ['text in place of a document', 'apiVersion: …', 'expected a mapping, found text'],
    ['nothing at all', undefined, 'expected a mapping'],
  ])('%s is refused', (_, document, expected) => {
    expect(problemsOf(document).join('\n')).toContain(expected);
  });

  test('no value makes it throw', () => {
    fc.assert(
      fc.property(fc.anything(), fc.anything(), (any, other) => {
        expect(problemsOf(any)).not.toEqual([]);
        problemsOf(migration({ orders: database({ copy: any, tables: other, endpoints: [any] }) }, { gates: other }));
      }),
    );
  });
});

describe('the activity normalize', () => {
  test('fails for good with InvalidSpec, naming every problem by its path', async () => {
    const attempt = normalize({ document: migration({ orders: database({ schema: 'x', copy: 1 }) }) });
    await expect(attempt).rejects.toMatchObject({ type: 'InvalidSpec', nonRetryable: true });
    await expect(attempt).rejects.toThrow(
      /2 problems:\n- spec\.databases\.orders\.schema[^]*- spec\.databases\.orders\.copy/,
    );
  });
});
