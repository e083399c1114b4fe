/** Steps that fail for good: the migration waits and says why, and goes on by `retry` once the cause is mended. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { switchWindows } from '../../lab/check.js';
import { ddlTriggers, scopeKey, scopeNames } from '../../activities/postgres/names.js';
import type { Problem } from '../../spec/status.js';
import { fresh } from '../support/fresh-name.js';
import { secretsIn, textsOf } from '../support/histories.js';
import { NOTHING_LOST, RealWorld, type Shop } from '../support/real-world.js';

let world: RealWorld;
beforeAll(async () => {
  world = await RealWorld.start({ faulty: 2 });
});
afterAll(() => world.stop());

const onTarget = (shop: Shop, sql: string): Promise<unknown> => world.pair.target.query(sql, [], shop.name);
const onSource = (shop: Shop, sql: string): Promise<unknown> => world.pair.source.query(sql, [], shop.name);

async function problem(id: string): Promise<Problem | undefined> {
  const unit = await world.until(id, 'a problem', ({ state }) => state === 'needs-attention');
  const shown = await world.must(['status', id]);
  expect(shown.stdout).toContain('needs-attention');
  expect(shown.stdout).toContain(`godwit retry ${id}`);
  return unit.problem ?? undefined;
}

describe('a step that failed for good', () => {
  test('of preflight holds before anything is changed, and goes on once the finding is mended', async () => {
    const shop = await world.shop();
    await onSource(shop, 'create table shop.log (line text)');
    const found = await world.catalogs(shop.name);
    const { id, file } = await world.specification({ [shop.name]: shop.database });
    const started = await world.must(['start', file, '--wait'], 3);
    expect(started.stderr).toContain('shop.log');
    expect(started.stderr).toContain('REPLICA IDENTITY FULL');
    expect(started.stderr).not.toContain('godwit rollback');
    expect(await world.catalogs(shop.name)).toEqual(found);
    await onSource(shop, 'alter table shop.log replica identity full');
    await world.must(['retry', id]);
    await world.atGate(id, 'switch');
    await world.must(['abort', id, '--yes', '--wait']);
  });

  test('rows that differ stop it before the switch, and retry validates again', async () => {
    const shop = await world.shop();
    const { id, file } = await world.specification({ [shop.name]: shop.database });
    const load = await world.load(shop);
    const names = scopeNames(scopeKey(id, shop.name));
    const events = Object.values(ddlTriggers(scopeKey(id, shop.name)));
    // Past the fence, as only a superuser who means it can.
    const change = (name: string): Promise<unknown> =>
      onTarget(
        shop,
        `begin; set local session_replication_role = replica;
         ${events.map((event) => `alter event trigger ${event} disable;`).join(' ')}
         alter table shop.customers disable trigger ${names.trigger};
         update shop.customers set name = ${name} where id = 1;
         alter table shop.customers enable always trigger ${names.trigger};
         ${events.map((event) => `alter event trigger ${event} enable always;`).join(' ')}
         commit`,
      );
    await world.faults.at('before.validate', 'stall');
    await world.must(['start', file]);
    await world.faults.reached('before.validate');
    await change(`name || ' changed'`);
    await world.faults.release('before.validate');
    expect(await problem(id)).toMatchObject({ type: 'ValidationDiffers' });
    await change(`replace(name, ' changed', '')`);
    await world.must(['retry', id]);
    const unit = await world.atGate(id, 'switch');
    expect(unit.certificate?.verdict).toBe('equal');
    expect(await world.verdict(shop, load, 'source', [])).toMatchObject({ ok: true, handovers: 0 });
    await world.must(['abort', id, '--yes', '--wait']);
  });

  test('DDL in the way stops the switch with the writes where they were, and retry switches once it is gone', async () => {
    const shop = await world.shop();
    // Beside the tables of the shop, what no log carries.
    await onSource(
      shop,
      `create materialized view shop.turnover as select count(*)::int as orders from shop.orders;
       create unlogged table shop.basket (id int primary key); insert into shop.basket values (1), (2)`,
    );
    const tables = { unlogged: { 'shop.basket': 'copy' } } as const;
    const { id, file } = await world.specification({ [shop.name]: { ...shop.database, tables } });
    const load = await world.load(shop);
    await world.must(['start', file, '--wait'], 3);
    const [{ orders: atCopy }] = (await onTarget(shop, 'select orders from shop.turnover')) as [{ orders: number }];
    // Not a table that is written: what was written with a column that the target lacks could never be applied there.
    await onSource(shop, 'alter table shop.customers add column colour text');
    await world.must(['approve', id, 'switch', '--confirm', id]);
    const stopped = await problem(id);
    expect(stopped).toMatchObject({ type: 'SchemaMismatch' });
    expect(stopped?.message).toContain('source');
    expect(stopped?.next).toContain('retry');
    await onSource(shop, 'alter table shop.customers drop column colour');
    await world.must(['retry', id]);
    const unit = await world.switched(id, 'target', 1);
    expect(await onTarget(shop, 'select id from shop.basket order by id')).toEqual([{ id: 1 }, { id: 2 }]);
    await expect
      .poll(() => onTarget(shop, `select orders > ${atCopy} as fresh from shop.turnover`), { timeout: 60_000 })
      .toEqual([{ fresh: true }]);
    const verdict = await world.verdict(shop, load, 'target', switchWindows(unit.switches));
    expect(verdict).toMatchObject({ ...NOTHING_LOST, ok: true, handovers: 1, requests: { failed: 0, unknown: 0 } });
  });

  test('a password that no longer holds stops the switch; mended, it switches, and no secret is in a history or a log', async () => {
    const shop = await world.shop();
    const { source, target } = world.pair;
    const mover = fresh('mover');
    for (const server of [source, target]) {
      await server.query(`create role ${mover} superuser login password 'hush-mover-1'`);
    }
    const url = (server: typeof source, password: string): string => server.url(shop.name, mover, password);
    const database = {
      ...shop.database,
      source: { url: await world.secret(url(source, 'hush-mover-1')) },
      target: { url: await world.secret(url(target, 'hush-mover-1')) },
    };
    const { id, file } = await world.specification({ [shop.name]: database });
    await world.must(['start', file, '--wait'], 3);
    await target.query(`alter role ${mover} password 'hush-mover-2'`);
    await world.must(['approve', id, 'switch', '--confirm', id]);
    const stopped = await problem(id);
    expect(`${stopped?.message}`).toContain('target');
    expect(await source.query('select 1 as up', [], shop.name)).toHaveLength(1);
    await target.query(`alter role ${mover} password 'hush-mover-1'`);
    await world.must(['retry', id]);
    await world.switched(id, 'target', 1);
    await world.must(['report', id]);
    const texts = await textsOf(world, id);
    const histories = [...texts].filter(([where]) => where.startsWith('history'));
    for (const [, history] of histories) expect(history.length).toBeLessThan(1_000_000);
    expect(histories.length).toBeGreaterThan(4); // The migration, and a child for each phase.
    expect(secretsIn(texts, ['hush-mover-1', 'hush-mover-2', 'lab-postgres', 'lab-shop', 'lab-pgbouncer'])).toEqual([]);
  });
});
