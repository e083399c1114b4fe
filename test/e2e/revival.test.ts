/** Migrations whose workflow was terminated: what they left is brought back by command line, on the real stack. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { switchWindows } from '../../lab/check.js';
import { during, NOTHING_LOST, RealWorld } from '../support/real-world.js';

let world: RealWorld;
beforeAll(async () => {
  world = await RealWorld.start({ faulty: 2 });
});
afterAll(() => world.stop());

const terminate = (id: string): Promise<string> =>
  world.temporal('workflow', 'terminate', '--workflow-id', id, '--reason', 'a test');

describe('a migration whose workflow was terminated', () => {
  test('in the copy is undone by abort, and a start over what it left is refused', async () => {
    const shop = await world.shop({ change: { copy: { rangeSize: '8KiB', rateLimit: '50kB' } } });
    const { id, file } = await world.specification({ [shop.name]: shop.database });
    await world.must(['start', file]);
    await world.fact('three copied ranges', async () => (await world.ranges(shop)) >= 3);
    await terminate(id);
    const refused = await world.must(['start', file], 1);
    expect(refused.stderr).toContain(`godwit abort ${id} --wait`);
    const nothing = await world.must(['rollback', id, '--yes'], 1);
    expect(nothing.stderr).toContain('nothing to roll back');
    await world.must(['abort', id, '--yes', '--wait']);
    expect(await world.catalogs(shop.name)).toEqual(shop.found);
  });

  test('after the switch is rolled back, switches again, and is aborted after one more termination', async () => {
    const shop = await world.shop();
    const { id, file } = await world.specification({ [shop.name]: shop.database }, { switch: { approvals: 0 } });
    const load = await world.load(shop);
    await world.must(['start', file]);
    await world.until(id, 'the watch', ({ stage }) => stage === 'watch');
    await terminate(id);
    await world.must(['rollback', id, '--yes', '--wait']);
    await world.switched(id, 'source', 2);
    await world.must(['switch', id, '--wait']);
    const unit = await world.switched(id, 'target', 3);
    await terminate(id);
    const back = await during(() => world.must(['abort', id, '--yes', '--wait']));
    const verdict = await world.verdict(shop, load, 'source', [...switchWindows(unit.switches), back]);
    expect(verdict).toMatchObject({ ...NOTHING_LOST, ok: true, requests: { failed: 0, unknown: 0 } });
    expect(await world.catalogs(shop.name)).toEqual(shop.found);
  });

  test.each(['switch.fence', 'switch.cede'])(
    'inside the switch, at %s, is undone by abort without loss',
    async (point) => {
      const shop = await world.shop();
      const { id, file } = await world.specification({ [shop.name]: shop.database }, { switch: { approvals: 0 } });
      const load = await world.load(shop);
      await world.faults.at(point, 'stall');
      await world.must(['start', file]);
      await world.faults.reached(point);
      const back = await during(async () => {
        await terminate(id);
        await world.faults.release(point);
        await world.must(['abort', id, '--yes', '--wait']);
      });
      // There, if the attempt came so far, and back.
      const verdict = await world.verdict(shop, load, 'source', [back, back]);
      expect(verdict).toMatchObject({ ...NOTHING_LOST, ok: true });
      expect(await world.catalogs(shop.name)).toEqual(shop.found);
    },
  );
});
