/** Workers killed by SIGKILL at the worst moments of one migration under load: the others go on where it was. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { switchWindows } from '../../lab/check.js';
import type { Primary } from '../../spec/status.js';
import { underway } from '../support/underway.js';
import { accepts } from '../support/shop-writes.js';
import { NOTHING_LOST, RealWorld } from '../support/real-world.js';

let world: RealWorld;
beforeAll(async () => {
  world = await RealWorld.start({ faulty: 3 });
});
afterAll(() => world.stop());

const opposite = { source: 'target', target: 'source' } as const;

/** One worker dies at the point, and another one is started, which nobody waits for. */
async function dies(point: string): Promise<void> {
  const pid = await world.faults.reached(point);
  await world.fact('the death of a worker', () =>
    Promise.resolve(world.workers.every(({ child }) => child.pid !== pid)),
  );
  replace();
}

let replacements: Promise<unknown>[] = [];
beforeEach(() => {
  replacements = [];
});
function replace(): void {
  replacements.push(underway(world.addFaultyWorker()));
}

describe('a worker killed', () => {
  test('during copy, catch-up and validation loses nothing: another one goes on where it was', async () => {
    const shop = await world.shop({ change: { copy: { rangeSize: '8KiB', rateLimit: '100kB' } } });
    const { id, file } = await world.specification({ [shop.name]: shop.database });
    const load = await world.load(shop);
    for (const point of ['before.catchUp', 'after.validate']) await world.faults.at(point, 'kill');
    await world.must(['start', file]);

    await world.fact('five copied ranges', async () => (await world.ranges(shop, 'customers')) >= 5);
    // Who copies, and who holds the snapshot: as long as either of them lives, it goes on as if nothing had been.
    const pending = await world.pending(id);
    const pids = ['copyRanges', 'holdSnapshot'].map((name) => pending.find(({ activity }) => activity === name)?.pid);
    const working = world.workers.filter(({ child }) => pids.includes(child.pid));
    expect(new Set(working.map(({ child }) => child.pid))).toEqual(new Set(pids));
    await Promise.all(working.map((worker) => worker.kill()));
    const keepable = await world.keepable(shop);
    working.forEach(replace);
    await world.must(['set', id, `databases.${shop.name}.copy.rateLimit=none`]);
    await dies('before.catchUp');
    await dies('after.validate');
    const unit = await world.atGate(id, 'switch');
    expect(unit.sync?.rangesKept).toBeGreaterThanOrEqual(keepable);
    expect(unit.certificate?.verdict).toBe('equal');
    expect(await world.verdict(shop, load, 'source', [])).toMatchObject({ ok: true, handovers: 0 });
    await Promise.all(replacements);
    await world.must(['abort', id, '--yes', '--wait']);
    expect(await world.catalogs(shop.name)).toEqual(shop.found);
  });

  test('at the start, in the middle and at the end of a switch, on either side of its point of no return: nothing lost, never two writers', async () => {
    const shop = await world.shop();
    const { id, file } = await world.specification({ [shop.name]: shop.database }, { switch: { approvals: 0 } });
    const load = await world.load(shop);
    let primary: Primary = 'source';
    let switches = 0;
    for (const point of ['lag', 'fence', 'ready', 'cede', 'open', 'flip']) {
      await world.faults.at(`switch.${point}`, 'kill');
      primary = opposite[primary];
      switches += 1;
      await world.must(
        primary === 'source' ? ['rollback', id, '--yes'] : switches === 1 ? ['start', file] : ['switch', id],
      );
      await dies(`switch.${point}`);
      await world.switched(id, primary, switches);
      await world.until(id, 'rest', ({ state, stage }) => state === 'rolled-back' || stage === 'watch');
    }
    await Promise.all(replacements);
    const { units } = await world.status(id);
    const verdict = await world.verdict(shop, load, primary, switchWindows(units[0]?.switches ?? []));
    expect(verdict).toMatchObject({ ...NOTHING_LOST, ok: true, handovers: 6, requests: { failed: 0, unknown: 0 } });
    await world.must(['abort', id, '--yes', '--wait']);
    expect(await world.catalogs(shop.name)).toEqual(shop.found);
  });

  test('with nobody to take over costs the source no more than its lease; the next worker goes on', async () => {
    const shop = await world.shop({ change: { cutover: { maxPause: '6s', waitBetweenAttempts: '200ms' } } });
    const { id, file } = await world.specification({ [shop.name]: shop.database }, { switch: { approvals: 0 } });
    const load = await world.load(shop);
    await world.faults.at('switch.fence', 'stall');
    await world.must(['start', file]);
    await world.faults.reached('switch.fence');
    expect(await accepts(world.pair.source, shop)).toBe(false);
    await Promise.all(world.workers.map((worker) => worker.kill()));
    await world.fact('the end of the lease', () => accepts(world.pair.source, shop));
    expect(await accepts(world.pair.target, shop)).toBe(false);
    await world.faults.release('switch.fence');
    await Promise.all([world.addFaultyWorker(), world.addFaultyWorker()]);
    const unit = await world.switched(id, 'target', 1);
    const verdict = await world.verdict(shop, load, 'target', switchWindows(unit.switches));
    expect(verdict).toMatchObject({ ...NOTHING_LOST, ok: true, handovers: 1 });
  });
});

describe('a workflow', () => {
  test('whose worker dies while somebody looks at it is replayed by others as it was', async () => {
    const shop = await world.shop({ change: { watch: { for: '1h', every: '300ms', validateEvery: 'none' } } });
    const { id, file } = await world.specification({ [shop.name]: shop.database }, { switch: { approvals: 0 } });
    await world.must(['start', file]);
    await world.until(id, 'the watch', ({ stage }) => stage === 'watch');
    // A query that comes between a timer and its task is answered by a worker that replays both with a clock that stands.
    for (let turn = 0; turn < 3; turn += 1) {
      const holder = await world.holder(id);
      await world.workers.find(({ child }) => child.pid === holder)?.kill();
      replace();
      await world.fact('another worker', async () => {
        await world.status(id).catch(() => undefined);
        return (await world.holder(id)) !== holder;
      });
    }
    await Promise.all(replacements);
    await Promise.all(world.workers.map((worker) => worker.kill()));
    await Promise.all([world.addFaultyWorker(), world.addFaultyWorker()]);
    await world.must(['abort', id, '--yes', '--wait']);
    expect(await world.catalogs(shop.name)).toEqual(shop.found);
  });
});

describe('a server that crashes', () => {
  test.each(['source', 'target'] as const)('during the copy (%s) delays it, and loses nothing', async (side) => {
    const shop = await world.shop({ change: { copy: { rangeSize: '8KiB', rateLimit: '200kB' } } });
    const { id, file } = await world.specification({ [shop.name]: shop.database });
    const load = await world.load(shop);
    await world.must(['start', file]);
    await world.fact('five copied ranges', async () => (await world.ranges(shop)) >= 5);
    await world.pair[side].restart('immediate');
    const unit = await world.atGate(id, 'switch');
    expect(unit.certificate?.verdict).toBe('equal');
    expect(await world.verdict(shop, load, 'source', [])).toMatchObject({ ok: true, handovers: 0 });
    await world.must(['abort', id, '--yes', '--wait']);
    expect(await world.catalogs(shop.name)).toEqual(shop.found);
  });
});
