/**
 * Writes go there and back under load while workers are killed and servers crash at moments that a seed decides.
 * GODWIT_SEED repeats a schedule, GODWIT_CHAOS_SECONDS makes it longer.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { SwitchWindow } from '../../lab/check.js';
import type { Load } from '../../lab/load.js';
import type { Primary } from '../../spec/status.js';
import { underway } from '../support/underway.js';
import { during, RealWorld } from '../support/real-world.js';

const SEED = Number(process.env['GODWIT_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const SECONDS = Number(process.env['GODWIT_CHAOS_SECONDS'] ?? 60);
/** From one blow to the next: some hit within a switch, some while the last one is still being mended. */
const QUIET_MS = { least: 500, most: 5_000 };

let world: RealWorld;
beforeAll(async () => {
  world = await RealWorld.start({ built: 3 });
});
afterAll(() => world.stop());

test(
  'whatever dies while the writes go there and back: nothing acknowledged is lost, and there are never two writers',
  async () => {
    process.stderr.write(`chaos: GODWIT_SEED=${SEED}, ${SECONDS} s\n`);
    const random = generator(SEED);
    const shop = await world.shop({
      change: { cutover: { attempts: 1_000, maxPause: '3s', waitBetweenAttempts: '100ms' } },
    });
    const { id, file } = await world.specification({ [shop.name]: shop.database }, { switch: { approvals: 0 } });
    const load = await world.load(shop);
    await world.must(['start', file]);
    await world.until(id, 'the watch', ({ stage }) => stage === 'watch');

    const blows: string[] = [];
    let over = false;
    const until = Date.now() + SECONDS * 1_000;
    const destroy = async (): Promise<void> => {
      while (Date.now() < until && !over) {
        await sleep(QUIET_MS.least + random() * (QUIET_MS.most - QUIET_MS.least));
        blows.push(await strike(random));
      }
    };
    const destruction = underway(destroy().finally(() => (over = true)));
    // A test that failed takes no more blows.
    onTestFinished(() => void (over = true));

    // The first switch was before the first blow, so its window is known; the others may end at any moment of their own.
    const windows: SwitchWindow[] = [{ from: 0, to: Date.now() * 1_000 }];
    let primary: Primary = 'target';
    while (!over) {
      const wanted: Primary = primary === 'target' ? 'source' : 'target';
      windows.push(await during(() => moved(id, wanted)));
      primary = wanted;
      await written(load, 50);
    }
    await destruction;
    process.stderr.write(`chaos: ${windows.length} switches; ${blows.join(', ')}\n`);

    await written(load, 50);
    const verdict = await world.verdict(shop, load, primary, windows);
    expect(verdict).toMatchObject({
      lost: [],
      doubled: [],
      unexpected: [],
      misplaced: [],
      twoWriters: [],
      doubts: [],
      ok: true,
    });
    // Workers that know nothing yet: what happened is replayed from its first event to its last.
    await Promise.all(world.workers.map((worker) => worker.kill()));
    await Promise.all([world.addWorker(), world.addWorker()]);
    await world.must(['abort', id, '--yes', '--wait']);
    const { source, target } = await world.catalogs(shop.name);
    expect({ source, target }).toEqual(shop.found);
  },
  SECONDS * 1_000 + 300_000,
);

/** Longest that one way may take, with workers and servers dying meanwhile. */
const PATIENCE_MS = 120_000;

/** Says it until it is heard: workers that answer may be dead just now. */
async function moved(id: string, primary: Primary): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  let seen = 'nothing';
  while (Date.now() < deadline) {
    try {
      const { state, stage, units, reason } = await world.status(id);
      seen = `${state} in ${stage}: ${reason ?? 'no reason'}`;
      const isThere = units[0]?.primary === primary;
      if (isThere && (primary === 'source' ? state === 'rolled-back' : stage === 'watch')) return;
      const isAway = primary === 'source' ? stage === 'watch' && state === 'running' : state === 'rolled-back';
      if (state === 'needs-attention') await world.godwit(['retry', id]);
      else if (isAway) await world.godwit(primary === 'source' ? ['rollback', id, '--yes'] : ['switch', id]);
    } catch (error) {
      seen = String(error);
    }
    await sleep(100);
  }
  throw new Error(`waited for the writes on the ${primary}, and saw ${seen}`);
}

/** Waits for writes that were acknowledged. */
async function written(load: Load, count: number): Promise<void> {
  const goal = (await load.snapshot()).acknowledged + count;
  while ((await load.snapshot()).acknowledged < goal) await sleep(50);
}

async function strike(random: () => number): Promise<string> {
  const die = random();
  if (die < 0.15) {
    await world.pair.source.restart('immediate');
    return 'source crashed';
  }
  if (die < 0.3) {
    await world.pair.target.restart('immediate');
    return 'target crashed';
  }
  const { workers } = world;
  const victim = workers[Math.floor(random() * workers.length)];
  await victim?.kill();
  await world.addWorker();
  return 'worker killed';
}

/** mulberry32: good enough to choose blows, and the same on every machine. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
