import { chmod, chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import getPort from 'get-port';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { DatabaseMove, SwitchInput, SwitchOutcome } from '../../activities/contract.js';
import { injectFaults } from '../../activities/fault.js';
import { settle, switchWrites, undoSwitch } from '../../activities/postgres/cutover.js';
import { observe } from '../../activities/postgres/replication/observe.js';
import { PgBouncer, type PgBouncerOptions } from '../../lab/pgbouncer.js';
import type { NormalDatabase, NormalPgBouncer } from '../../spec/normal.js';
import { underway } from '../support/underway.js';
import { connect, refusalOf, until } from '../support/clients.js';
import { fresh } from '../support/fresh-name.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { replicatedMove } from '../support/replicated-move.js';
import { attempt, dieAt } from '../support/switching.js';

let pair: ServerPair;
let folder: string;
const bouncers: PgBouncer[] = [];
beforeAll(async () => {
  // The launcher starts an apply worker at most this often; the default of 5 s would only make the tests wait.
  pair = await startPair({ wal_retrieve_retry_interval: '200ms' });
  folder = await mkdtemp(join(tmpdir(), 'godwit-bouncers-'));
  await chmod(folder, 0o755);
});
afterEach(async () => {
  injectFaults(null);
  await Promise.all(bouncers.splice(0).map((one) => one.destroy()));
});
afterAll(async () => {
  await pair?.destroy();
  await rm(folder, { recursive: true, force: true });
});

const TABLES = `
  create table account (id int primary key, balance int not null);
  create table entry (id bigint generated always as identity primary key, note text);
  insert into account values (1, 0);
`;
const CUTOVER = { maxPause: 10_000, maxLag: 10_000, attempts: 3, waitBetweenAttempts: 100, window: null };
/** Where it is waited out. */
const IMPATIENT = { cutover: { ...CUTOVER, maxPause: 2_000 } };

async function bouncer(name: string, entry: string, options: Partial<PgBouncerOptions> = {}): Promise<PgBouncer> {
  const started = await PgBouncer.start({
    name,
    folder: join(folder, name),
    databases: { [entry]: { host: '127.0.0.1', port: pair.source.port, dbname: entry } },
    ...options,
  });
  bouncers.push(started);
  return started;
}

let urls = 0;
/** `admin` given: an address where nobody is. */
function endpoint(one: PgBouncer, database: string, admin = one.adminUrl): NormalPgBouncer {
  urls += 1;
  const variable = `TEST_BOUNCER_${process.pid}_${urls}`;
  process.env[variable] = admin;
  return {
    kind: 'pgbouncer',
    name: one.name,
    admin: { env: variable },
    database,
    configFile: one.configFile,
    hosts: { source: null, target: null },
  };
}

async function moveBehind(
  name: string,
  endpoints: NormalPgBouncer[],
  change: Partial<NormalDatabase> = {},
): Promise<DatabaseMove> {
  return replicatedMove(pair, name, TABLES, { endpoints, cutover: CUTOVER, ...change });
}

const switching = (move: DatabaseMove, direction: 'forward' | 'back', mode: SwitchInput['mode'] = 'switch') =>
  switchWrites({ move, direction, mode, attempt: 1 });

async function shown(one: PgBouncer, database: string): Promise<{ port: number; paused: number }> {
  const rows = await one.command<{ name: string; port: number; paused: number }>('show databases');
  const row = rows.find((found) => found.name === database);
  return { port: Number(row?.port), paused: Number(row?.paused) };
}

const onSource = () => ({ port: pair.source.port, paused: 0 });
const onTarget = () => ({ port: pair.target.port, paused: 0 });

/** Clients through the pooler that write at a bounded rate, never retry, and count every error; until the test is over at most. */
class Clients {
  readonly errors: string[] = [];
  readonly ports = new Set<number>();
  acknowledged = 0;
  slowest = 0;
  #stopping = false;
  #running: Promise<void>[] = [];

  static start(url: string, count = 4): Clients {
    const clients = new Clients();
    clients.#running = Array.from({ length: count }, () => underway(clients.#write(url)));
    onTestFinished(() => void (clients.#stopping = true));
    return clients;
  }

  async progress(count: number): Promise<void> {
    const goal = this.acknowledged + count;
    await expect.poll(() => this.acknowledged + this.errors.length, { timeout: 60_000 }).toBeGreaterThan(goal);
  }

  async stop(): Promise<this> {
    this.#stopping = true;
    await Promise.all(this.#running);
    return this;
  }

  async #write(url: string): Promise<void> {
    const client = await connect(url);
    while (!this.#stopping) {
      const began = performance.now();
      try {
        const { rows } = await client.query<{ port: number }>(
          `insert into entry (note) values ('x') returning inet_server_port() as port`,
        );
        this.acknowledged += 1;
        this.ports.add(rows[0]?.port ?? -1);
      } catch (error) {
        this.errors.push(error instanceof Error ? error.message : String(error));
        if (this.errors.length > 20) return;
      }
      this.slowest = Math.max(this.slowest, performance.now() - began);
      await sleep(5);
    }
    await client.end();
  }
}

const entries = async (server: ServerPair['source'], name: string): Promise<number> =>
  (await server.query<{ n: number }>('select count(*)::int as n from entry', [], name))[0]?.n ?? -1;

describe('clients behind the pooler', () => {
  test('go on without an error over a switch, its way back, and another switch; nothing is lost', async () => {
    const name = fresh('no_error');
    const one = await bouncer('smooth', name);
    const move = await moveBehind(name, [endpoint(one, name)]);
    const clients = Clients.start(one.url(name));
    await clients.progress(40);
    for (const [direction, there] of [
      ['forward', onTarget],
      ['back', onSource],
      ['forward', onTarget],
    ] as const) {
      expect(await switching(move, direction)).toMatchObject({ kind: 'switched' });
      expect(await shown(one, name)).toEqual(there());
      await clients.progress(40);
    }
    const { errors, acknowledged, ports } = await clients.stop();
    expect(errors).toEqual([]);
    expect([...ports].sort()).toEqual([pair.source.port, pair.target.port].sort());
    expect(await entries(pair.target, name)).toBe(acknowledged);
  });

  test('feel a rehearsal as a short wait, and nothing else', async () => {
    const name = fresh('rehearsed');
    const one = await bouncer('rehearsing', name);
    const before = await readFile(one.configFile);
    const move = await moveBehind(name, [endpoint(one, name)]);
    const clients = Clients.start(one.url(name));
    await clients.progress(20);
    expect(await switching(move, 'forward', 'rehearse')).toMatchObject({ kind: 'rehearsed' });
    await clients.progress(20);
    const { errors, ports } = await clients.stop();
    expect(errors).toEqual([]);
    expect([...ports]).toEqual([pair.source.port]);
    expect(await readFile(one.configFile)).toEqual(before);
    expect(await shown(one, name)).toEqual(onSource());
  });
});

describe('a pause', () => {
  test('left by a dead attempt is taken back by the next', async () => {
    const name = fresh('left_paused');
    const one = await bouncer('left-paused', name);
    const move = await moveBehind(name, [endpoint(one, name)], IMPATIENT);
    await dieAt('switch.pause', { move, direction: 'forward', mode: 'switch', attempt: 1 });
    expect(await shown(one, name)).toMatchObject({ paused: 1 });
    const waiting = Clients.start(one.url(name), 1);
    expect(await settle(move)).toEqual({ primary: 'source' });
    expect(await shown(one, name)).toEqual(onSource());
    await waiting.progress(5);
    expect((await waiting.stop()).errors).toEqual([]);
  });

  test('left by an attempt that died after the cede ends at the new side', async () => {
    const name = fresh('left_ceded');
    const one = await bouncer('left-ceded', name);
    const move = await moveBehind(name, [endpoint(one, name)], IMPATIENT);
    await dieAt('switch.cede', { move, direction: 'forward', mode: 'switch', attempt: 1 });
    const waiting = Clients.start(one.url(name), 2);
    expect(await settle(move)).toEqual({ primary: 'target' });
    expect(await shown(one, name)).toEqual(onTarget());
    await waiting.progress(5);
    expect(await waiting.stop()).toMatchObject({ errors: [], ports: new Set([pair.target.port]) });
  });

  test('held by an open transaction times out, is taken back, and says not-now; nobody waits longer than half of maxPause', async () => {
    const name = fresh('held');
    const one = await bouncer('held-pooler', name);
    const move = await moveBehind(name, [endpoint(one, name)]);
    const holder = await connect(one.url(name));
    await holder.query('begin; select 1');
    const clients = Clients.start(one.url(name), 2);
    await clients.progress(5);
    const outcome = await switching(move, 'forward');
    expect(outcome).toMatchObject({ kind: 'not-now' });
    expect(reasonOf(outcome)).toContain('held-pooler');
    expect(await shown(one, name)).toEqual(onSource());
    await holder.query('rollback');
    await clients.progress(5);
    const { errors, slowest } = await clients.stop();
    expect(errors).toEqual([]);
    // The wait, and what opening a second connection of the console takes on a machine that is busy with other things.
    expect(slowest).toBeLessThan(CUTOVER.maxPause);
    expect(slowest).toBeGreaterThan(CUTOVER.maxPause / 4);
    await holder.end();
    expect(await switching(move, 'forward')).toMatchObject({ kind: 'switched' });
  });

  test("that another administrator's RESUME breaks into doesn't hang the attempt", async () => {
    const name = fresh('resumed');
    const one = await bouncer('resumed', name);
    const move = await moveBehind(name, [endpoint(one, name)]);
    const holder = await connect(one.url(name));
    await holder.query('begin; select 1');
    const outcome = underway(switching(move, 'forward'));
    await expect.poll(() => shown(one, name), { interval: 20 }).toMatchObject({ paused: 1 });
    await one.command(`resume ${name}`);
    expect(await outcome).toMatchObject({ kind: 'not-now' });
    await holder.query('rollback');
    await holder.end();
    expect(await shown(one, name)).toEqual(onSource());
  });

  test('that another administrator lifts once it was complete costs errors, not writes: the fence holds', async () => {
    const name = fresh('lifted');
    const one = await bouncer('lifted', name);
    // The refusals are waited for inside the pause.
    const move = await moveBehind(name, [endpoint(one, name)], { cutover: { ...CUTOVER, maxPause: 60_000 } });
    const clients = Clients.start(one.url(name), 2);
    await clients.progress(5);
    injectFaults(async (point) => {
      if (point !== 'switch.fence') return;
      await one.command(`resume ${name}`);
      await expect.poll(() => clients.errors.length, { timeout: 30_000 }).toBeGreaterThan(0);
    });
    expect(await switching(move, 'forward')).toMatchObject({ kind: 'switched' });
    await clients.progress(5);
    const { errors, acknowledged } = await clients.stop();
    expect(errors.every((error) => error.includes('cannot execute INSERT'))).toBe(true);
    expect(await entries(pair.target, name)).toBe(acknowledged);
  });

  test('that ends with a restart of PgBouncer costs errors, not writes: the fence holds, and the switch is completed', async () => {
    const name = fresh('restarted');
    const one = await bouncer('restarted', name);
    const move = await moveBehind(name, [endpoint(one, name)]);
    injectFaults(async (point) => {
      if (point === 'switch.pause') await one.restart();
    });
    // Its console is a new one, so the attempt may have to be made again: each ends with one writer.
    let outcome: SwitchOutcome | null = null;
    for (let attempt = 1; outcome?.kind !== 'switched' && attempt <= 3; attempt += 1) {
      outcome = await switching(move, 'forward').catch(() => null);
      injectFaults(null);
      const sides = [pair.source, pair.target].map((server) =>
        refusalOf(server.query('update account set balance = balance', [], name)),
      );
      expect((await Promise.all(sides)).filter((refusal) => refusal === undefined)).toHaveLength(1);
    }
    expect(outcome).toMatchObject({ kind: 'switched' });
    expect(await shown(one, name)).toEqual(onTarget());
    const client = await connect(one.url(name));
    await client.query(`insert into entry (note) values ('after')`);
    await client.end();
    expect(await entries(pair.target, name)).toBe(1);
  });

  test('never completes in session mode: not-now, and the clients go on', async () => {
    const name = fresh('session_mode');
    const one = await bouncer('session-mode', name, { poolMode: 'session' });
    const move = await moveBehind(name, [endpoint(one, name)], IMPATIENT);
    const client = await connect(one.url(name));
    await client.query('select 1');
    const outcome = await switching(move, 'forward');
    expect(outcome).toMatchObject({ kind: 'not-now' });
    expect(reasonOf(outcome)).toContain('session-mode');
    await client.query(`insert into entry (note) values ('still here')`);
    await client.end();
    expect(await shown(one, name)).toEqual(onSource());
  });
});

describe('the configuration file', () => {
  const withComments = async (one: PgBouncer, name: string): Promise<Buffer> => {
    const text = (await readFile(one.configFile, 'utf8')).replace(
      /^(\w+ = host=127.*)$/m,
      `; caf\xe9 of the old\n$1  pool_size=7   connect_query='select 1'\nother_${name} = host=127.0.0.1 port=1 dbname=x`,
    );
    await writeFile(one.configFile, text, 'latin1');
    await one.command('reload');
    return readFile(one.configFile);
  };

  test('is byte for byte as before after the way back; on the way only the one entry differs, and keeps its other parameters', async () => {
    const name = fresh('bytes');
    const one = await bouncer('bytes', name);
    const before = await withComments(one, name);
    const move = await moveBehind(name, [endpoint(one, name)]);
    await switching(move, 'forward');
    const lines = (text: Buffer): string[] => text.toString('latin1').split('\n');
    const now = await readFile(one.configFile);
    const changed = lines(now).filter((line, index) => line !== lines(before)[index]);
    expect(changed).toHaveLength(1);
    expect(changed[0]).toContain(`port=${pair.target.port}`);
    expect(changed[0]).toContain('pool_size=7');
    await undoSwitch(move);
    expect(await readFile(one.configFile)).toEqual(before);
    await switching(move, 'forward');
    await switching(move, 'back');
    expect(await readFile(one.configFile)).toEqual(before);
  });

  test('keeps what an administrator changes in the entry between two attempts, and during the stay on the target', async () => {
    const name = fresh('edited');
    const one = await bouncer('edited', name);
    const move = await moveBehind(name, [endpoint(one, name)]);
    const edit = async (from: string, to: string): Promise<void> => {
      const text = await readFile(one.configFile, 'utf8');
      expect(text).toContain(from);
      await writeFile(one.configFile, text.replace(from, to));
      await one.command('reload');
    };
    await switching(move, 'forward', 'rehearse');
    await edit(`dbname=${name}`, `dbname=${name} pool_size=3`);
    const edited = await readFile(one.configFile, 'utf8');
    await settle(move);
    expect(await readFile(one.configFile, 'utf8')).toBe(edited);
    await switching(move, 'forward');
    await switching(move, 'back');
    expect(await readFile(one.configFile, 'utf8')).toBe(edited);
    await switching(move, 'forward');
    await edit('pool_size=3', 'pool_size=4');
    await switching(move, 'back');
    expect(await readFile(one.configFile, 'utf8')).toBe(edited.replace('pool_size=3', 'pool_size=4'));
    expect(await shown(one, name)).toEqual(onSource());
  });

  test('without the entry fails before anything is paused', async () => {
    const name = fresh('no_entry');
    const one = await bouncer('no-entry', name);
    const move = await moveBehind(name, [endpoint(one, 'another')]);
    await refusesUnpaused(move, one, name, 'no entry another');
  });

  test('that another PgBouncer reads fails before anything is paused', async () => {
    const name = fresh('wrong_file');
    const one = await bouncer('wrong-file', name);
    const other = await bouncer('other-file', name, {
      databases: { [name]: { host: '127.0.0.1', port: 1, dbname: name } },
    });
    const move = await moveBehind(name, [{ ...endpoint(one, name), configFile: other.configFile }]);
    await refusesUnpaused(move, one, name, 'its file says');
    expect(await readFile(other.configFile, 'utf8')).toContain('port=1 ');
  });

  test.runIf(process.getuid?.() === 0)('that the worker may not write fails before anything is paused', async () => {
    const name = fresh('read_only');
    const one = await bouncer('read-only', name);
    await chown(one.configFile, 0, 0);
    await chmod(one.configFile, 0o644);
    const move = await moveBehind(name, [endpoint(one, name)]);
    const clients = Clients.start(one.url(name), 1);
    // Root may write everything, so the attempt runs as somebody else.
    const complaint = await attemptAs(65_534, { move, direction: 'forward', mode: 'switch', attempt: 1 });
    expect(complaint).toContain(`can't write ${one.configFile}`);
    await clients.progress(5);
    expect(await clients.stop()).toMatchObject({ errors: [] });
    expect(await shown(one, name)).toEqual(onSource());
  });
});

async function refusesUnpaused(move: DatabaseMove, one: PgBouncer, name: string, because: string): Promise<void> {
  const points: string[] = [];
  injectFaults((point) => void points.push(point));
  await expect(switching(move, 'forward')).rejects.toMatchObject({
    type: 'EndpointFailed',
    message: expect.stringContaining(because) as string,
  });
  expect(points).not.toContain('switch.pause');
  expect(await shown(one, name)).toEqual(onSource());
  expect(await refusalOf(pair.source.query('update account set balance = 1', [], name))).toBeUndefined();
}

describe('several PgBouncers', () => {
  test('are paused, pointed and resumed together', async () => {
    const name = fresh('several');
    const [one, two] = await Promise.all([bouncer('first', name), bouncer('second', name)]);
    const move = await moveBehind(name, [endpoint(one, name), endpoint(two, name)]);
    const clients = [Clients.start(one.url(name), 2), Clients.start(two.url(name), 2)];
    await Promise.all(clients.map((some) => some.progress(10)));
    for (const [direction, there] of [
      ['forward', onTarget],
      ['back', onSource],
    ] as const) {
      expect(await switching(move, direction)).toMatchObject({ kind: 'switched' });
      expect([await shown(one, name), await shown(two, name)]).toEqual([there(), there()]);
      await Promise.all(clients.map((some) => some.progress(10)));
    }
    const reports = await Promise.all(clients.map((some) => some.stop()));
    expect(reports.flatMap((report) => report.errors)).toEqual([]);
    expect(await entries(pair.source, name)).toBe(reports.reduce((sum, report) => sum + report.acknowledged, 0));
  });

  test("of which one can't be reached: nothing is paused", async () => {
    const name = fresh('one_gone');
    const one = await bouncer('reachable', name);
    const gone = await bouncer('gone', name);
    const free = await getPort({ host: '127.0.0.1' });
    const nobody = gone.adminUrl.replace(`:${gone.port}/`, `:${free}/`);
    const move = await moveBehind(name, [endpoint(one, name), endpoint(gone, name, nobody)]);
    const points: string[] = [];
    injectFaults((point) => void points.push(point));
    await expect(switching(move, 'forward')).rejects.toMatchObject({ type: 'EndpointFailed' });
    expect(points).toEqual([]);
    expect(await shown(one, name)).toEqual(onSource());
    expect(await refusalOf(pair.source.query('update account set balance = 1', [], name))).toBeUndefined();
  });

  test('of which one is held by an open transaction: all are resumed', async () => {
    const name = fresh('one_held');
    const [one, two] = await Promise.all([bouncer('free', name), bouncer('busy', name)]);
    const move = await moveBehind(name, [endpoint(one, name), endpoint(two, name)], IMPATIENT);
    const holder = await connect(two.url(name));
    await holder.query('begin; select 1');
    const outcome = await switching(move, 'forward');
    expect(reasonOf(outcome)).toContain('busy');
    expect(reasonOf(outcome)).not.toContain('free');
    expect([await shown(one, name), await shown(two, name)]).toEqual([onSource(), onSource()]);
    await holder.end();
  });

  test('of which one dies during the pause: the other is resumed, and the source takes the writes', async () => {
    const name = fresh('one_dies');
    const [one, two] = await Promise.all([bouncer('survivor', name), bouncer('victim', name)]);
    const move = await moveBehind(name, [endpoint(one, name), endpoint(two, name)], IMPATIENT);
    const holder = await connect(one.url(name));
    await holder.query('begin; select 1');
    injectFaults(async (point) => {
      if (point === 'switch.prepare') await two.stop('SIGKILL');
    });
    await expect(switching(move, 'forward')).rejects.toMatchObject({ type: 'EndpointFailed' });
    await holder.query(`insert into entry (note) values ('held'); commit`);
    await holder.end();
    expect(await shown(one, name)).toEqual(onSource());
    expect(await refusalOf(pair.source.query('update account set balance = 1', [], name))).toBeUndefined();
  });

  test('of which one dies after the cede: the clients of the other are at the new side at once', async () => {
    const name = fresh('one_dies_late');
    const [one, two] = await Promise.all([bouncer('alive', name), bouncer('dead', name)]);
    const move = await moveBehind(name, [endpoint(one, name), endpoint(two, name)]);
    const clients = Clients.start(one.url(name), 2);
    await clients.progress(5);
    injectFaults(async (point) => {
      if (point === 'switch.cede') await two.stop('SIGKILL');
    });
    await expect(switching(move, 'forward')).rejects.toMatchObject({ type: 'EndpointFailed' });
    expect(await shown(one, name)).toEqual(onTarget());
    await clients.progress(5);
    expect((await clients.stop()).errors).toEqual([]);
    injectFaults(null);
    await two.restart();
    expect(await switching(move, 'forward')).toMatchObject({ kind: 'switched' });
    expect(await shown(two, name)).toEqual(onTarget());
  });
});

test('a switch without any pooler needs none', async () => {
  const name = fresh('no_pooler');
  const move = await moveBehind(name, []);
  expect(await switching(move, 'forward')).toMatchObject({ kind: 'switched' });
  await until(pair.target, name, 'select from account');
});

const reasonOf = (outcome: SwitchOutcome): string => (outcome.kind === 'not-now' ? outcome.reason : '');

/** What an attempt complained about that another user of this machine ran. */
async function attemptAs(uid: number, input: SwitchInput): Promise<string> {
  return attempt(input, 'never', uid).then(
    () => 'nothing',
    (error: { stderr?: string }) => error.stderr ?? '',
  );
}

test('who connects past the pooler is told by role, host and application in every look before the switch', async () => {
  const name = fresh('bypassed');
  const pooler = await bouncer('bypassed', name);
  const move = await moveBehind(name, [endpoint(pooler, name)]);
  const pooled = await connect(pooler.url(name), 'storefront');
  const direct = await connect(pair.source.url(name), 'cron');
  try {
    await pooled.query('select 1');
    const { bypassing, warnings, problems } = await observe(move);
    expect({ bypassing, warnings, problems }).toEqual({
      bypassing: ['cron (user postgres) from 127.0.0.1'],
      warnings: [],
      problems: [],
    });
    expect((await observe({ ...move, database: { ...move.database, endpoints: [] } })).bypassing).toEqual([]);
    const nobody = endpoint(pooler, name, 'postgres://godwit@127.0.0.1:1/pgbouncer');
    const blind = await observe({ ...move, database: { ...move.database, endpoints: [nobody] } });
    expect(blind.warnings?.join()).toMatch(/who connects past the pooler can't be told: .*PgBouncer bypassed/);
    expect(await switching(move, 'forward')).toMatchObject({ kind: 'switched' });
    expect((await observe(move)).bypassing).toEqual([]);
  } finally {
    await Promise.all([pooled.end(), direct.end()]);
  }
});
