import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { DatabaseMove, SwitchInput } from '../../activities/contract.js';
import { injectFaults } from '../../activities/fault.js';
import { settle, switchWrites, undoSwitch } from '../../activities/postgres/cutover.js';
import type { NormalHook } from '../../spec/normal.js';
import { until } from '../support/clients.js';
import { fresh } from '../support/fresh-name.js';
import { HookServer } from '../support/hook-server.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { replicatedMove } from '../support/replicated-move.js';
import { accepts, dieAt, inputOf, SHORT_LEASE } from '../support/switching.js';
import { WRITER_TABLES, Writers } from '../support/writers.js';

let pair: ServerPair;
let hook: HookServer;
beforeAll(async () => {
  // The launcher starts an apply worker at most this often; the default of 5 s would only make the tests wait.
  pair = await startPair({ wal_retrieve_retry_interval: '200ms' });
});
afterAll(() => pair.destroy());
beforeEach(async () => {
  hook = await HookServer.start();
});
afterEach(async () => {
  injectFaults(null);
  await hook.stop();
});

const moveOf = (name: string, change: Partial<NormalHook> = {}): Promise<DatabaseMove> =>
  replicatedMove(pair, name, WRITER_TABLES, { ...SHORT_LEASE, endpoints: [hook.endpoint('edge', change)] });

const switching = (move: DatabaseMove, direction: SwitchInput['direction'] = 'forward') =>
  switchWrites(inputOf(move, direction));

const SWITCHED = { kind: 'switched' };

describe('a hook', () => {
  test('is called with who, where and how often, with its token and without any other secret, there and back', async () => {
    const name = fresh('called');
    process.env['TEST_HOOK_TOKEN'] = 'tok-en.123';
    const move = await moveOf(name, {
      token: { env: 'TEST_HOOK_TOKEN' },
      hosts: { source: null, target: { host: 'new.internal', port: 6000 } },
    });
    expect(await switching(move)).toMatchObject(SWITCHED);
    expect(hook.primary).toBe('target');
    await undoSwitch(move);
    expect(hook.primary).toBe('source');
    const [there, back] = hook.posts();
    expect(there).toEqual({
      action: 'lead',
      migration: move.migration,
      database: name,
      endpoint: 'edge',
      primary: 'target',
      place: { host: 'new.internal', port: 6000, database: name },
      epoch: 2,
      attempt: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
    });
    expect(back).toMatchObject({
      primary: 'source',
      place: { host: '127.0.0.1', port: pair.source.port, database: name },
      epoch: 3,
    });
    expect(hook.posts()).toHaveLength(2);
    expect(new Set(hook.seen.map(({ authorization }) => authorization))).toEqual(new Set(['Bearer tok-en.123']));
    expect(JSON.stringify(hook.posts())).not.toContain('postgres://');
  });

  test('whose answer was lost is asked, and not called again when it took effect', async () => {
    const name = fresh('lost_answer');
    const move = await moveOf(name);
    hook.next('POST /primary', { kind: 'apply, then drop the connection' });
    expect(await switching(move)).toMatchObject(SWITCHED);
    expect(hook.primary).toBe('target');
    expect(hook.posts()).toHaveLength(1);
  });

  test('whose call was lost is asked, and called again', async () => {
    const name = fresh('lost_call');
    const move = await moveOf(name, { timeout: 2_000 });
    hook.next('POST /primary', { kind: 'drop the connection' });
    hook.next('POST /primary', { kind: 'answer', status: 503 });
    hook.next('POST /primary', { kind: 'hang' });
    expect(await switching(move)).toMatchObject(SWITCHED);
    expect(hook.primary).toBe('target');
    expect(hook.posts()).toHaveLength(4);
  });

  test('that says by its status where it leads is understood', async () => {
    const name = fresh('by_status');
    const move = await moveOf(name, {
      check: { url: `${hook.url}/health`, status: { source: 200, target: 203 } },
    });
    hook.next('GET /health', { kind: 'answer', status: 200 }, 2);
    hook.next('GET /health', { kind: 'answer', status: 203 });
    expect(await switching(move)).toMatchObject(SWITCHED);
    expect(hook.primary).toBe('target');
    expect(hook.posts()).toHaveLength(1);
  });

  test('is not called by a rehearsal, nor by an attempt that is undone before its cede', async () => {
    const name = fresh('rehearsed');
    const move = await moveOf(name);
    expect(await switchWrites({ ...inputOf(move, 'forward'), mode: 'rehearse' })).toMatchObject({ kind: 'rehearsed' });
    injectFaults((point) => {
      if (point === 'switch.ready') throw new Error('an attempt that fails');
    });
    await expect(switching(move)).rejects.toThrow('an attempt that fails');
    expect(hook.posts()).toEqual([]);
    expect(hook.primary).toBe('source');
  });

  test.each(['cede', 'open', 'flip'])('is led on by the next attempt when the worker died after %s', async (point) => {
    const name = fresh(`died_${point}`);
    const move = await moveOf(name);
    const writers = Writers.start(pair, move.database.name);
    await writers.progress(20);
    await dieAt(`switch.${point}`, inputOf(move, 'forward'));
    expect(hook.primary).toBe(point === 'flip' ? 'target' : 'source');
    expect(await settle(move)).toEqual({ primary: 'target' });
    expect(hook.primary).toBe('target');
    expect(hook.posts()).toHaveLength(1);
    await writers.progress(20);
    expect(await writers.stop(pair.target)).toMatchObject({ unexpected: [], lost: 0, balanced: true });
  });

  test('leads where the writes are after two attempts at once', async () => {
    const name = fresh('at_once');
    const move = await moveOf(name);
    await Promise.allSettled([switching(move), switching(move)]);
    const { primary } = await settle(move);
    expect(hook.primary).toBe(primary);
    expect(await accepts(pair[primary], name)).toBe(true);
  });
});

