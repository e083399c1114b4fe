import { afterAll, beforeAll, expect, test } from 'vitest';
import { sqlState } from '../../activities/postgres/errors.js';
import { Session } from '../../activities/postgres/session.js';
import { startPair, type ServerPair } from '../support/postgres.js';

let pair: ServerPair;
beforeAll(async () => {
  pair = await startPair();
});
afterAll(() => pair?.destroy());

test('a connection that the server ended between two statements fails with what the server said', async () => {
  await using session = await Session.open('source', pair.source.url(), { purpose: 'test' });
  await pair.source.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'godwit test'`,
  );
  await expect.poll(() => session.lost).toBe(true);
  const error: unknown = await session.rows('select 1').catch((thrown: unknown) => thrown);
  expect(sqlState(error)).toBe('57P01');
  expect(error).toMatchObject({ type: 'DatabaseUnreachable', nonRetryable: false });
});
