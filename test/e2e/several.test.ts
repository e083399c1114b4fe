/** Several databases in one migration, settings of a running one, and a second one of the same tables. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { switchWindows } from '../../lab/check.js';
import type { StatusDocument, SwitchFigures } from '../../spec/status.js';
import { NOTHING_LOST, RealWorld, type Shop } from '../support/real-world.js';

let world: RealWorld;
beforeAll(async () => {
  world = await RealWorld.start({ built: 2 });
});
afterAll(() => world.stop());

const switchesOf = ({ units }: StatusDocument, { name }: Shop): SwitchFigures[] =>
  units.find(({ unit }) => unit === `database/${name}`)?.switches ?? [];

const doneAt = (figures: SwitchFigures | undefined): number => Date.parse(figures?.at ?? '');
const begunAt = (figures: SwitchFigures | undefined): number => doneAt(figures) - (figures?.pauseMs ?? 0);

describe('two databases in one migration', () => {
  test('switch in the order of dependsOn, go back in the opposite one, and are undone together', async () => {
    const [first, second] = [await world.shop(), await world.shop()];
    const { id, file } = await world.specification({
      [second.name]: { ...second.database, dependsOn: [`database/${first.name}`] },
      [first.name]: first.database,
    });
    const [loadOfFirst, loadOfSecond] = [await world.load(first), await world.load(second)];
    await world.must(['start', file, '--wait'], 3);
    await world.must(['approve', id, 'switch', '--confirm', id]);
    await world.until(id, 'the watch', ({ stage, state }) => stage === 'watch' && state === 'running');
    const there = await world.status(id);
    expect(begunAt(switchesOf(there, second)[0])).toBeGreaterThanOrEqual(doneAt(switchesOf(there, first)[0]));

    const alone = await world.godwit(['rollback', id, '--unit', `database/${first.name}`, '--yes']);
    expect(alone).toMatchObject({ exitCode: 1 });
    expect(alone.stderr).toContain('as a whole');

    await world.must(['rollback', id, '--yes', '--wait']);
    const back = await world.status(id);
    expect(back.units.map(({ primary }) => primary)).toEqual(['source', 'source']);
    expect(begunAt(switchesOf(back, first)[1])).toBeGreaterThanOrEqual(doneAt(switchesOf(back, second)[1]));

    for (const [shop, load] of [
      [first, loadOfFirst],
      [second, loadOfSecond],
    ] as const) {
      const verdict = await world.verdict(shop, load, 'source', switchWindows(switchesOf(back, shop)));
      expect(verdict).toMatchObject({ ...NOTHING_LOST, ok: true, handovers: 2, requests: { failed: 0, unknown: 0 } });
    }
    await world.must(['abort', id, '--yes', '--wait']);
    for (const shop of [first, second]) expect(await world.catalogs(shop.name)).toEqual(shop.found);
  });
});

describe('settings of a running migration', () => {
  test('take effect at once: the rate of a copy, attempts and pauses of the switch, the length of the watch', async () => {
    const shop = await world.shop({ change: { copy: { rangeSize: '8KiB', rateLimit: '20kB' } } });
    const { id, file } = await world.specification({ [shop.name]: shop.database });
    const of = `databases.${shop.name}`;
    await world.must(['start', file]);
    await world.fact('a copied range', async () => (await world.ranges(shop)) >= 1);

    const wrong = await world.godwit(['set', id, `${of}.copy.rateLimit=5MB`, `${of}.schema=existing`]);
    expect(wrong.exitCode).toBe(2);
    expect((await world.status(id)).spec?.databases[0]?.copy.rateLimit).toBe(20_000);

    await world.must(['set', id, `${of}.copy.rateLimit=none`]);
    await world.atGate(id, 'switch');
    // Nobody can switch within a millisecond, so the limit is what stops it.
    await world.must(['set', id, `${of}.cutover.maxPause=1ms`, `${of}.cutover.attempts=2`]);
    await world.must(['approve', id, 'switch', '--confirm', id]);
    const { problem } = await world.until(id, 'a problem', ({ state }) => state === 'needs-attention');
    expect(problem).toMatchObject({ type: 'Blocked' });
    await world.must(['set', id, `${of}.cutover.maxPause=5s`]);
    await world.must(['retry', id]);
    await world.until(id, 'the watch', ({ stage }) => stage === 'watch');
    await world.must(['set', id, `${of}.watch.for=500ms`]);
    await world.atGate(id, 'finalize');
    await world.must(['abort', id, '--yes', '--wait']);
    expect(await world.catalogs(shop.name)).toEqual(shop.found);
  });
});

describe('a second migration of the same tables', () => {
  test('is refused before it has changed anything, and its abort leaves the first as it is', async () => {
    const shop = await world.shop();
    const first = await world.specification({ [shop.name]: shop.database });
    await world.must(['start', first.file, '--wait'], 3);
    const before = await world.catalogs(shop.name);
    const second = await world.specification({ [shop.name]: shop.database });
    const refused = await world.must(['start', second.file, '--wait'], 3);
    expect(refused.stderr).toContain(first.id);
    expect((await world.status(second.id)).state).toBe('needs-attention');
    expect(await world.catalogs(shop.name)).toEqual(before);
    await world.must(['abort', second.id, '--yes', '--wait']);
    expect(await world.catalogs(shop.name)).toEqual(before);
    await world.must(['approve', first.id, 'switch', '--confirm', first.id]);
    await world.switched(first.id, 'target', 1);
    await world.must(['abort', first.id, '--yes', '--wait']);
    expect(await world.catalogs(shop.name)).toEqual(shop.found);
  });
});
