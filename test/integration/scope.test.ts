import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { resolveTables } from '../../activities/postgres/scope.js';
import { Session } from '../../activities/postgres/session.js';
import { startPair, type ServerPair } from '../support/postgres.js';

const TABLES = `
  create table plain (id int primary key);
  create table "a/b" (id int primary key);
  create table metric (at date not null, value int) partition by range (at);
  create table metric_2025 partition of metric for values from ('2025-01-01') to ('2026-01-01') partition by range (at);
  create table metric_2025_h1 partition of metric_2025 for values from ('2025-01-01') to ('2025-07-01');
  create temporary table passing (id int);
`;

let pair: ServerPair;
let session: Session;
beforeAll(async () => {
  pair = await startPair();
  await pair.source.query(TABLES);
  session = await Session.open('source', pair.source.url(), { purpose: 'test' });
});
afterAll(async () => {
  await session.close();
  await pair.destroy();
});

const names = async (include: string[], exclude: string[] = []): Promise<string[]> =>
  (await resolveTables(session, { include, exclude })).map((table) => `${table.schema}.${table.name}`);

describe('the patterns of tables', () => {
  test('name every permanent table by *.*, whatever its name holds', async () => {
    expect(await names(['*.*'])).toEqual([
      'public.a/b',
      'public.metric',
      'public.metric_2025',
      'public.metric_2025_h1',
      'public.plain',
    ]);
  });

  test('take all partitions along with the table at their top, and leave them out with it', async () => {
    expect(await names(['public.metric'])).toEqual(['public.metric', 'public.metric_2025', 'public.metric_2025_h1']);
    expect(await names(['*.*'], ['public.metric'])).toEqual(['public.a/b', 'public.plain']);
  });

  test('are refused where a part of a partitioned table would stay: routed rows would pass the fence', async () => {
    await expect(names(['public.metric_2025_h1'])).rejects.toThrow(
      /only a part of the partitioned table public.metric/,
    );
    await expect(names(['*.*'], ['public.metric_2025_h1'])).rejects.toThrow(/public.metric_2025_h1 is left out/);
  });

  test('take unlogged tables along where tables.unlogged says what becomes of them, and no others', async () => {
    onTestFinished(async () => {
      await pair.source.query('drop schema if exists cold cascade');
    });
    await pair.source.query(`
      create schema cold;
      create table cold.day (at date not null) partition by range (at);
      create table cold.day_1 partition of cold.day for values from ('2025-01-01') to ('2025-01-02');
      create unlogged table cold.day_2 partition of cold.day for values from ('2025-01-02') to ('2025-01-03');
      create unlogged table cold.cache (id int primary key)`);
    const of = (unlogged: Record<string, 'copy' | 'empty'>, rowFilters = {}, exclude: string[] = []) =>
      resolveTables(session, { include: ['cold.*'], exclude, unlogged, rowFilters });
    expect(await of({ 'cold.*': 'copy' })).toEqual([
      { schema: 'cold', name: 'cache', kind: 'r', unlogged: 'copy' },
      { schema: 'cold', name: 'day', kind: 'p' },
      { schema: 'cold', name: 'day_1', kind: 'r' },
      { schema: 'cold', name: 'day_2', kind: 'r', unlogged: 'copy' },
    ]);
    expect(await of({ 'cold.day': 'empty' })).toEqual([
      { schema: 'cold', name: 'day', kind: 'p' },
      { schema: 'cold', name: 'day_1', kind: 'r' },
      { schema: 'cold', name: 'day_2', kind: 'r', unlogged: 'empty' },
    ]);
    await expect(of({ 'cold.cache': 'copy' })).rejects.toThrow(
      /cold\.day_2 of the source is unlogged and a part of the partitioned table cold\.day, which moves/,
    );
    await expect(of({ 'cold.*': 'copy', 'cold.cache': 'empty' })).rejects.toThrow(
      /says twice what becomes of cold\.cache/,
    );
    await expect(of({ 'cold.*': 'copy' }, { 'cold.cache': 'id > 1' })).rejects.toThrow(
      /tables\.rowFilters names cold\.cache, which is unlogged/,
    );
    await expect(of({ 'cold.*': 'copy', 'cold.gone': 'copy' })).rejects.toThrow(
      /no table cold\.gone, which .*unlogged names/,
    );
  });

  test('are refused where a child would move without its parent: writes to that one would pass the fence', async () => {
    onTestFinished(async () => {
      await pair.source.query('drop table if exists ancestor cascade');
    });
    await pair.source.query(
      'create table ancestor (id int); create table heir () inherits (ancestor); create table last_heir () inherits (heir)',
    );
    await expect(names(['public.heir'])).rejects.toThrow(
      /public.heir .*inherits from public.ancestor, which would stay/,
    );
    await expect(names(['*.*'], ['public.heir'])).rejects.toThrow(/public.last_heir .*inherits from public.heir/);
    expect(await names(['public.ancestor', 'public.heir'])).toEqual(['public.ancestor', 'public.heir']);
  });

  test('are refused when they name a table that is not there, with those that are', async () => {
    await expect(names(['public.plane'])).rejects.toThrow(/no table public.plane.*public.plain/s);
  });
});