describe('a hook that fails', () => {
  test.each([
    ['does not answer', { kind: 'drop the connection' }, 'did not answer as it should'],
    ['refuses', { kind: 'answer', status: 403 }, 'with 403; expected 2xx. Is its token the right one?'],
    ['says nothing', { kind: 'answer', status: 200, text: '<html>' }, "doesn't say where it leads"],
    [
      'sends the token elsewhere',
      { kind: 'answer', status: 307, headers: { location: 'http://elsewhere.test/x?key=s3cret' } },
      'leads to http://elsewhere.test. Redirects are not followed',
    ],
  ] as const)('before the switch, since it %s, stops it before anything is paused', async (_, what, message) => {
    const move = await moveOf(`before_${hook.url.split(':').at(-1)}`);
    hook.next('GET /primary', what, 1_000);
    const points: string[] = [];
    injectFaults((point) => void points.push(point));
    const failed = switching(move);
    await expect(failed).rejects.toMatchObject({
      type: 'EndpointFailed',
      message: expect.stringContaining(message) as string,
    });
    await expect(failed).rejects.not.toMatchObject({ message: expect.stringContaining('s3cret') as string });
    expect(points).not.toContain('switch.pause');
    expect(await accepts(pair.source, move.database.name)).toBe(true);
  });

  test('since it leads to the target already, stops it before anything is paused', async () => {
    const name = fresh('elsewhere');
    const move = await moveOf(name);
    hook.primary = 'target';
    await expect(switching(move)).rejects.toMatchObject({
      message: expect.stringContaining('says that it leads to the target, and the source takes the writes') as string,
    });
    expect(await accepts(pair.source, name)).toBe(true);
  });

  test('after the cede holds nobody up past the budget: the new side takes writes, and the next attempt moves it', async () => {
    const name = fresh('after_cede');
    const move = await moveOf(name);
    const writers = Writers.start(pair, name);
    await writers.progress(20);
    injectFaults((point) => {
      if (point === 'switch.cede') hook.next('GET /primary', { kind: 'hang' }, 1_000);
    });
    await expect(switching(move)).rejects.toMatchObject({ type: 'EndpointFailed' });
    await writers.progress(20);
    expect(await accepts(pair.target, name)).toBe(true);
    expect(await accepts(pair.source, name)).toBe(false);
    injectFaults(null);
    const well = await HookServer.start();
    try {
      // The same hook, come back at another port.
      const endpoints = [well.endpoint('edge')];
      const again = { ...move, database: { ...move.database, endpoints } };
      expect(await switching(again)).toMatchObject(SWITCHED);
      expect(well.primary).toBe('target');
    } finally {
      await well.stop();
    }
    expect(await writers.stop(pair.target)).toMatchObject({ unexpected: [], lost: 0, handovers: 1, balanced: true });
  });
});

