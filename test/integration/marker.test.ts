import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { DatabaseMove } from '../../activities/contract.js';
import { injectFaults } from '../../activities/fault.js';
import { claim } from '../../activities/postgres/authority.js';
import { settle, switchWrites } from '../../activities/postgres/cutover.js';
import { installFence } from '../../activities/postgres/fence.js';
import { awaitMarker, passMarker, sawMarker, writeMarker } from '../../activities/postgres/marker.js';
import { scopeNames } from '../../activities/postgres/names.js';
import { createPublication } from '../../activities/postgres/replication/publication.js';
import { Session } from '../../activities/postgres/session.js';
import { underway } from '../support/underway.js';
import { connect, READ_ONLY, refusalOf } from '../support/clients.js';
import { fresh } from '../support/fresh-name.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';
import { replicatedMove } from '../support/replicated-move.js';

/**
 * As careless as a server may be set up: commits are acknowledged before they are on disk, and what nobody asks for stays
 * in memory for 10 s, so that a crash loses all that wasn't made durable on purpose.
 */
const CARELESS = { wal_retrieve_retry_interval: '200ms', synchronous_commit: 'off', wal_writer_delay: '10s' };

let pair: ServerPair;
beforeAll(async () => {
  pair = await startPair(CARELESS);
});
afterAll(() => pair?.destroy());
afterEach(async () => {
  injectFaults(null);
  // A test that failed may have left one of them down.
  for (const server of [pair.source, pair.target]) if (!server.running) await server.restart();
});

const TABLES = `
  create table entry (id bigint primary key, note text);
  create table other (id bigint primary key);
`;

async function sessionsOf(name: string): Promise<{ source: Session; target: Session } & AsyncDisposable> {
  const source = await Session.open('source', pair.source.url(name), { purpose: 'test' });
  const target = await Session.open('target', pair.target.url(name), { purpose: 'test' });
  return {
    source,
    target,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([source.close(), target.close()]);
    },
  };
}

const forward = (move: DatabaseMove) => switchWrites({ move, direction: 'forward', mode: 'switch', attempt: 1 });

describe('a marker that has arrived', () => {
  test('proves that all acknowledged before it is applied, under 4 writers', async () => {
    const name = fresh('proof');
    const move = await replicatedMove(pair, name, TABLES);
    await using sides = await sessionsOf(name);
    const acknowledged: number[] = [];
    let next = 0;
    let stopping = false;
    const writers = Array.from({ length: 4 }, async () => {
      const client = await connect(pair.source.url(name));
      while (!stopping) {
        const id = (next += 1);
        await client.query('insert into entry values ($1)', [id]);
        acknowledged.push(id);
      }
      await client.end();
    }).map(underway);
    try {
      for (let round = 0; round < 30 || acknowledged.length <= 100; round += 1) {
        const before = acknowledged.slice();
        await passMarker(sides.source, sides.target, move.key, 30_000);
        const missing = await sides.target.rows(
          'select id from unnest($1::bigint[]) as id where not exists (select from public.entry e where e.id = id) limit 3',
          [before.slice(-2_000)],
        );
        expect(missing).toEqual([]);
      }
    } finally {
      stopping = true;
    }
    await Promise.all(writers);
  });

  test('proves it for a transaction larger than the decoder keeps in memory', async () => {
    const name = fresh('large');
    const move = await replicatedMove(pair, name, TABLES);
    await using sides = await sessionsOf(name);
    await pair.source.query(`insert into entry select n, repeat('x', 1000) from generate_series(1, 80000) n`, [], name);
    await passMarker(sides.source, sides.target, move.key, 60_000);
    expect(await pair.target.query('select count(*)::int as n from entry', [], name)).toEqual([{ n: 80_000 }]);
  });

  test('says nothing of another scope of the same databases', async () => {
    const name = fresh('two_scopes');
    const one = await replicatedMove(pair, name, TABLES, { tables: { include: ['public.entry'], exclude: [] } });
    // The second scope by hand, since its databases are there already.
    const other = await secondScope(one, name);
    await using sides = await sessionsOf(name);
    await pair.target.query(`alter subscription ${scopeNames(other.key).slot('source')} disable`, [], name);
    await pair.source.query('insert into other values (1)', [], name);
    const markers = {
      one: await writeMarker(sides.source, one.key),
      other: await writeMarker(sides.source, other.key),
    };
    expect(await awaitMarker(sides.target, one.key, markers.one.id, 60_000)).not.toBeNull();
    expect(await sawMarker(sides.target, other.key, markers.other.id)).toBe(false);
    expect(await awaitMarker(sides.target, other.key, markers.other.id, 200)).toBeNull();
    await expect(passMarker(sides.source, sides.target, other.key, 100)).rejects.toMatchObject({
      type: 'ReplicationBroken',
    });
    for (const key of [one.key, other.key]) {
      const publications = await pair.source.query(
        `select pubname from pg_publication_tables where tablename = '${scopeNames(key).marker}'`,
        [],
        name,
      );
      expect(publications).toEqual([{ pubname: scopeNames(key).publication }]);
    }
    await pair.target.query(`alter subscription ${scopeNames(other.key).slot('source')} enable`, [], name);
    expect(await awaitMarker(sides.target, other.key, markers.other.id, 60_000)).not.toBeNull();
    expect(await pair.target.query('select id::int from other', [], name)).toEqual([{ id: 1 }]);
  });
});

