import getPort from 'get-port';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { DatabaseMove } from '../../activities/contract.js';
import { planDatabase } from '../../activities/plan/database.js';
import { preflightDatabase } from '../../activities/preflight/preflight.js';
import type { NormalDatabase, NormalEndpoint, NormalHook, NormalMultiHost } from '../../spec/normal.js';
import { connect } from '../support/clients.js';
import { fresh } from '../support/fresh-name.js';
import { HookServer } from '../support/hook-server.js';
import { find, repair } from '../support/preflight.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';

let pair: ServerPair;
let hook: HookServer;
beforeAll(async () => {
  pair = await startPair();
  for (const server of [pair.source, pair.target]) await server.createDatabase('shop');
  await pair.source.query(
    'create table orders (id int primary key); create table other (id int primary key)',
    [],
    'shop',
  );
});
afterAll(() => pair.destroy());
beforeEach(async () => {
  hook = await HookServer.start();
});
afterEach(() => hook.stop());

const DRIVERS: NormalMultiHost = { kind: 'multiHost', name: 'drivers', roles: null, applications: null };

/** Answers as soon as this process goes on, however long it stood still. */
const edgeOf = (change: Partial<NormalHook> = {}): NormalHook => hook.endpoint('edge', { timeout: 30_000, ...change });

const withEndpoints = (endpoints: NormalEndpoint[], change: Partial<NormalDatabase> = {}): DatabaseMove =>
  moveOf(pair, 'shop', { endpoints, ...change });

const serious = async (move: DatabaseMove): Promise<string[]> =>
  (await preflightDatabase(move)).filter(({ severity }) => severity !== 'info').map(({ id }) => id);

test('endpoints of every kind that are ready have nothing to mend', async () => {
  const endpoints = [DRIVERS, edgeOf(), { kind: 'none', name: 'reports' } as const];
  expect(await serious(withEndpoints(endpoints))).toEqual([]);
  expect(hook.posts()).toEqual([]);
});

describe('multiHost', () => {
  test('with a part of the tables is refused, and those that stay are named', async () => {
    const move = withEndpoints([DRIVERS], { tables: { include: ['public.orders'], exclude: [] } });
    expect(await find(move, 'multi-host-partial-scope')).toMatchObject({
      severity: 'error',
      evidence: 'these stay: public.other',
    });
  });

  test('needs the owner of the database, and names the grant that mends it', async () => {
    const [lord, mover] = [fresh('lord'), fresh('mover')];
    for (const server of [pair.source, pair.target]) {
      await server.query(`create role ${lord}; create role ${mover} login password 'mover'`);
      await server.query(`alter database shop owner to ${lord}`);
    }
    process.env['TEST_MOVER'] = pair.source.url('shop', mover, 'mover');
    const move = withEndpoints([DRIVERS], { source: { env: 'TEST_MOVER' } });
    const finding = await find(move, 'multi-host-not-owner', 'source');
    expect(finding).toMatchObject({ severity: 'error', repair: [`GRANT ${lord} TO ${mover}`] });
    await repair(finding, pair.source, 'shop');
    expect(await find(move, 'multi-host-not-owner', 'source')).toBeUndefined();
    const stay = await find(move, 'multi-host-sessions-stay', 'source');
    expect(stay).toMatchObject({
      severity: 'warning',
      repair: [`GRANT pg_read_all_stats TO ${mover}`, `GRANT pg_signal_backend TO ${mover}`],
    });
    await repair(stay, pair.source, 'shop');
    expect(await find(move, 'multi-host-sessions-stay', 'source')).toBeUndefined();
  });

  test('is undermined by settings of roles, which are named with what takes them away', async () => {
    onTestFinished(async () => {
      await pair.source.query('drop role if exists "App", reader');
    });
    await pair.source.query(
      `create role "App" login; alter role "App" set default_transaction_read_only = off;
       create role reader login; alter role reader in database shop set default_transaction_read_only = on`,
      [],
      'shop',
    );
    const move = withEndpoints([DRIVERS]);
    const finding = await find(move, 'multi-host-role-setting', 'source');
    expect(finding).toMatchObject({
      severity: 'warning',
      evidence: '"App": default_transaction_read_only=off, reader in this database: default_transaction_read_only=on',
      repair: [
        'ALTER ROLE "App" RESET default_transaction_read_only',
        'ALTER ROLE reader IN DATABASE shop RESET default_transaction_read_only',
      ],
    });
    await repair(finding, pair.source, 'shop');
    expect(await find(move, 'multi-host-role-setting', 'source')).toBeUndefined();
  });

  test('is refused while the database says already that it is read-only', async () => {
    const reset = (): Promise<unknown> => pair.target.query('alter database shop reset default_transaction_read_only');
    onTestFinished(async () => {
      await reset();
    });
    await pair.target.query('alter database shop set default_transaction_read_only = on');
    const finding = await find(withEndpoints([DRIVERS]), 'multi-host-read-only', 'target');
    expect(finding).toMatchObject({
      severity: 'error',
      repair: ['ALTER DATABASE shop RESET default_transaction_read_only'],
    });
    await reset();
    expect(await find(withEndpoints([DRIVERS]), 'multi-host-read-only', 'target')).toBeUndefined();
  });
});

