import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PostgresServer } from '../../lab/postgres.js';
import { preflightDatabase } from '../../activities/preflight/preflight.js';
import { planDatabase } from '../../activities/plan/database.js';
import { moveOf } from '../support/postgres.js';

test.each([['13','18'],['18','13'],['16','13']])('%s to %s', async (from, to) => {
  const folder = await mkdtemp(join(tmpdir(), 'godwit-ver-'));
  await chmod(folder, 0o755);
  const bin = (v: string) => `/tmp/pgver/node_modules/pg${v}/native/bin`;
  const source = await PostgresServer.start({ name: 's', folder: join(folder, 's'), binaries: bin(from) });
  const target = await PostgresServer.start({ name: 't', folder: join(folder, 't'), binaries: bin(to) });
  try {
    for (const s of [source, target]) await s.createDatabase('shop');
    await source.query(`create table a (id serial primary key, t text collate "C", g int generated always as (1) stored); create table p (id int primary key) partition by range (id); create table p1 partition of p for values from (0) to (9); create role app; grant select on a to app`, [], 'shop');
    await target.query(`create table a (id serial primary key, t text collate "C", g int generated always as (1) stored); create table p (id int primary key) partition by range (id); create table p1 partition of p for values from (0) to (9); create role app login; create role lim login password 'x'`, [], 'shop');
    await source.query(`create role lim login password 'x'`);
    const pair = { source, target, destroy: async () => {} };
    for (const schema of ['copy', 'existing'] as const) {
      const f = await preflightDatabase(moveOf(pair, 'shop', { schema }));
      console.log(from, to, schema, f.map((x) => `${x.severity} ${x.side} ${x.id}: ${x.evidence}`).join('\n'));
    }
    const m = moveOf(pair, 'shop');
    process.env['L1'] = source.url('shop', 'lim', 'x'); process.env['L2'] = target.url('shop', 'lim', 'x');
    m.database.source = { env: 'L1' }; m.database.target = { env: 'L2' };
    const f = await preflightDatabase(m);
    console.log('limited', f.map((x) => `${x.severity} ${x.side} ${x.id}: ${x.evidence} | ${x.repair}`).join('\n'));
    expect((await planDatabase(moveOf(pair, 'shop'))).facts.schemaSignature).toBeTruthy();
  } finally { await source.destroy(); await target.destroy(); }
});
