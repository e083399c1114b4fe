/** Every kind of endpoint in one migration, under load: two PgBouncers, a hook before a proxy, drivers with both hosts. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { switchWindows } from '../../lab/check.js';
import { TcpEdge } from '../../lab/tcp-edge.js';
import { Load } from '../../lab/load.js';
import { DRIVER_TABLE, Drivers, inTurn, oneHost, readWrite } from '../../lab/load/drivers.js';
import { PgBouncer } from '../../lab/pgbouncer.js';
import { SHOP } from '../../lab/shop/create.js';
import { HookServer } from '../support/hook-server.js';
import { chosenBy } from '../support/libpq.js';
import { NOTHING_LOST, RATE, RealWorld } from '../support/real-world.js';

let world: RealWorld;
beforeAll(async () => {
  world = await RealWorld.start({ faulty: 2 });
});
afterAll(() => world.stop());

test('a switch through two PgBouncers, a hook and drivers with both hosts, there and back, while a worker dies: none failed, none lost', async () => {
  const shop = await world.shop({ change: { tables: {} } });
  const { source, target } = world.pair;
  await source.query(DRIVER_TABLE, [], shop.name);
  const found = await world.catalogs(shop.name);
  const second = await PgBouncer.start({
    name: 'second',
    folder: join(world.folder, 'second'),
    databases: { [shop.name]: { host: '127.0.0.1', port: source.port, dbname: shop.name } },
    users: { [SHOP.user]: SHOP.password },
  });
  const hook = await HookServer.start();
  const edge = await TcpEdge.start(source.port);
  hook.onLead = (primary) => edge.lead(world.pair[primary].port);
  const token = await world.secret('t0ken');
  const others: { load?: Load; drivers: Drivers[] } = { drivers: [] };
  try {
    const endpoints = [
      ...(shop.database.endpoints ?? []),
      {
        pgbouncer: {
          admin: await world.secret(second.adminUrl),
          database: shop.name,
          configFile: second.configFile,
        },
      },
      { hook: { url: `${hook.url}/primary`, token } },
      { multiHost: { applications: ['two-hosts'] } },
      { none: {} },
    ];
    const { id, file } = await world.specification({ [shop.name]: { ...shop.database, endpoints } });
    const urls = [source.url(shop.name), target.url(shop.name)];
    const first = await world.load(shop);
    const behindSecond = await Load.start({
      url: second.url(shop.name, SHOP.user, SHOP.password),
      record: join(world.folder, 'second.record'),
      rate: RATE,
    });
    others.load = behindSecond;
    const drivers = {
      hook: Drivers.start(oneHost(source.url(shop.name).replace(`:${source.port}/`, `:${edge.port}/`), 'edge'), 2),
      multiHost: Drivers.start(readWrite([...urls].reverse(), 'two-hosts'), 2),
      none: Drivers.start(inTurn(urls, 'alone'), 2),
    };
    others.drivers.push(...Object.values(drivers));
    const goOn = () => Promise.all(Object.values(drivers).map((some) => some.progress(20)));

    await world.must(['start', file, '--wait'], 3);
    expect(await chosenBy(world.pair, shop.name)).toEqual(['source', 'source']);
    // The worker dies between the cede and the flip, and the other one completes.
    await world.faults.at('switch.cede', 'kill');
    await world.must(['approve', id, 'switch', '--confirm', id]);
    await world.faults.reached('switch.cede');
    await world.switched(id, 'target', 1);
    await goOn();
    expect(hook.primary).toBe('target');
    expect(await chosenBy(world.pair, shop.name)).toEqual(['target', 'target']);

    await world.must(['rollback', id, '--yes', '--wait']);
    await goOn();
    expect(hook.primary).toBe('source');
    expect(await chosenBy(world.pair, shop.name)).toEqual(['source', 'source']);

    const windows = switchWindows((await world.status(id)).units[0]?.switches ?? []);
    expect(windows).toHaveLength(2);
    for (const load of [first, behindSecond]) {
      const verdict = await world.verdict(shop, load, 'source', windows);
      expect(verdict).toMatchObject({ ...NOTHING_LOST, handovers: 2, requests: { failed: 0, unknown: 0 } });
    }
    for (const some of Object.values(drivers)) {
      const { acknowledged, lost } = await some.stop(source.url(shop.name));
      expect(acknowledged).toBeGreaterThan(40);
      expect(lost).toBe(0);
    }
    await world.must(['abort', id, '--yes', '--wait']);
    expect(await world.catalogs(shop.name)).toEqual(found);
    const settings = 'select from pg_db_role_setting s join pg_database d on d.oid = setdatabase where datname = $1';
    for (const server of [source, target]) expect(await server.query(settings, [shop.name])).toEqual([]);
  } finally {
    for (const some of others.drivers) some.abandon();
    await others.load?.kill();
    await Promise.all([second.destroy(), hook.stop(), edge.stop()]);
  }
});