async function secondScope(one: DatabaseMove, name: string): Promise<DatabaseMove> {
  const move = moveOf(pair, name, { tables: { include: ['public.other'], exclude: [] } });
  expect(move.key).not.toBe(one.key);
  await claim(move);
  await installFence(move);
  await createPublication(move);
  const names = scopeNames(move.key);
  const slot = names.slot('source');
  await pair.source.query(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`, [], name);
  await pair.target.query(
    `create subscription ${slot} connection '${pair.source.url(name)}' publication ${names.publication}
     with (create_slot = false, copy_data = false, slot_name = '${slot}')`,
    [],
    name,
  );
  return move;
}

describe('on servers that acknowledge before they write to disk', () => {
  test('a crash of the target right after it became ready loses nothing that was acknowledged', async () => {
    const name = fresh('ready_crash');
    // Long enough for a server to come up again within the attempt.
    const cutover = { maxPause: 60_000, maxLag: 5_000, attempts: 1, waitBetweenAttempts: 100, window: null };
    const move = await replicatedMove(pair, name, TABLES, { cutover });
    await pair.source.query('insert into entry select n from generate_series(1, 500) n', [], name);
    injectFaults(async (point) => {
      if (point !== 'switch.ready') return;
      injectFaults(null);
      await pair.target.restart('immediate');
    });
    await forward(move).catch(() => undefined);
    expect(await settle(move)).toEqual({ primary: 'target' });
    expect(await pair.target.query('select count(*)::int as n from entry', [], name)).toEqual([{ n: 500 }]);
    expect(await refusalOf(pair.source.query('insert into entry values (0)', [], name))).toBe(READ_ONLY);
  });

  test('the experiment bites: without the commit of "ready", the same crash loses what the marker had shown', async () => {
    const name = fresh('seen_not_durable');
    const move = await replicatedMove(pair, name, TABLES);
    // All of it on disk, and whoever writes memory there by itself stands still until the crash ends it.
    await pair.target.restart();
    for (const { pid } of await pair.target.query<{ pid: number }>(
      `select pid from pg_stat_activity where backend_type in ('walwriter', 'background writer')`,
    )) {
      process.kill(pid, 'SIGSTOP');
    }
    await pair.source.query('insert into entry select n from generate_series(1, 500) n', [], name);
    {
      await using sides = await sessionsOf(name);
      await passMarker(sides.source, sides.target, move.key, 20_000);
    }
    await pair.target.stop('immediate');
    // Nothing may be sent again: as if the source were gone.
    await pair.source.stop();
    await pair.target.restart();
    const [there] = await pair.target.query<{ n: number }>('select count(*)::int as n from entry', [], name);
    expect(there?.n).toBe(0);
    await pair.source.restart();
    await using sides = await sessionsOf(name);
    await passMarker(sides.source, sides.target, move.key, 60_000);
    expect(await pair.target.query('select count(*)::int as n from entry', [], name)).toEqual([{ n: 500 }]);
  });

  test.each(['cede', 'open'])('a crash of the source right after %s leaves it closed', async (crashPoint) => {
    const name = fresh(`ceded_crash_${crashPoint}`);
    const move = await replicatedMove(pair, name, TABLES);
    await pair.source.query('insert into entry select n from generate_series(1, 500) n', [], name);
    injectFaults(async (point) => {
      if (point !== `switch.${crashPoint}`) return;
      injectFaults(null);
      await pair.source.restart('immediate');
      expect(await refusalOf(pair.source.query('insert into entry values (0)', [], name))).toBe(READ_ONLY);
    });
    await forward(move).catch(() => undefined);
    expect(await refusalOf(pair.source.query('insert into entry values (0)', [], name))).toBe(READ_ONLY);
    expect(await settle(move)).toEqual({ primary: 'target' });
    expect(await pair.target.query('select count(*)::int as n from entry', [], name)).toEqual([{ n: 500 }]);
    await pair.target.query('insert into entry values (1000)', [], name);
    expect(await switchWrites({ move, direction: 'back', mode: 'switch', attempt: 1 })).toMatchObject({
      kind: 'switched',
    });
    expect(await pair.source.query('select count(*)::int as n from entry', [], name)).toEqual([{ n: 501 }]);
  });

  test('a lease that a crash forgot is no promise: the source opens, and the next attempt begins anew', async () => {
    const name = fresh('lease_crash');
    const move = await replicatedMove(pair, name, TABLES);
    injectFaults(async (point) => {
      if (point !== 'switch.marker') return;
      injectFaults(null);
      await pair.source.restart('immediate');
    });
    await forward(move).catch(() => undefined);
    expect(await settle(move)).toEqual({ primary: 'source' });
    expect(await refusalOf(pair.source.query('insert into entry values (0)', [], name))).toBeUndefined();
    expect(await forward(move)).toMatchObject({ kind: 'switched' });
    expect(await pair.target.query('select count(*)::int as n from entry', [], name)).toEqual([{ n: 1 }]);
  });
});
