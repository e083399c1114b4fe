/** A migration as a person makes it, by command line and by Temporal's own, on the real stack under load. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { switchWindows } from '../../lab/check.js';
import { READ_ONLY, refusalOf } from '../support/clients.js';
import { during, NOTHING_LOST, RealWorld } from '../support/real-world.js';

let world: RealWorld;
beforeAll(async () => {
  world = await RealWorld.start({ built: 2 });
});
afterAll(() => world.stop());

describe('a migration by command line', () => {
  test('goes there, back and there again under load, and ends with nothing lost, nothing failed and nothing left', async () => {
    const shop = await world.shop({ change: { watch: { for: '1s', every: '500ms' } } });
    const { id, file } = await world.specification({ [shop.name]: shop.database });
    const load = await world.load(shop);

    expect((await world.must(['validate', file])).stdout).toContain(shop.name);
    await world.must(['preflight', file]);
    const plan = join(world.folder, 'move.plan');
    await world.must(['plan', file, '-o', plan]);
    const started = await world.must(['start', '--plan', plan, '--wait'], 3);
    expect(started.stderr).toContain(`godwit approve ${id} switch --confirm ${id}`);
    expect((await world.must(['status', id])).stdout).toContain('awaiting-approval');

    const before = await world.catalogs(shop.name);
    const rehearsal = await world.must(['rehearse', id]);
    expect(rehearsal.stdout).toMatch(/the switch will pause writes for about .*nothing has moved/s);
    expect(await world.catalogs(shop.name)).toEqual(before);

    await world.must(['approve', id, 'switch', '--confirm', id]);
    await world.switched(id, 'target', 1);
    await world.must(['rollback', id, '--yes', '--wait', '--reason', 'to try']);
    await world.switched(id, 'source', 2);
    await world.must(['switch', id]);
    await world.atGate(id, 'switch');
    await world.must(['approve', id, 'switch', '--confirm', id]);
    await world.switched(id, 'target', 3);
    await world.atGate(id, 'finalize');
    await world.must(['approve', id, 'finalize', '--confirm', id, '--wait']);
    const { units, state } = await world.status(id);
    expect(state).toBe('migrated');

    const verdict = await world.verdict(shop, load, 'target', switchWindows(units[0]?.switches ?? []));
    expect(verdict).toMatchObject({ ...NOTHING_LOST, ok: true, handovers: 3, requests: { failed: 0, unknown: 0 } });
    const evidence: unknown = JSON.parse((await world.must(['report', id, '-o', 'json'])).stdout);
    expect(evidence).toMatchObject({ historyEvents: expect.toSatisfy((events: number) => events < 1_000) as unknown });
    const report = join(world.folder, 'report.md');
    await world.must(['report', id, '-o', report]);
    expect(await readFile(report, 'utf8')).toContain(`# Migration ${id}`);
    const { target } = await world.catalogs(shop.name);
    expect(target.filter((line) => line.includes('godwit'))).toEqual([]);
    // The past stays closed for good.
    const late = world.pair.source.query('update shop.account set balance = balance', [], shop.name);
    expect(await refusalOf(late)).toBe(READ_ONLY);
  });
});

describe("Temporal's own command line", () => {
  const signal = (id: string, name: string, payload: unknown): Promise<string> =>
    world.temporal('workflow', 'signal', '--workflow-id', id, '--name', name, '--input', JSON.stringify(payload));
  const start = (id: string, file: string): Promise<string> =>
    world.temporal(
      ...['workflow', 'start', '--type', 'migration', '--task-queue', 'godwit', '--workflow-id', id],
      ...['--input-file', file],
    );

  test('starts a migration, approves, rolls back, switches again and aborts it, and both databases are as they were found', async () => {
    const shop = await world.shop();
    const { id, file } = await world.specification({ [shop.name]: shop.database });
    const load = await world.load(shop);
    await start(id, file);
    await world.atGate(id, 'switch');
    await signal(id, 'approve', { gate: 'switch', confirm: id, by: 'ana' });
    await world.switched(id, 'target', 1);
    await signal(id, 'rollback', { by: 'ana', reason: 'to try' });
    await world.switched(id, 'source', 2);
    await signal(id, 'switch', {});
    await world.atGate(id, 'switch');
    await signal(id, 'approve', { gate: 'switch', confirm: id, by: 'ana' });
    await world.switched(id, 'target', 3);
    const back = await during(async () => {
      await signal(id, 'abort', { by: 'ana' });
      const result = await world.temporal('workflow', 'result', '--workflow-id', id, '-o', 'json');
      expect(result).toContain('"undone"');
    });
    const { units } = await world.status(id);
    const verdict = await world.verdict(shop, load, 'source', [...switchWindows(units[0]?.switches ?? []), back]);
    expect(verdict).toMatchObject({ ...NOTHING_LOST, ok: true, handovers: 4 });
    expect(await world.catalogs(shop.name)).toEqual(shop.found);
  });

  test('cancels a migration after its switch, which means abort: writes come back and nothing is left', async () => {
    const shop = await world.shop();
    const { id, file } = await world.specification({ [shop.name]: shop.database }, { switch: { approvals: 0 } });
    const load = await world.load(shop);
    await start(id, file);
    await world.switched(id, 'target', 1);
    const back = await during(async () => {
      await world.temporal('workflow', 'cancel', '--workflow-id', id);
      await world.until(id, 'the end', ({ state }) => state === 'undone');
    });
    const { units } = await world.status(id);
    const verdict = await world.verdict(shop, load, 'source', [...switchWindows(units[0]?.switches ?? []), back]);
    expect(verdict).toMatchObject({ ...NOTHING_LOST, ok: true });
    expect(await world.catalogs(shop.name)).toEqual(shop.found);
  });
});
