/** A pause in every phase of one migration, on the real stack under load: it holds, and resume goes on where it was. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { switchWindows } from '../../lab/check.js';
import { NOTHING_LOST, RealWorld } from '../support/real-world.js';

let world: RealWorld;
beforeAll(async () => {
  world = await RealWorld.start({ faulty: 2 });
});
afterAll(() => world.stop());

/** Longer than the rhythm of the watch and than a whole phase takes: whatever went on would have been seen. */
const HOLD_MS = 1_000;

describe('a pause', () => {
  test('holds in every phase, and resume goes on where it was: finished ranges of the copy are kept', async () => {
    const shop = await world.shop({ change: { copy: { rangeSize: '8KiB', rateLimit: '100kB' } } });
    const { id, file } = await world.specification({ [shop.name]: shop.database });
    const load = await world.load(shop);
    const points = ['before.preflightDatabase', 'before.planDatabase', 'after.claim', 'after.installFence'];
    for (const point of points) await world.faults.at(point, 'stall');
    await world.must(['start', file]);

    for (const point of points) {
      await world.faults.reached(point);
      await pausedAndResumed(id);
    }

    await world.fact('five copied ranges', async () => (await world.ranges(shop, 'customers')) >= 5);
    await world.must(['pause', id, '--wait']);
    await nothingRuns(id);
    const finished = await world.ranges(shop);
    await holds(id);
    expect(await world.ranges(shop)).toBe(finished);
    await world.must(['set', id, `databases.${shop.name}.copy.rateLimit=none`]);
    await world.faults.at('before.validate', 'stall');
    await world.must(['resume', id]);

    await world.faults.reached('before.validate');
    const { units } = await world.status(id);
    // Out of the same snapshot: nothing was compared, and nothing copied twice.
    expect(units[0]?.sync?.rangesKept).toBe(0);
    expect(await world.pair.target.query('select seq from godwit.copy_group', [], shop.name)).toEqual([{ seq: 1 }]);
    await pausedAndResumed(id);

    await world.atGate(id, 'switch');
    await world.must(['pause', id, '--wait']);
    await world.must(['approve', id, 'switch', '--confirm', id]);
    await holds(id);
    expect((await world.status(id)).units[0]?.primary).toBe('source');
    await world.faults.at('switch.cede', 'stall');
    await world.must(['resume', id]);

    // Inside the switch it is recorded, the switch ends, and then it holds.
    await world.faults.reached('switch.cede');
    await world.must(['pause', id]);
    await world.faults.release('switch.cede');
    await world.until(id, 'the switch', (_, unit) => unit.primary === 'target');
    await holds(id);
    await world.must(['resume', id]);

    await world.until(id, 'the watch', ({ stage }) => stage === 'watch');
    await world.must(['pause', id, '--wait']);
    await nothingRuns(id);
    const { units: before } = await world.state(id);
    await holds(id);
    expect((await world.state(id)).units[0]?.watched).toBe(before[0]?.watched);
    await world.must(['resume', id]);
    await world.until(id, 'the watch', ({ state }) => state === 'running');

    await world.must(['pause', id, '--wait']);
    await world.must(['rollback', id, '--yes', '--wait']); // Who asks to go back doesn't wait for a resume.
    const unit = await world.switched(id, 'source', 2);
    const verdict = await world.verdict(shop, load, 'source', switchWindows(unit.switches));
    expect(verdict).toMatchObject({ ...NOTHING_LOST, ok: true, requests: { failed: 0, unknown: 0 } });
    await world.must(['abort', id, '--yes', '--wait']);
    expect(await world.catalogs(shop.name)).toEqual(shop.found);
  });
});

async function pausedAndResumed(id: string): Promise<void> {
  await world.must(['pause', id, '--wait']);
  await nothingRuns(id);
  await holds(id);
  await world.must(['resume', id]);
}

/** A snapshot is held, and databases are looked at, through every pause. */
const stays = ({ activity }: { activity: string }): boolean => activity === 'holdSnapshot' || activity === 'observe';

/** Nothing of the migration or its children is at work: what ran has been stopped. */
async function nothingRuns(id: string): Promise<void> {
  await world.fact('a standstill', async () => (await world.pending(id)).every(stays));
}

/** Nothing begins and nothing changes while it is paused. */
async function holds(id: string): Promise<void> {
  const before = await world.status(id);
  await sleep(HOLD_MS);
  const after = await world.status(id);
  expect(after).toMatchObject({ state: 'paused', stage: before.stage });
  expect(after.units.map(({ phase, primary }) => [phase, primary])).toEqual(
    before.units.map(({ phase, primary }) => [phase, primary]),
  );
  expect((await world.pending(id)).filter((one) => !stays(one))).toEqual([]);
}
