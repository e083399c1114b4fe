/** What is looked at all the time before the switch, and what a person's `retry` does about it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lookoutOf } from '../../spec/normal.js';
import type { NormalLookout } from '../../spec/normal.js';
import { Lab, type Migration, type TestDocument } from '../support/migrations.js';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
});
afterAll(async () => {
  await lab.stop();
});

const LONG_WATCH = { for: 3_600_000, every: 20, validateEvery: null, onFailure: 'undo' } as const;

const orders = (change: Partial<NormalLookout> = {}): TestDocument => ({
  databases: [{ name: 'orders', lookout: { ...lookoutOf({}), every: 20, ...change }, watch: LONG_WATCH }],
});

async function abort(migration: Migration): Promise<void> {
  await migration.send('abort');
  expect((await migration.result()).state).toBe('undone');
  expect(migration.model.leftBehind).toEqual([]);
  expect(migration.model.broken).toEqual([]);
}

describe.concurrent('before the switch', () => {
  it('DDL holds at the gate, an approval does not pass it, and retry goes on once both sides have it, comparing anew', async () => {
    const migration = await lab.migrate(orders());
    await migration.reachesGate('switch');
    migration.model.drift = { changed: ['source'], differences: ['shop.item: column colour is missing'] };
    const held = await migration.reaches('needs-attention');
    expect(held.reason).toContain('shop.item: column colour is missing');
    expect(held.units[0]?.problem?.type).toBe('SchemaMismatch');
    await migration.approve('switch');
    expect(migration.model.count('switchWrites')).toBe(0);

    migration.model.fail('adoptShape', 'SchemaMismatch', 'the two sides still differ');
    await migration.send('retry');
    await migration.until('the refusal', () => migration.model.count('adoptShape') === 1);
    await migration.until('another look', () => migration.model.order.at(-1) === 'observe orders');
    expect((await migration.status()).state).toBe('needs-attention');
    expect(migration.model.count('switchWrites')).toBe(0);

    await migration.send('retry');
    await migration.until('the switch', ({ stage }) => stage === 'watch');
    expect(migration.model.order.lastIndexOf('adoptShape orders')).toBeLessThan(
      migration.model.order.lastIndexOf('validate orders'),
    );
    await abort(migration);
  });

  it('clients that come past the pooler show beside the open gate, also once they are gone, and hold nothing', async () => {
    const migration = await lab.migrate(orders());
    await migration.reachesGate('switch');
    migration.model.bypassing = ['cron (user batch) from 10.0.0.7'];
    await migration.until(
      'the first client',
      ({ reason }) => reason?.includes('cron (user batch) from 10.0.0.7') === true,
    );
    migration.model.bypassing = ['report (user ana) from 10.0.0.8'];
    const shown = await migration.until('the next one', ({ reason }) => reason?.includes('report (user ana)') === true);
    expect(shown.reason).toContain('cron (user batch)');
    expect(shown.state).toBe('awaiting-approval');
    await migration.approve('switch');
    const after = await migration.until('the switch', ({ stage }) => stage === 'watch');
    expect(after.reason ?? '').not.toContain('past the pooler');
    await abort(migration);
  });

  it('a slot that is lost begins the sync anew on retry, and the switch waits for it', async () => {
    const migration = await lab.migrate(orders());
    await migration.reachesGate('switch');
    migration.model.lost = 'the replication slot on the source is lost';
    const held = await migration.reaches('needs-attention');
    expect(held.units[0]?.problem).toMatchObject({ type: 'ReplicationBroken' });
    expect(held.reason).toContain('begins the sync anew');
    const { reached, release } = migration.model.hold('copyRanges');
    await migration.send('retry');
    await reached;
    migration.model.lost = null;
    await migration.approve('switch');
    expect(migration.model.count('switchWrites')).toBe(0);
    release();
    await migration.until('the switch', ({ stage }) => stage === 'watch');
    expect([migration.model.count('finishSync'), migration.model.count('validate')]).toEqual([2, 2]);
    await abort(migration);
  });

  it('a limit on WAL gives the slot up where the specification says so, stops the copy, and says what that means', async () => {
    const migration = await lab.migrate(orders({ maxRetainedWal: 1, onLimit: 'drop' }), (model) => {
      model.hold('copyRanges');
      model.overLimit = 'the slot holds back 20GiB';
    });
    const held = await migration.until(
      'a person is asked',
      ({ units }) => units[0]?.problem?.type === 'ReplicationBroken' && units[0].phase === 'initialSync',
    );
    expect(held.reason).toContain('the slot was given up');
    expect(migration.model.count('giveUpSlot')).toBe(1);
    await migration.until('the copy has ended', () => migration.model.running('copyRanges') === 0);
    await migration.send('retry');
    await migration.reachesGate('switch');
    expect(migration.model.count('copyRanges')).toBe(2);
    await abort(migration);
  });

  it('a limit on WAL only asks a person by default', async () => {
    const migration = await lab.migrate(orders({ maxRetainedWal: 1 }));
    await migration.reachesGate('switch');
    migration.model.overLimit = 'the slot holds back 20GiB';
    const held = await migration.reaches('needs-attention');
    expect(held.reason).toContain('the slot holds back 20GiB');
    expect(migration.model.count('giveUpSlot')).toBe(0);
    migration.model.overLimit = null;
    await migration.reaches('awaiting-approval');
    await abort(migration);
  });

  it('lag past its limit and a stall ask a person, and go by themselves', async () => {
    const migration = await lab.migrate(orders({ stall: 100 }));
    await migration.reachesGate('switch');
    await migration.until('a look', () => migration.model.count('observe') > 2);
    migration.model.lagMs = 75_000;
    expect((await migration.reaches('needs-attention')).reason).toContain('75 s behind; lookout.maxLag is 60 s');
    migration.model.lagMs = 3;
    await migration.reaches('awaiting-approval');
    migration.model.stalled = true;
    expect((await migration.reaches('needs-attention')).reason).toContain('nothing has gone forward');
    migration.model.stalled = false;
    await migration.reaches('awaiting-approval');
    await abort(migration);
  });

  it('lag is no reason before it has caught up once', async () => {
    const migration = await lab.migrate(orders(), (model) => void (model.lagMs = 7_200_000));
    await migration.reachesGate('switch');
    await migration.until('looks', () => migration.model.count('observe') > 5);
    expect((await migration.status()).state).toBe('awaiting-approval');
    await abort(migration);
  });

  it('a warning is said, and holds nothing', async () => {
    const migration = await lab.migrate(
      orders(),
      (model) => void (model.warnings = ['the slot holds back 8 of 10 GiB']),
    );
    const status = await migration.until('the warning', ({ reason }) => reason?.includes('8 of 10 GiB') === true);
    expect(status.state).not.toBe('needs-attention');
    await migration.approve('switch');
    await migration.until('the switch', ({ stage }) => stage === 'watch');
    await abort(migration);
  });

  it('a failover holds; retry takes the promoted server, syncs anew and compares', async () => {
    const migration = await lab.migrate(orders());
    await migration.reachesGate('switch');
    migration.model.stranger = 'the source failed over: expected timeline 1, found timeline 2';
    const held = await migration.reaches('needs-attention');
    expect(held.units[0]?.problem).toMatchObject({ type: 'SystemChanged' });
    expect(held.reason).toContain('expected timeline 1, found timeline 2');
    await migration.send('retry');
    await migration.until('a new sync', () => migration.model.count('finishSync') === 2);
    await migration.reaches('awaiting-approval');
    expect(migration.model.count('acceptFailover')).toBe(1);
    await abort(migration);
  });

  it('a long wait at a gate leaves the history as short as it was, whatever is looked at', async () => {
    const migration = await lab.migrate(orders({ every: 1 }));
    await migration.reachesGate('switch');
    const length = async (): Promise<number> => (await migration.handle.describe()).historyLength;
    await migration.until('the first looks', () => migration.model.count('observe') > 2);
    const before = await length();
    const looks = migration.model.count('observe');
    await migration.until('a run of looks and more', () => migration.model.count('observe') > looks + 32);
    expect(await length()).toBe(before);
    await abort(migration);
  });
});

describe.concurrent('while watching', () => {
  const watched = async (): Promise<Migration> => {
    const migration = await lab.migrate(orders());
    await migration.approveAtGate('switch');
    await migration.until('the watch', ({ stage }) => stage === 'watch');
    return migration;
  };

  it('a lost way back holds, also where onFailure is undo; nothing moves back, and retry goes on to finalize', async () => {
    const migration = await watched();
    migration.model.lost = 'the replication slot on the target is lost';
    const held = await migration.reaches('needs-attention');
    expect(held.reason).toContain('The way back is lost');
    expect(await migration.refused('rollback')).toContain('the way back of database/orders is lost');
    expect(await migration.refused('abort')).toContain('The target takes the writes');
    await migration.send('retry');
    await migration.reachesGate('finalize');
    await migration.approve('finalize');
    expect((await migration.result()).state).toBe('migrated');
    expect(migration.model.primaries).toEqual(['target']);
  });

  it('a way back that a look finds lost while a person gives it up needs no second word', async () => {
    const migration = await watched();
    migration.model.lost = 'the replication slot on the target is lost';
    await migration.reaches('needs-attention');
    const look = migration.model.hold('observe');
    await look.reached;
    await migration.send('retry');
    look.release();
    await migration.reachesGate('finalize');
    await migration.approve('finalize');
    expect((await migration.result()).state).toBe('migrated');
  });

  it('DDL on the target holds; retry adopts it and compares', async () => {
    const migration = await watched();
    const before = migration.model.count('validate');
    migration.model.drift = { changed: ['target'], differences: [] };
    expect((await migration.reaches('needs-attention')).units[0]?.problem?.type).toBe('SchemaMismatch');
    await migration.send('retry');
    await migration.reaches('running');
    await migration.until('a comparison', () => migration.model.count('validate') > before);
    await abort(migration);
  });

  it('a source that failed over holds; retry takes it and compares', async () => {
    const migration = await watched();
    const before = migration.model.count('validate');
    migration.model.stranger = 'the source failed over';
    expect((await migration.reaches('needs-attention')).units[0]?.problem?.type).toBe('SystemChanged');
    await migration.send('retry');
    await migration.reaches('running');
    await migration.until('a comparison', () => migration.model.count('validate') > before);
    await abort(migration);
  });
});

describe('a standby behind its point of no return', () => {
  it('is waited for whatever is paused, said meanwhile, and an operator word counts at the next turn', async () => {
    const migration = await lab.migrate(orders(), (model) =>
      model.fail('switchWrites', 'StandbyBehind', 'the source has ceded; standby-2 has not heard of it', 3),
    );
    await migration.approveAtGate('switch');
    await migration.until('the wait', ({ reason }) => reason?.includes('standby-2 has not heard') === true);
    await migration.send('set', { path: 'databases.orders.cutover.standbys.ignore', value: 'standby-2', by: 'ana' });
    await migration.until('the switch', ({ stage }) => stage === 'watch');
    const inputs = migration.model.calls
      .filter(({ activity }) => activity === 'switchWrites')
      .map(({ input }) => input);
    expect(inputs).toHaveLength(4);
    expect(inputs.at(-1)).toMatchObject({ move: { database: { cutover: { standbys: { ignore: ['standby-2'] } } } } });
    await abort(migration);
  });
});
