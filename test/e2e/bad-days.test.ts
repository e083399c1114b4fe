/** Bad input and bad days as their user meets them: what the command line says, how it ends, and that nothing was changed. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import getPort from 'get-port';
import { switchWindows } from '../../lab/check.js';
import { PostgresServer } from '../../lab/postgres.js';
import { createShopDatabase, fillShop, SMALL_SIZE } from '../../lab/shop/create.js';
import { connect } from '../support/clients.js';
import { fresh } from '../support/fresh-name.js';
import { NOTHING_LOST, RealWorld, type DatabaseDocument, type Shop } from '../support/real-world.js';

let world: RealWorld;
beforeAll(async () => {
  world = await RealWorld.start({ built: 2 });
});
afterAll(() => world.stop());

interface BadDay {
  what: string;
  /** Spoils something; answers how the specification differs, and how to mend it. */
  spoil: (shop: Shop) => Promise<{ change?: Partial<DatabaseDocument>; mend?: () => Promise<unknown> }>;
  settings?: Record<string, string>;
  says: RegExp[];
}

const onSource = (shop: Shop, sql: string): Promise<unknown> => world.pair.source.query(sql, [], shop.name);
const onTarget = (shop: Shop, sql: string): Promise<unknown> => world.pair.target.query(sql, [], shop.name);

const BAD_DAYS: BadDay[] = [
  {
    what: 'a missing variable',
    spoil: () => Promise.resolve({ change: { source: { url: { env: 'NOBODY_SET_THIS' } } } }),
    says: [/A secret cannot be read/, /NOBODY_SET_THIS/],
  },
  {
    what: 'an unreachable database',
    spoil: async (shop) => {
      const port = await getPort({ host: '127.0.0.1' });
      return { change: { target: { url: await world.secret(`postgres://a:hush@127.0.0.1:${port}/${shop.name}`) } } };
    },
    says: [/The database cannot be reached/],
  },
  {
    what: 'a wrong password',
    spoil: async (shop) => {
      const url = world.pair.source.url(shop.name, 'postgres', 'hush-wrong');
      return { change: { source: { url: await world.secret(url) } } };
    },
    says: [/The login was refused/],
  },
  {
    what: 'an unknown table',
    spoil: () => Promise.resolve({ change: { tables: { include: ['shop.*', 'shop.nonsense'] } } }),
    says: [/Patterns name tables that do not exist/, /shop\.nonsense/],
  },
  {
    what: 'a table without identity',
    spoil: async (shop) => {
      await onSource(shop, 'create table shop.log (line text)');
      return { mend: () => onSource(shop, 'alter table shop.log replica identity full') };
    },
    says: [/Tables have no replica identity/, /shop\.log/, /replica identity full/i],
  },
  {
    what: 'a target that is not empty',
    spoil: async (shop) => {
      await onTarget(shop, 'create schema shop; create table shop.orders (id int)');
      return { mend: () => onTarget(shop, 'drop schema shop cascade') };
    },
    says: [/The target has relations with the names of tables in scope/, /shop\.orders/],
  },
  {
    what: 'a prepared transaction',
    spoil: async (shop) => {
      await onSource(shop, `begin; update shop.account set balance = balance; prepare transaction 'forgotten'`);
      return { mend: () => onSource(shop, `rollback prepared 'forgotten'`) };
    },
    says: [/Prepared transactions are waiting/, /forgotten/],
  },
  {
    what: 'a PgBouncer in session mode',
    spoil: () => Promise.resolve({}),
    settings: { pool_mode: 'session' },
    says: [/PgBouncer pools by session/, /pool_mode/],
  },
];

describe('preflight', () => {
  test.each(BAD_DAYS)('says $what, how to mend it, and changes nothing', async ({ spoil, settings = {}, says }) => {
    const shop = await world.shop({ settings });
    const { change = {}, mend } = await spoil(shop);
    const { file } = await world.specification({ [shop.name]: { ...shop.database, ...change } });
    const found = await world.catalogs(shop.name);
    try {
      const outcome = await world.must(['preflight', file], 1);
      for (const text of says) expect(outcome.stdout).toMatch(text);
      expect(outcome.stdout).toContain('→');
      expect(outcome.stdout).not.toContain('hush');
      expect(await world.catalogs(shop.name)).toEqual(found);
    } finally {
      // What is prepared on a server is in the way of every database.
      await mend?.();
    }
    if (mend !== undefined) await world.must(['preflight', file]);
  });

  test('says a source with wal_level = replica and no slots to give', async () => {
    const shop = await world.shop();
    const settings = { wal_level: 'replica', max_replication_slots: '0' };
    const poor = await PostgresServer.start({ name: 'poor', folder: join(world.folder, 'poor'), settings });
    try {
      await createShopDatabase(poor, shop.name);
      await fillShop(poor, SMALL_SIZE, shop.name);
      const source = { url: await world.secret(poor.url(shop.name)) };
      const { file } = await world.specification({ [shop.name]: { ...shop.database, source, endpoints: [] } });
      const outcome = await world.must(['preflight', file], 1);
      expect(outcome.stdout).toContain('wal_level is not logical');
      expect(outcome.stdout).toContain('max_replication_slots');
    } finally {
      await poor.destroy();
    }
  });

  test('says that nobody serves the queues of a database, then that one worker alone does', async () => {
    const shop = await world.shop();
    // Temporal remembers who polled a queue for minutes.
    const queue = fresh(`lone-${process.pid}`);
    const { file } = await world.specification({ [shop.name]: { ...shop.database, taskQueue: queue } });
    const queues = [queue, `${queue}-bulk`, `${queue}-snapshot`, `${queue}-switch`];
    // The findings about the database itself are found by workers of its queue.
    const worker = await world.addWorker(queues.slice(0, 3));
    onTestFinished(() => worker.kill());
    const none = await world.must(['preflight', file], 1);
    expect(none.stdout).toContain('No worker serves a task queue');
    expect(none.stdout).toContain(`${queue}-switch`);
    const alone = await world.addWorker(queues.slice(3));
    onTestFinished(() => alone.kill());
    const one = await world.must(['preflight', file], 0);
    expect(one.stdout).toContain('One worker alone serves the switch');
  });
});

