/** The worst case of docs/operations.md, tried as it is written there. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { switchWrites } from '../../activities/postgres/cutover.js';
import { finalizeDatabase } from '../../activities/postgres/finalize.js';
import type { DatabaseMove } from '../../activities/contract.js';
import type { PostgresServer } from '../../lab/postgres.js';
import { catalogOf } from '../support/catalog.js';
import { fresh } from '../support/fresh-name.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { replicatedMove } from '../support/replicated-move.js';
import { inputOf } from '../support/switching.js';

const TABLES = `
  create table account (id int primary key, balance int not null);
  create table entry (id bigint generated always as identity primary key, note text);
  insert into account values (1, 0);
`;

let pair: ServerPair;
let statements: { open: string; remove: string };
beforeAll(async () => {
  pair = await startPair({ wal_retrieve_retry_interval: '200ms' });
  const page = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
  const section = page.slice(page.indexOf('## Removing by hand'));
  const [, open = '', remove = ''] = [...section.matchAll(/^```sql\n([^]*?)^```/gm)].map(([, sql = '']) => sql);
  statements = { open, remove };
});
afterAll(() => pair.destroy());

const by = (sql: string, { key }: DatabaseMove): string => sql.replaceAll('KEY', key);

/** All of the catalog but what belongs to other databases of the server. */
async function removedFrom(server: PostgresServer, name: string, move: DatabaseMove): Promise<string[]> {
  await server.query(by(statements.remove, move), [], name);
  return (await catalogOf(server, name)).filter((line) => line.includes('godwit'));
}

describe('removing by hand, as docs/operations.md says', () => {
  test('leaves nothing on either side of a migration that was rolled back, and both take writes', async () => {
    const name = fresh('by_hand');
    const move = await replicatedMove(pair, name, TABLES);
    await pair.source.query(`insert into entry (note) values ('before')`, [], name);
    for (const direction of ['forward', 'back'] as const) {
      expect(await switchWrites(inputOf(move, direction))).toMatchObject({ kind: 'switched' });
    }
    expect(await removedFrom(pair.target, name, move)).toEqual([]);
    expect(await removedFrom(pair.source, name, move)).toEqual([]);
    for (const server of [pair.source, pair.target]) {
      await server.query(`insert into entry (note) values ('after'); alter table entry add column more int`, [], name);
    }
  });

  test('frees a source that finalize left fenced', async () => {
    const name = fresh('by_hand_finalized');
    const move = await replicatedMove(pair, name, TABLES);
    expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'switched' });
    await finalizeDatabase(move);
    expect(await removedFrom(pair.source, name, move)).toEqual([]);
    await pair.source.query(`insert into entry (note) values ('free')`, [], name);
  });

  test('opens a side that is closed', async () => {
    const name = fresh('by_hand_open');
    const move = await replicatedMove(pair, name, TABLES);
    await expect(pair.target.query(`update account set balance = 1`, [], name)).rejects.toMatchObject({
      code: '25006',
    });
    await pair.target.query(by(statements.open, move), [], name);
    await pair.target.query(`update account set balance = 1; alter table account add column more int`, [], name);
  });
});
