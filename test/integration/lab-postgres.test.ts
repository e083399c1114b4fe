import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPair, type ServerPair } from '../support/postgres.js';

let pair: ServerPair;
beforeAll(async () => {
  pair = await startPair();
});
afterAll(() => pair.destroy());

test('a crash keeps what was committed', async () => {
  await pair.source.query('create table kept (id int)');
  await pair.source.query('insert into kept values (1)');
  await pair.source.restart('immediate');
  expect(await pair.source.query('select id from kept')).toEqual([{ id: 1 }]);
});
