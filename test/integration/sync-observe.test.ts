import { afterAll, beforeAll, expect, test } from 'vitest';
import { initialSync } from '../../activities/postgres/copy/initial-sync.js';
import { catchUp } from '../../activities/postgres/replication/catch-up.js';
import { observe, writerOf } from '../../activities/postgres/replication/observe.js';
import { undoInitialSync } from '../../activities/postgres/replication/undo.js';
import { fresh } from '../support/fresh-name.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';
import { prepareReplication, undoPreparation, until } from '../support/sync.js';

let pair: ServerPair;
beforeAll(async () => {
  pair = await startPair({ wal_retrieve_retry_interval: '100ms' });
});
afterAll(() => pair.destroy());

async function database(name: string): Promise<void> {
  await pair.source.createDatabase(name);
  await pair.target.createDatabase(name);
  await pair.source.query('create table item (id int primary key, name text); insert into item values (1)', [], name);
}

test('a scope that is nowhere has no primary, and nothing flows', async () => {
  const name = fresh('nowhere');
  await database(name);
  expect(await observe(moveOf(pair, name))).toEqual({
    primary: null,
    authority: { source: null, target: null },
    replicating: null,
    lagMs: null,
    retainedBytes: null,
    problems: [],
    warnings: [],
    stranger: null,
    drift: null,
    lost: null,
    overLimit: null,
    progress: '',
    waiting: [],
    bypassing: [],
  });
});

test('while replication runs, lag and retained WAL are told, and no problem is', async () => {
  const name = fresh('well');
  await database(name);
  const move = moveOf(pair, name);
  await prepareReplication(move);
  expect(await observe(move)).toMatchObject({ primary: 'source', replicating: null, lagMs: null });
  await initialSync(move);
  await catchUp(move);
  const seen = await observe(move);
  expect(seen).toMatchObject({
    primary: 'source',
    authority: { source: { state: 'open', epoch: 1 }, target: { state: 'closed', epoch: 1 } },
    replicating: 'forward',
    problems: [],
  });
  // A machine that stood still just now was late, too.
  await expect.poll(async () => (await observe(move)).lagMs).toBeLessThan(2_000);
  expect(seen.retainedBytes).toBeGreaterThanOrEqual(0);
  await undoPreparation(move);
});

test('a change that can not be applied is a problem with a count, and its lag grows', async () => {
  const name = fresh('stuck');
  await database(name);
  const move = moveOf(pair, name);
  await prepareReplication(move);
  await initialSync(move);
  await catchUp(move);
  await pair.target.query('alter table item drop column name', [], name);
  await pair.source.query(`update item set name = 'x'`, [], name);
  await until(async () => {
    const { problems } = await observe(move);
    return problems.some((problem) => /failed \d+ times/.test(problem));
  }, 'the apply error is counted');
  await expect.poll(async () => (await observe(move)).lagMs).toBeGreaterThan(1_000);
  await pair.target.query('alter table item add column name text', [], name);
  await catchUp(move);
  expect(await observe(move)).toMatchObject({ problems: [], replicating: 'forward' });
  await undoPreparation(move);
});

test('catching up fails for good when the slot is gone', async () => {
  const name = fresh('lost');
  await database(name);
  const move = moveOf(pair, name);
  await prepareReplication(move);
  await initialSync(move);
  await catchUp(move);
  const slot = `godwit_${move.key}_forward`;
  await pair.target.query(`alter subscription ${slot} disable`, [], name);
  expect((await observe(move)).problems).toContain('the subscription on the target is disabled');
  await until(async () => {
    await pair.source.query(`select pg_drop_replication_slot($1)`, [slot]).catch(() => undefined);
    return (await pair.source.query('select from pg_replication_slots where slot_name = $1', [slot])).length === 0;
  }, 'the slot is dropped');
  await expect(catchUp(move)).rejects.toMatchObject({ type: 'ReplicationBroken' });
  await undoInitialSync(move);
  await undoPreparation(move);
});

test('one server that does not answer is a problem in the answer; two are a failure', async () => {
  const name = fresh('away');
  await database(name);
  const move = moveOf(pair, name);
  await prepareReplication(move);
  await pair.target.stop();
  try {
    const seen = await observe(move);
    expect(seen).toMatchObject({ primary: 'source', authority: { target: null } });
    expect(seen.problems.join()).toContain('could not connect to the target');
    await pair.source.stop();
    await expect(observe(move)).rejects.toMatchObject({ type: 'DatabaseUnreachable' });
  } finally {
    await Promise.all([pair.source.restart(), pair.target.restart()]);
  }
  await undoPreparation(move);
});

test.each([
  ['open', 'closed', 'source'],
  ['leased', 'closed', 'source'],
  ['leased', 'ready', 'source'],
  ['closed', 'ready', 'target'],
  ['closed', 'open', 'target'],
  ['ready', 'leased', 'target'],
  ['ready', 'closed', 'source'],
] as const)('with the source %s and the target %s, writes are or will be with the %s', (source, target, primary) => {
  expect(writerOf({ source: { epoch: 1, state: source }, target: { epoch: 1, state: target } })).toBe(primary);
});
