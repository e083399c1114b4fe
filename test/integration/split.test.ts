/** One database divided over three, each part by a migration of its own, all at once and under load. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DatabaseMove } from '../../activities/contract.js';
import { preflightDatabase } from '../../activities/preflight/preflight.js';
import { claim } from '../../activities/postgres/authority.js';
import { initialSync } from '../../activities/postgres/copy/initial-sync.js';
import { switchWrites, undoSwitch } from '../../activities/postgres/cutover.js';
import { finalizeDatabase } from '../../activities/postgres/finalize.js';
import { catchUp } from '../../activities/postgres/replication/catch-up.js';
import { observe } from '../../activities/postgres/replication/observe.js';
import { validate } from '../../activities/postgres/validation/validate.js';
import { refusalOf } from '../support/clients.js';
import { fresh } from '../support/fresh-name.js';
import { catalogOf } from '../support/catalog.js';
import { moveOf, startPair, type ServerPair } from '../support/postgres.js';
import { inputOf } from '../support/switching.js';
import { prepareReplication, undoPreparation } from '../support/sync.js';
import { WRITER_TABLES, Writers } from '../support/writers.js';

const PARTS = ['billing', 'crm', 'stock'] as const;
type Part = (typeof PARTS)[number];

/** Parts that know of one another, and a table that stays with a sequence of nobody's. */
const MONOLITH = `
  create type public.mood as enum ('calm', 'angry');
  create table public.setting (name text primary key, value text);
  create sequence public.ticket;
  ${PARTS.map((part) => `create schema ${part}; set search_path = ${part}; ${WRITER_TABLES}`).join('\n')}
  create table billing.invoice (
    id bigint primary key default nextval('public.ticket'), customer int references crm.account, mood public.mood);
  create table stock.shipment (id bigint primary key default nextval('public.ticket'), note text);
  create sequence crm.reminder;
  insert into billing.invoice (customer, mood) select 1 + i % 3, 'calm' from generate_series(1, 100) i;
`;

let pair: ServerPair;
beforeAll(async () => {
  pair = await startPair({ max_replication_slots: '20', max_wal_senders: '20', max_logical_replication_workers: '10' });
});
afterAll(() => pair.destroy());

/** One part, into a database of its own on the target server. */
async function moveOfPart(monolith: string, part: Part, place: string): Promise<DatabaseMove> {
  await pair.target.createDatabase(place);
  const move = moveOf(pair, monolith, { tables: { include: [`${part}.*`], exclude: [] } });
  const variable = `TEST_PART_${process.pid}_${place}`;
  process.env[variable] = pair.target.url(place);
  return { ...move, database: { ...move.database, target: { env: variable } } };
}

const each = <T>(work: (part: Part) => Promise<T>): Promise<T[]> => Promise.all(PARTS.map(work));

