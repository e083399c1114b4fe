/** An abort in every phase, on the real stack under load: both databases are as they were found, and nobody lost a write. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { switchWindows, type SwitchWindow } from '../../lab/check.js';
import type { Load } from '../../lab/load.js';
import {
  during,
  NOTHING_LOST,
  RealWorld,
  type Catalogs,
  type DatabaseDocument,
  type Shop,
} from '../support/real-world.js';

let world: RealWorld;
let shop: Shop;
let load: Load;
/** When writes were moved, over all tests of this shop. */
let moved: SwitchWindow[] = [];
/** Over all tests. */
let moves = 0;
let isSpoilt = true;
beforeAll(async () => {
  world = await RealWorld.start({ faulty: 2 });
});
beforeEach(async () => {
  if (!isSpoilt) return;
  isSpoilt = false;
  shop = await world.shop();
  load = await world.load(shop);
  moved = [];
});
afterEach(({ task }) => {
  // Its migration was terminated, and what it left is in the way of the next.
  isSpoilt = task.result?.state === 'fail';
});
afterAll(() => world.stop());

async function begun(change: Partial<DatabaseDocument> = {}): Promise<string> {
  const { id, file } = await world.specification(
    { [shop.name]: { ...shop.database, ...change } },
    { switch: { approvals: 0 } },
  );
  await world.must(['start', file]);
  return id;
}

async function atTheSwitchGate(): Promise<string> {
  const { id, file } = await world.specification({ [shop.name]: shop.database });
  await world.must(['start', file]);
  await world.atGate(id, 'switch');
  return id;
}

/** Aborts and waits for the end. `meanwhile` is done once the abort is recorded. */
async function abort(id: string, meanwhile: () => Promise<void> = () => Promise.resolve()): Promise<void> {
  const back = await during(async () => {
    const asked = await world.must(['abort', id, '--yes', '--reason', 'a test', '-o', 'json']);
    expect(asked.stdout).toContain('"accepted"');
    await meanwhile();
    await world.until(id, 'the end', ({ state }) => state === 'undone' || state === 'failed');
  });
  const { units } = await world.status(id);
  const switches = units[0]?.switches ?? [];
  const windows = [...switchWindows(switches), ...(switches.at(-1)?.direction === 'forward' ? [back] : [])];
  moved.push(...windows);
  moves += windows.length;
}

async function undone(id: string): Promise<Catalogs> {
  const status = await world.status(id);
  expect(status).toMatchObject({ state: 'undone', units: [{ state: 'undone', primary: 'source' }] });
  expect(status.undoLog.filter((entry) => entry.state !== 'done')).toEqual([]);
  expect(await world.ended(id)).toBe('COMPLETED');
  return world.catalogs(shop.name);
}

describe('an abort leaves both databases as they were found', () => {
  test.each([
    ['preflight', 'before.preflightDatabase'],
    ['the plan', 'before.planDatabase'],
    ['replicationSetup, when the tables are claimed', 'after.claim'],
    ['replicationSetup, when the schema is there', 'after.prepareSchema'],
    ['replicationSetup, when the fences stand', 'after.installFence'],
    ['replicationSetup, when the publications are there', 'after.createPublication'],
    ['initialSync, when replication runs', 'after.finishSync'],
    ['initialSync, while it catches up', 'before.catchUp'],
    ['validation', 'after.validate'],
  ])('during %s', async (_phase, point) => {
    await world.faults.at(point, 'stall');
    const id = await begun();
    await world.faults.reached(point);
    await abort(id);
    expect(await undone(id)).toEqual(shop.found);
  });

  test('in the middle of the copy', async () => {
    const id = await begun({ copy: { rangeSize: '8KiB', rateLimit: '50kB' } });
    await world.fact('three copied ranges', async () => (await world.ranges(shop)) >= 3);
    await abort(id);
    expect(await undone(id)).toEqual(shop.found);
  });

  test('at the gate of the switch', async () => {
    const id = await atTheSwitchGate();
    await abort(id);
    expect(await undone(id)).toEqual(shop.found);
  });

  test.each([
    ['before its point of no return', 'switch.fence'],
    ['past its point of no return', 'switch.cede'],
    ['when the target is open', 'switch.open'],
  ])('inside the switch, %s: it is recorded at once, the switch ends, and goes back', async (_when, point) => {
    await world.faults.at(point, 'stall');
    const id = await begun();
    await world.faults.reached(point);
    await abort(id, () => world.faults.release(point));
    expect(await undone(id)).toEqual(shop.found);
  });

  test('while watching: the writes come back first', async () => {
    const id = await begun();
    await world.until(id, 'the watch', ({ stage }) => stage === 'watch');
    await abort(id);
    expect(await undone(id)).toEqual(shop.found);
  });

  test('in the middle of a rollback', async () => {
    const id = await begun();
    await world.until(id, 'the watch', ({ stage }) => stage === 'watch');
    await world.faults.at('switch.cede', 'stall');
    await world.must(['rollback', id, '--yes']);
    await world.faults.reached('switch.cede');
    await abort(id, () => world.faults.release('switch.cede'));
    expect(await undone(id)).toEqual(shop.found);
  });

  test('after a rollback', async () => {
    const id = await begun();
    await world.until(id, 'the watch', ({ stage }) => stage === 'watch');
    await world.must(['rollback', id, '--yes', '--wait']);
    await abort(id);
    expect(await undone(id)).toEqual(shop.found);
  });

  test('at the gate of finalize', async () => {
    const id = await begun({ watch: { for: '100ms', every: '100ms', validateEvery: 'none' } });
    await world.atGate(id, 'finalize');
    await abort(id);
    expect(await undone(id)).toEqual(shop.found);
  });
});

test('and through all of them no client lost a write, and there were never two writers', async () => {
  expect(moves).toBeGreaterThan(8);
  const verdict = await world.verdict(shop, load, 'source', moved);
  expect(verdict).toMatchObject({ ...NOTHING_LOST, ok: true, requests: { failed: 0, unknown: 0 } });
});
