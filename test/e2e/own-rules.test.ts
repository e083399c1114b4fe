/** Rules of the user's own over a whole migration under load: before the switch, and while the target takes the writes. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { switchWindows } from '../../lab/check.js';
import { NOTHING_LOST, RealWorld } from '../support/real-world.js';

let world: RealWorld;
beforeAll(async () => {
  world = await RealWorld.start({ faulty: 1 });
});
afterAll(() => world.stop());

test('a rule that is broken holds before the switch and in watch; mended and retried it goes on, and nothing is lost', async () => {
  const rules = [
    { name: 'names', noRows: { sql: `select id from shop.customers where name = 'nobody'` } },
    { name: 'ledger', same: { sql: 'select count(*) from shop.account where balance is null' } },
  ];
  const shop = await world.shop({
    change: { validation: { rules }, watch: { for: '1h', every: '300ms', validateEvery: '1s' } },
  });
  const { source, target } = world.pair;
  const rename = (server: typeof source, name: string): Promise<unknown> =>
    server.query(`update shop.customers set name = '${name}' where id = 1`, [], shop.name);
  const { id, file } = await world.specification({ [shop.name]: shop.database });
  const load = await world.load(shop);

  await rename(source, 'nobody');
  await world.must(['start', file]);
  const before = await world.until(id, 'the broken rule', ({ state }) => state === 'needs-attention');
  expect(before.problem).toMatchObject({
    type: 'ValidationDiffers',
    message: expect.stringContaining('rule names: 1 row on the source, where none should be') as string,
  });
  expect(before).toMatchObject({ primary: 'source', certificate: { verdict: 'equal', rules: { asked: 2, held: 1 } } });
  await rename(source, 'somebody');
  await world.must(['retry', id]);
  const ready = await world.atGate(id, 'switch');
  expect(ready.certificate?.rules).toMatchObject({ asked: 2, held: 2, primary: 'source' });
  expect((await world.must(['status', id])).stdout).toContain('2 rules of your own held: on the source at ');

  await world.must(['approve', id, 'switch', '--confirm', id]);
  await world.switched(id, 'target', 1);
  await world.until(id, 'rules of the target', (_, { certificate }) => certificate?.rules?.primary === 'target');
  await rename(target, 'nobody');
  const after = await world.until(id, 'the broken rule', ({ state }) => state === 'needs-attention');
  expect(after.problem).toMatchObject({
    type: 'ValidationDiffers',
    message: expect.stringContaining('rule names: 1 row on the target, where none should be') as string,
  });
  await rename(target, 'somebody');
  await world.must(['retry', id]);
  const well = await world.until(
    id,
    'rules that hold',
    ({ state }, { certificate }) => state === 'running' && certificate?.rules?.held === 2,
  );
  const { stdout } = await world.must(['report', id]);
  expect(stdout).toContain('**2 rules of your own held**');
  const verdict = await world.verdict(shop, load, 'target', switchWindows(well.switches));
  expect(verdict).toMatchObject({ ...NOTHING_LOST, ok: true });
  await world.must(['abort', id, '--yes', '--wait']);
});