describe('while a hook fails after the cede', () => {
  const flowsBack = async (name: string, id: number): Promise<void> => {
    await pair.target.query(`insert into account values (${id}, 0)`, [], name);
    await until(pair.source, name, `select from account where id = ${id}`);
  };
  const flowsThere = async (name: string, id: number): Promise<void> => {
    await pair.source.query(`insert into account values (${id}, 0)`, [], name);
    await until(pair.target, name, `select from account where id = ${id}`);
  };
  /** No answer that says where it leads, at once and for good. */
  const broken = (): void => hook.next('GET /primary', { kind: 'answer', status: 403 }, 1_000);

  test('changes flow back from the new side, and the slot of the other direction is gone', async () => {
    const name = fresh('fails_flows');
    const move = await moveOf(name);
    injectFaults((point) => {
      if (point === 'switch.cede') broken();
    });
    await expect(switching(move)).rejects.toMatchObject({ type: 'EndpointFailed' });
    await flowsBack(name, 500);
    // Nor do the attempts that follow stop it.
    await expect(switching(move)).rejects.toMatchObject({ type: 'EndpointFailed' });
    await flowsBack(name, 501);
    expect(hook.primary).toBe('source');
    const slots = `select slot_name from pg_replication_slots where slot_name like 'godwit_${move.key}%'`;
    expect(await pair.source.query(slots)).toEqual([]);
    expect(await pair.target.query(slots)).toHaveLength(1);
    expect(await accepts(pair.source, name)).toBe(false);
  });

  test.each(['cede', 'open'])('and the worker died at %s, whoever settles it lets changes flow back', async (point) => {
    const name = fresh(`fails_after_${point}`);
    const move = await moveOf(name);
    await dieAt(`switch.${point}`, inputOf(move, 'forward'));
    broken();
    await expect(settle(move)).rejects.toMatchObject({ type: 'EndpointFailed' });
    await flowsBack(name, 600);
    await expect(settle(move)).rejects.toMatchObject({ type: 'EndpointFailed' });
    await flowsBack(name, 601);
  });

  test('and an attempt that is undone because it could not cede leaves changes flowing to the target', async () => {
    const name = fresh('fails_undone');
    const move = await moveOf(name, { hold: hook.hold });
    injectFaults((point) => {
      if (point !== 'switch.ready') return;
      broken();
      throw new Error('an attempt that fails');
    });
    await expect(switching(move)).rejects.toMatchObject({ type: 'EndpointFailed' });
    expect(await accepts(pair.source, name)).toBe(true);
    await flowsThere(name, 700);
  });
});

describe('a hook that can hold its clients', () => {
  test('is paused before the fence with a limit, and resumed once it leads to the new side', async () => {
    const name = fresh('holds');
    const move = await moveOf(name, { hold: hook.hold });
    let heldAtFence = false;
    injectFaults((point) => {
      if (point === 'switch.fence') heldAtFence = hook.held;
    });
    expect(await switching(move)).toMatchObject(SWITCHED);
    expect(heldAtFence).toBe(true);
    expect(hook.held).toBe(false);
    const order = hook.seen.filter(({ method }) => method === 'POST').map(({ path }) => path);
    expect(order).toEqual(['/pause', '/primary', '/resume']);
    expect(hook.posts('/pause')).toMatchObject([
      { action: 'pause', primary: 'source', atMostMs: SHORT_LEASE.cutover.maxPause },
    ]);
    expect(hook.posts('/resume')).toMatchObject([{ action: 'resume', primary: 'target' }]);
  });

  test.each([
    ['can not now', { kind: 'answer', status: 409 }],
    ['does not answer in time', { kind: 'hang' }],
    ['took effect, and its answer was lost each time', { kind: 'apply, then drop the connection' }],
  ] as const)('says not-now when its pause %s, and is resumed', async (_, what) => {
    const move = await moveOf(`not_now_${hook.url.split(':').at(-1)}`, { hold: hook.hold });
    hook.next('POST /pause', what, 1_000);
    const outcome = await switching(move);
    expect(outcome).toMatchObject({ kind: 'not-now', reason: expect.stringContaining('edge') as string });
    expect(hook.held).toBe(false);
    expect(hook.posts('/resume')).not.toEqual([]);
    expect(await accepts(pair.source, move.database.name)).toBe(true);
  });

  test('left held by a dead attempt is resumed by the next', async () => {
    const name = fresh('left_held');
    const move = await moveOf(name, { hold: hook.hold });
    await dieAt('switch.pause', inputOf(move, 'forward'));
    expect(hook.held).toBe(true);
    expect(await settle(move)).toEqual({ primary: 'source' });
    expect(hook.held).toBe(false);
  });
});