describe('a hook', () => {
  test('that can not be reached is an error', async () => {
    const free = await getPort({ host: '127.0.0.1' });
    const gone = edgeOf({ check: { url: `http://127.0.0.1:${free}/primary`, status: null } });
    expect(await find(withEndpoints([gone]), 'hook-unreachable')).toMatchObject({
      severity: 'error',
      side: 'endpoint',
      evidence: expect.stringContaining('ECONNREFUSED') as string,
    });
  });

  test.each([
    [{ kind: 'answer', status: 401 }, '401'],
    [{ kind: 'answer', status: 200, text: '{"primary":"somewhere"}' }, 'expected {"primary": "source"}'],
    [{ kind: 'answer', status: 302, headers: { location: 'http://other.test/' } }, 'leads to http://other.test'],
  ] as const)('that answers with %j is an error', async (what, evidence) => {
    hook.next('GET /primary', what);
    expect(await find(withEndpoints([edgeOf()]), 'hook-answer')).toMatchObject({
      severity: 'error',
      evidence: expect.stringContaining(evidence) as string,
    });
  });

  test('that leads to the target already is an error', async () => {
    hook.primary = 'target';
    expect(await find(withEndpoints([edgeOf()]), 'hook-elsewhere')).toMatchObject({ severity: 'error' });
  });

  test('whose token goes over the network in clear text is a warning, and the token is not in it', async () => {
    process.env['TEST_HOOK_CLEAR'] = 'a-token';
    const edge = edgeOf({ url: 'http://edge.internal/primary', token: { env: 'TEST_HOOK_CLEAR' } });
    const finding = await find(withEndpoints([edge]), 'hook-token-in-clear');
    expect(finding).toMatchObject({ severity: 'warning', evidence: 'edge is called at http://edge.internal' });
    expect(JSON.stringify(finding)).not.toContain('a-token');
  });

  test('whose token can be no header fails by name, without the token', async () => {
    process.env['TEST_HOOK_BROKEN'] = 'a-token\nwith-a-break';
    const edge = edgeOf({ token: { env: 'TEST_HOOK_BROKEN' } });
    const findings = await preflightDatabase(withEndpoints([edge]));
    expect(findings.find(({ id }) => id === 'check-failed')?.evidence).toContain('the token of the hook edge');
    expect(JSON.stringify(findings)).not.toContain('with-a-break');
  });
});

describe('clients that connect to the source itself', () => {
  test('are named with what becomes of them: ended, refused, or bypassing', async () => {
    const shop = await connect(pair.source.url('shop'), 'storefront');
    const cron = await connect(pair.source.url('shop'), 'cron');
    try {
      const some = { ...DRIVERS, applications: ['storefront'] };
      const evidence = async (endpoints: NormalEndpoint[], id: string) =>
        (await find(withEndpoints(endpoints), id))?.evidence;
      expect(await evidence([some], 'clients-ended')).toContain('storefront (user postgres)');
      expect(await evidence([some], 'pooler-bypassed')).toContain('cron');
      expect(await evidence([some, { kind: 'none', name: 'rest' }], 'clients-refused')).toContain('cron');
      expect(await evidence([some, { kind: 'none', name: 'rest' }], 'pooler-bypassed')).toBeUndefined();
      expect(await evidence([edgeOf()], 'clients-refused')).toMatch(/cron.*storefront/);
      expect(await evidence([DRIVERS], 'clients-ended')).toMatch(/cron.*storefront/);
    } finally {
      await Promise.all([shop.end(), cron.end()]);
    }
  });
});

test('the plan says what each kind touches, and how it goes back', async () => {
  const endpoints = [
    { ...DRIVERS, roles: ['app'] },
    edgeOf({ hold: hook.hold }),
    { kind: 'none', name: 'rest' } as const,
  ];
  const { steps } = await planDatabase(withEndpoints(endpoints));
  const at = (title: string) => steps.find((step) => step.title.startsWith(title));
  const schema = at('Copy the schema');
  expect(schema?.touches.join('\n')).toContain('target: default_transaction_read_only = on for its database');
  expect(schema?.undo).toContain('default_transaction_read_only of both databases as it was found');
  const moved = at('Move the writes');
  const touches = moved?.touches.join('\n');
  expect(touches).toContain('endpoint drivers: default_transaction_read_only');
  expect(touches).toContain('sessions of the roles app on the source ended');
  expect(touches).toContain(`endpoint edge: POST ${hook.url}/pause while it lasts`);
  expect(touches).toContain(
    `endpoint edge: POST ${hook.url}/primary with primary target, at 127.0.0.1:${pair.target.port}`,
  );
  expect(touches).toContain('endpoint rest: nothing; its clients meet SQLSTATE 25006');
  expect(moved?.undo).toContain(`endpoint edge: POST ${hook.url}/primary with primary source`);
  expect(moved?.undo).toContain(
    "endpoint drivers: default_transaction_read_only of the source's database as it was found",
  );
});
