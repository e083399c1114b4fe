import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { switchWrites } from '../../activities/postgres/cutover.js';
import { finalizeDatabase } from '../../activities/postgres/finalize.js';
import { fresh } from '../support/fresh-name.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { replicatedMove } from '../support/replicated-move.js';

let pair: ServerPair;
beforeAll(async () => {
  pair = await startPair();
});
afterAll(() => pair.destroy());

const TABLES = `
  create table account (id int primary key, balance int not null);
  create table entry (id bigint generated always as identity primary key, note text);
`;

async function refusal(work: Promise<unknown>): Promise<string | undefined> {
  return work.then(
    () => undefined,
    (error: { code?: string }) => error.code,
  );
}

describe('a switch', () => {
  test('moves the writes there and back, as often as one likes, and loses nothing', async () => {
    const name = fresh('there_and_back');
    const move = await replicatedMove(pair, name, TABLES);
    let written = 0;
    for (const [direction, old, now] of [
      ['forward', pair.source, pair.target],
      ['back', pair.target, pair.source],
      ['forward', pair.source, pair.target],
    ] as const) {
      await old.query(`insert into entry (note) values ('before ${direction}')`, [], name);
      written += 1;
      const outcome = await switchWrites({ move, direction, mode: 'switch', attempt: 1 });
      expect(outcome.kind).toBe('switched');
      expect(await refusal(old.query(`insert into entry (note) values ('too late')`, [], name))).toBe('25006');
      await now.query(`insert into entry (note) values ('after ${direction}')`, [], name);
      written += 1;
      expect(await now.query('select count(*)::int as n, count(distinct id)::int as d from entry', [], name)).toEqual([
        { n: written, d: written },
      ]);
    }
    await finalizeDatabase(move);
  });
});
