/** Bad days of the servers in the middle of a whole migration: crashes in every phase, and DDL that nobody announced. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { switchWindows } from '../../lab/check.js';
import { NOTHING_LOST, RealWorld, type Shop } from '../support/real-world.js';

let world: RealWorld;
beforeAll(async () => {
  world = await RealWorld.start({ faulty: 2 });
});
afterAll(() => world.stop());

const crash = (side: 'source' | 'target'): Promise<void> => world.pair[side].restart('immediate');

/** Somewhere in the middle: the workers have begun, and wait until both servers came back from a crash. */
async function crashBefore(activity: string, ...sides: ('source' | 'target')[]): Promise<void> {
  await world.faults.reached(`before.${activity}`);
  for (const side of sides) await crash(side);
  await world.faults.release(`before.${activity}`);
}

test('servers that crash while it is set up, copied, compared, waited and watched cost time, and nothing else', async () => {
  // a few seconds, so that both crashes come in the middle of it
  const copy = { rateLimit: '200kB', rangeSize: '64KiB', parallelism: 2 };
  const shop = await world.shop({ change: { copy } });
  const { id, file } = await world.specification({ [shop.name]: shop.database });
  const load = await world.load(shop);
  for (const activity of ['installFence', 'catchUp', 'validate', 'switchWrites']) {
    await world.faults.at(`before.${activity}`, 'stall');
  }
  await world.must(['start', file]);
  await crashBefore('installFence', 'target', 'source');
  await world.fact('a part is copied', async () => (await world.ranges(shop)) > 0);
  await crash('source');
  const copied = await world.ranges(shop);
  await world.fact('more is copied', async () => (await world.ranges(shop)) > copied);
  await crash('target');
  await crashBefore('catchUp', 'source', 'target');
  await crashBefore('validate', 'target', 'source');
  await world.atGate(id, 'switch');
  await crash('source');
  await crash('target');
  await world.must(['approve', id, 'switch', '--confirm', id]);
  await crashBefore('switchWrites', 'source', 'target');
  const unit = await world.switched(id, 'target', 1);
  await crash('target');
  await crash('source');
  await world.until(id, 'a healthy watch', ({ state, reason }) => state === 'running' && reason === null);
  const verdict = await world.verdict(shop, load, 'target', switchWindows(unit.switches));
  expect(verdict).toMatchObject({ ...NOTHING_LOST, handovers: 1 });
  await world.must(['abort', id, '--yes', '--wait']);
});

test('DDL on the source under writes is seen, holds by table and column, and goes on once the target has it, too', async () => {
  const shop = await world.shop({ change: { lookout: { every: '500ms' } } });
  const { id, file } = await world.specification({ [shop.name]: shop.database });
  const load = await world.load(shop);
  await world.must(['start', file, '--wait'], 3);
  const alter = (server: 'source' | 'target', at: Shop): Promise<unknown> =>
    world.pair[server].query(`alter table shop.orders add column gift_note text default 'none'`, [], at.name);
  await alter('source', shop);
  const held = await world.until(id, 'a hold', ({ state }) => state === 'needs-attention');
  expect(held.problem?.type).toBe('SchemaMismatch');
  expect(held.problem?.message).toContain('shop.orders: column gift_note is missing, on the source text');
  await world.must(['approve', id, 'switch', '--confirm', id]);
  expect((await world.status(id)).units[0]?.primary).toBe('source');
  await alter('target', shop);
  await world.must(['retry', id]);
  const unit = await world.switched(id, 'target', 1);
  expect(unit.certificate?.verdict).toBe('equal');
  const verdict = await world.verdict(shop, load, 'target', switchWindows(unit.switches));
  expect(verdict).toMatchObject({ ...NOTHING_LOST, ok: true, handovers: 1 });
  await world.must(['abort', id, '--yes', '--wait']);
});