describe('one database, three migrations', () => {
  test('move to three places at once under load; one goes back, the others stay', async () => {
    const monolith = fresh('monolith');
    for (const server of [pair.source, pair.target]) await server.createDatabase(monolith);
    await pair.source.query(MONOLITH, [], monolith);
    const onSource = (sql: string): Promise<Record<string, unknown>[]> => pair.source.query(sql, [], monolith);
    const refusal = (sql: string): Promise<string | undefined> => refusalOf(onSource(sql));
    const places = { billing: fresh('billing'), crm: fresh('crm'), stock: fresh('stock') };
    const before = await catalogOf(pair.source, monolith);
    const moves = Object.fromEntries(
      await each(async (part) => [part, await moveOfPart(monolith, part, places[part])] as const),
    ) as Record<Part, DatabaseMove>;
    const writers = Object.fromEntries(
      PARTS.map((part) => [part, Writers.start(pair, monolith, 2, { schema: part, targetDatabase: places[part] })]),
    ) as Record<Part, Writers>;

    const named = new Map((await preflightDatabase(moves.billing)).map((finding) => [finding.id, finding]));
    expect(named.get('foreign-key-crosses-scope')?.evidence).toContain('crm.account is outside');
    expect(named.get('sequence-shared')?.evidence).toContain('ticket');
    expect([...named.values()].filter(({ severity }) => severity === 'error')).toEqual([]);

    await each(async (part) => {
      await prepareReplication(moves[part]);
      await initialSync(moves[part]);
      await catchUp(moves[part]);
    });
    const overlap = moveOf(pair, monolith, { tables: { include: ['billing.entry'], exclude: [] } });
    await expect(claim(overlap)).rejects.toThrow(`migration ${moves.billing.migration} holds billing.entry`);
    expect(await each((part) => validate(moves[part]))).toMatchObject(PARTS.map(() => ({ verdict: 'equal' })));

    const tickets = await onSource(`select nextval('public.ticket') from generate_series(1, 50)`);
    expect(await each((part) => switchWrites(inputOf(moves[part], 'forward')))).toMatchObject(
      PARTS.map(() => ({ kind: 'switched' })),
    );
    await each((part) => writers[part].progress(30));
    expect(await each(async (part) => (await observe(moves[part])).primary)).toEqual(PARTS.map(() => 'target'));

    // What stays goes on as ever; what has moved is closed.
    expect(await refusal(`insert into public.setting values ('a', 'b')`)).toBeUndefined();
    expect(await refusal('alter table public.setting add column note text')).toBeUndefined();
    expect(await refusal('alter table billing.invoice add column note text')).toBe('25006');
    expect(await refusal(`insert into stock.shipment (note) values ('late')`)).toBe('25006');
    expect(await refusal(`select nextval('public.ticket')`)).toBeUndefined();
    const [invoice] = await pair.target.query<{ id: string }>(
      `insert into billing.invoice (customer) values (1) returning id`,
      [],
      places.billing,
    );
    expect(Number(invoice?.id)).toBeGreaterThan(Number(tickets.at(-1)?.['nextval']));

    await undoSwitch(moves.stock);
    await each((part) => writers[part].progress(30));
    expect(await each(async (part) => (await observe(moves[part])).primary)).toEqual(['target', 'target', 'source']);
    expect(await refusal(`insert into stock.shipment (note) values ('back')`)).toBeUndefined();
    expect(await each((part) => validate(moves[part]))).toMatchObject(PARTS.map(() => ({ verdict: 'equal' })));

    for (const part of PARTS) {
      const primary = part === 'stock' ? pair.source : pair.target;
      expect(await writers[part].stop(primary)).toMatchObject({
        unexpected: [],
        handovers: part === 'stock' ? 2 : 1,
        lost: 0,
        balanced: true,
      });
    }
    await undoPreparation(moves.stock);
    for (const part of ['billing', 'crm'] as const) await finalizeDatabase(moves[part]);
    const after = await catalogOf(pair.source, monolith);
    const ofStock = (lines: string[]): string[] => lines.filter((line) => line.includes('stock.'));
    expect(ofStock(after)).toEqual(ofStock(before));
    expect(await refusal(`insert into billing.invoice (customer) values (1)`)).toBe('25006');
    expect(await refusal(`insert into stock.shipment (note) values ('for good')`)).toBeUndefined();
  });
});

describe('a sequence that two parts share', () => {
  test('never goes back on the side that kept using it', async () => {
    const name = fresh('shared');
    await pair.source.createDatabase(name);
    await pair.source.query(
      `create sequence number;
       create table moves (id bigint primary key default nextval('number'));
       create table stays (id bigint primary key default nextval('number'))`,
      [],
      name,
    );
    await pair.target.createDatabase(name);
    const move = moveOf(pair, name, { tables: { include: ['public.moves'], exclude: [] } });
    await prepareReplication(move);
    await initialSync(move);
    const draw = async (side: 'source' | 'target', table: string): Promise<number> => {
      const [row] = await pair[side].query<{ id: string }>(
        `insert into ${table} default values returning id`,
        [],
        name,
      );
      return Number(row?.id);
    };
    await draw('source', 'moves');
    expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'switched' });
    expect(await draw('target', 'moves')).toBeGreaterThan(1);
    await pair.source.query(`select nextval('number') from generate_series(1, 500)`, [], name);
    const latest = await draw('source', 'stays');
    expect(latest).toBeGreaterThan(500);
    await undoSwitch(move);
    expect(await draw('source', 'stays')).toBeGreaterThan(latest);
    expect(await draw('source', 'moves')).toBeGreaterThan(latest + 1);
    await pair.target.query(`select nextval('number')`, [], name);
    await undoPreparation(move);
  });
});
