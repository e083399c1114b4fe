/** The client that docs/endpoints.md shows does what the page says, in a process of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { switchWrites } from '../../activities/postgres/cutover.js';
import { DRIVER_TABLE } from '../../lab/load/drivers.js';
import { fresh } from '../support/fresh-name.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { replicatedMove } from '../support/replicated-move.js';
import { inputOf } from '../support/switching.js';

let pair: ServerPair;
beforeAll(async () => {
  pair = await startPair({ wal_retrieve_retry_interval: '200ms' });
});
afterAll(() => pair.destroy());

const example = (name: string): string => fileURLToPath(new URL(`../../examples/clients/${name}`, import.meta.url));

test('the client for node-postgres goes with the writes there and back, and every row it was told of is there', async () => {
  const name = fresh('node_client');
  const move = await replicatedMove(pair, name, DRIVER_TABLE, {
    endpoints: [{ kind: 'multiHost', name: 'drivers', roles: null, applications: null }],
  });
  // The side that takes no writes comes first, so the choice counts.
  const client = spawn(process.execPath, [example('pg.mjs'), pair.target.url(name), pair.source.url(name)], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  onTestFinished(() => void client.kill());
  let complaint = '';
  client.stderr.on('data', (text: Buffer) => (complaint += text.toString()));
  const told: string[] = [];
  createInterface({ input: client.stdout }).on('line', (line) => told.push(line));
  const more = async (count: number): Promise<void> => {
    const goal = told.length + count;
    await expect.poll(() => told.length, { timeout: 60_000 }).toBeGreaterThan(goal);
  };
  await more(20);
  for (const direction of ['forward', 'back'] as const) {
    expect(await switchWrites(inputOf(move, direction))).toMatchObject({ kind: 'switched' });
    await more(20);
  }
  client.stdin.end();
  // Not its exit: what it said last may come after that.
  await once(client, 'close');
  expect(complaint).toBe(`${told.length} written\n`);
  const rows = await pair.source.query<{ id: string }>('select id from driver_write', [], name);
  const there = new Set(rows.map(({ id }) => id));
  expect(told.filter((id) => !there.has(id))).toEqual([]);
});

test.each(['pg.mjs', 'psycopg_client.py', 'pgx/main.go'])('the page names the client %s', async (file) => {
  const page = await readFile(new URL('../../docs/endpoints.md', import.meta.url), 'utf8');
  expect(page).toContain(`(../examples/clients/${file})`);
});