describe('a wrong specification', () => {
  test('is told with its place, exit code 2, and nothing is started', async () => {
    const shop = await world.shop();
    const wrong = { ...shop.database, cutover: { maxPaus: '5s' } };
    const { id, file } = await world.specification({ [shop.name]: wrong as DatabaseDocument });
    const outcome = await world.must(['start', file], 2);
    expect(outcome.stderr).toContain('maxPaus');
    expect(outcome.stderr).toContain('maxPause');
    expect((await world.godwit(['status', id])).exitCode).toBe(1);
  });

  test("by Temporal's own command line ends its workflow at once, naming the place", async () => {
    const shop = await world.shop();
    const wrong = { ...shop.database, cutover: { maxPaus: '5s' } };
    const { id, file } = await world.specification({ [shop.name]: wrong as DatabaseDocument });
    const input = ['--type', 'migration', '--task-queue', 'godwit', '--workflow-id', id, '--input-file', file];
    await world.temporal('workflow', 'start', ...input);
    await expect(world.client.workflow.getHandle(id).result()).rejects.toThrow();
    const shown = await world.godwit(['status', id]);
    expect(shown.stdout).toContain('maxPaus');
    expect(await world.catalogs(shop.name)).toEqual(shop.found);
  });
});

describe('a running migration', () => {
  test('notes garbage in signals, changes nothing for it, and goes on', async () => {
    const shop = await world.shop();
    const { id, file } = await world.specification({ [shop.name]: shop.database });
    await world.must(['start', file, '--wait'], 3);
    const signal = (name: string, ...input: string[]): Promise<string> =>
      world.temporal('workflow', 'signal', '--workflow-id', id, '--name', name, ...input);
    await signal('approve', '--input', '"yes please"');
    await signal('approve', '--input', '{"gate": 7, "confirm": null}');
    await signal('abort', '--input', '[[[]]]');
    await signal('set', '--input', '{"path": "__proto__.polluted", "value": true}');
    await signal('explode', '--input', '{}');
    await world.fact('five refusals', async () => (await world.status(id)).messages.length === 5);
    const status = await world.status(id);
    expect(status.state).toBe('awaiting-approval');
    expect(status.messages.filter(({ outcome }) => !outcome.startsWith('refused'))).toEqual([]);
    const wrongGate = await world.must(['approve', id, 'swich', '--confirm', id], 1);
    expect(wrongGate.stderr).toContain('there is no gate swich');
    const wrongName = await world.must(['approve', id, 'switch', '--confirm', 'yes'], 1);
    expect(wrongName.stderr).toContain(id);
    await world.must(['abort', id, '--yes', '--wait']);
  });

  test('holds its switch while a long transaction is in the way, says so, and switches once it has ended', async () => {
    const shop = await world.shop({
      change: { cutover: { attempts: 100, maxPause: '1s', waitBetweenAttempts: '500ms' } },
    });
    const { id, file } = await world.specification({ [shop.name]: shop.database });
    const load = await world.load(shop);
    await world.must(['start', file, '--wait'], 3);
    const holder = await connect(world.pair.source.url(shop.name), 'night-report');
    await holder.query('begin; update shop.customers set name = name where id = 1');
    await world.must(['approve', id, 'switch', '--confirm', id]);
    await world.until(id, 'an attempt that undid itself', ({ reason }) => reason?.includes('undid itself') === true);
    const shown = await world.must(['status', id]);
    expect(shown.stdout).toContain('night-report');
    expect((await world.status(id)).units[0]?.primary).toBe('source');
    await holder.query('commit');
    await holder.end();
    const unit = await world.switched(id, 'target', 1);
    const verdict = await world.verdict(shop, load, 'target', switchWindows(unit.switches));
    expect(verdict).toMatchObject({ ...NOTHING_LOST, ok: true, handovers: 1 });
  });
});
