/** Large values that come as they are, and a session that goes on whatever becomes of them. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { copyValues } from '../../activities/postgres/copy-values.js';
import { sqlState } from '../../activities/postgres/errors.js';
import { Session } from '../../activities/postgres/session.js';
import { startPair, type ServerPair } from '../support/postgres.js';

/** Far more than comes from a socket at a time. */
const MANY = 'select int4send(n) from generate_series(1, 200000) n order by n';

let pair: ServerPair;
let session: Session;
beforeAll(async () => {
  pair = await startPair();
});
beforeEach(async () => {
  session = await Session.open('source', pair.source.url(), { purpose: 'test' });
});
afterEach(async () => {
  // what was passed over is not the answer to the next question
  expect(await session.row('select 7 as seven')).toEqual({ seven: 7 });
  await session.close();
});
afterAll(() => pair?.destroy());

test('they come whole and in their order, however long', async () => {
  const lengths = [0, 3_000_000, 1, 0, 70_000, 65_536, 5];
  const found: Buffer[] = [];
  const whole = await copyValues(
    session,
    `select convert_to(repeat(chr(96 + n::int), length), 'UTF8') from unnest('{${lengths.join(',')}}'::int[]) with ordinality u(length, n) order by n`,
    (value) => found.push(value) > 0,
  );
  expect(whole).toBe(true);
  expect(found.map((value) => value.length)).toEqual(lengths);
  found.forEach((value, index) => expect(value.equals(Buffer.alloc(lengths[index] ?? 0, 97 + index))).toBe(true));
});

test('thousands of small ones', async () => {
  const found: number[] = [];
  await copyValues(session, MANY, (value) => found.push(value.readInt32BE()) > 0);
  expect(found).toEqual(Array.from({ length: 200_000 }, (_, index) => index + 1));
});

test('none', async () => {
  expect(await copyValues(session, `select ''::bytea where false`, () => true)).toBe(true);
});

test('no more than are wanted', async () => {
  const found: number[] = [];
  expect(await copyValues(session, MANY, (value) => found.push(value.readInt32BE()) < 3)).toBe(false);
  expect(found).toEqual([1, 2, 3]);
});

test('a throw of who takes them is the caller’s', async () => {
  await expect(
    copyValues(session, MANY, () => {
      throw new RangeError('of its own');
    }),
  ).rejects.toThrow(RangeError);
});

test('an error of the server fails as that of a statement does', async () => {
  const found: Buffer[] = [];
  const error: unknown = await copyValues(
    session,
    `select int4send(1 / (150000 - n)) from generate_series(1, 200000) n`,
    (value) => found.push(value) > 0,
  ).catch((thrown: unknown) => thrown);
  expect(sqlState(error)).toBe('22012');
  expect(found.length).toBeGreaterThan(0);
});

test('a connection that is lost fails as unreachable', async () => {
  await using lost = await Session.open('source', pair.source.url(), { purpose: 'lost' });
  const ended: Promise<unknown>[] = [];
  const copied = copyValues(
    lost,
    'select int4send(n) from generate_series(1, 200000) n where pg_sleep(0.001) is not null',
    () => {
      ended.push(
        pair.source.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'godwit lost'`,
        ),
      );
      return false;
    },
  );
  await expect(copied).rejects.toMatchObject({ type: 'DatabaseUnreachable' });
  await Promise.all(ended);
});
