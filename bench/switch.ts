/**
 * The switch under load: 20 times there and back, about 2,000 transactions a second of 8 clients through PgBouncer. Beside
 * it, in the same run and under the same load, the least that the usual script costs: PAUSE, wait until
 * `confirmed_flush_lsn` says that the other side has everything, RESUME. It moves nothing, so it is a lower bound.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { parse } from 'yaml';
import type { DatabaseMove } from '../activities/contract.js';
import { PgBouncerAdmin } from '../activities/pgbouncer/admin.js';
import { claim } from '../activities/postgres/authority.js';
import { initialSync } from '../activities/postgres/copy/initial-sync.js';
import { settle, switchWrites } from '../activities/postgres/cutover.js';
import { installFence } from '../activities/postgres/fence.js';
import { scopeKey, scopeNames } from '../activities/postgres/names.js';
import { createPublication } from '../activities/postgres/replication/publication.js';
import { prepareSchema } from '../activities/postgres/schema/prepare.js';
import { check } from '../lab/check.js';
import { Lab } from '../lab/lab.js';
import { Load } from '../lab/load.js';
import { normalize } from '../activities/normalize.js';
import { machine, spread, type Spread } from './figures.js';

const ROUNDS = 20;
const RATE = 2_000;
const BETWEEN_MS = 1_000;
const MIGRATION = 'bench';

export interface SwitchBench {
  machine: string;
  clients: number;
  perSecond: number;
  switches: number;
  /** All in milliseconds. */
  pause: Spread;
  writeGap: Spread;
  worstLatency: Spread;
  steps: Record<string, Spread>;
  byHand: Spread;
  ratio: number;
  requests: { sent: number; failed: number; unknown: number; lost: number };
  twoWriters: number;
}

export async function benchSwitch(folder: string): Promise<SwitchBench> {
  const world = resolve(folder, 'switch');
  await Lab.down(world);
  await rm(world, { recursive: true, force: true });
  const lab = await Lab.up({
    folder: world,
    onProgress: (event) => void (event.state === 'started' && console.error(`… ${event.title}`)),
  });
  const forget = lab.endWithUs();
  try {
    Object.assign(process.env, lab.environment);
    const move = await moveOf(lab);
    console.error('… replicating');
    await claim(move);
    await prepareSchema(move);
    await installFence(move);
    await createPublication(move);
    await initialSync(move);
    const record = join(world, 'requests.record');
    const load = await Load.start({ url: lab.environment.SHOP_URL, record, rate: RATE });
    await sleep(3_000);

    const pause: number[] = [];
    const writeGap: number[] = [];
    const worst: number[] = [];
    const steps: Record<string, number[]> = {};
    for (let round = 1; round <= ROUNDS; round += 1) {
      for (const direction of ['forward', 'back'] as const) {
        const from = Date.now() * 1_000;
        const outcome = await switchWrites({ move, direction, mode: 'switch', attempt: round });
        if (outcome.kind !== 'switched') throw new Error(`switch ${round} ${direction}: ${JSON.stringify(outcome)}`);
        await sleep(BETWEEN_MS);
        const clients = await load.within({ from, to: Date.now() * 1_000 });
        pause.push(outcome.figures.pauseMs);
        writeGap.push(clients.writeGapMs);
        worst.push(clients.worstMs);
        for (const { name, ms } of outcome.figures.steps) (steps[name] ??= []).push(ms);
        console.error(
          `  ${round} ${direction}: pause ${outcome.figures.pauseMs} ms, worst latency ${clients.worstMs.toFixed(1)} ms, failed ${clients.failed}`,
        );
      }
    }
    const byHand = await pausesByHand(lab, move);
    const snapshot = await load.stop();
    const { primary } = await settle(move);
    const verdict = await check({
      record: await load.record(),
      primary: primary === 'source' ? lab.environment.GODWIT_SOURCE_URL : lab.environment.GODWIT_TARGET_URL,
      switches: { count: 2 * ROUNDS },
    });
    const pauses = spread(pause);
    return {
      machine: machine(),
      clients: load.settings.clients,
      perSecond: Math.round(snapshot.sent / snapshot.seconds),
      switches: pauses.n,
      pause: pauses,
      writeGap: spread(writeGap),
      worstLatency: spread(worst),
      steps: Object.fromEntries(Object.entries(steps).map(([name, values]) => [name, spread(values)])),
      byHand: spread(byHand),
      ratio: Math.round((spread(byHand).median / pauses.median) * 10) / 10,
      requests: {
        sent: verdict.requests.sent,
        failed: verdict.requests.failed,
        unknown: verdict.requests.unknown,
        lost: verdict.lost.length + verdict.misplaced.length,
      },
      twoWriters: verdict.twoWriters.length,
    };
  } finally {
    await lab.down({ remove: true });
    forget();
  }
}

async function moveOf(lab: Lab): Promise<DatabaseMove> {
  const file = join(lab.folder, 'shop.yaml');
  const document: unknown = parse(await readFile(file, 'utf8'));
  const [database] = (await normalize({ document })).databases;
  if (database === undefined) throw new Error(`${file} names no database`);
  return { migration: MIGRATION, key: scopeKey(MIGRATION, database.name), database };
}

/** PAUSE, wait for confirmed_flush_lsn, RESUME: what a script costs at the least. The source is primary. */
async function pausesByHand(lab: Lab, move: DatabaseMove): Promise<number[]> {
  const source = new pg.Client({ connectionString: lab.environment.GODWIT_SOURCE_URL });
  await source.connect();
  const admin = await PgBouncerAdmin.open('bench', lab.environment.GODWIT_PGBOUNCER_ADMIN_URL);
  const slot = scopeNames(move.key).slot('source');
  const took: number[] = [];
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      const began = performance.now();
      await admin.pause(move.database.name, 10_000);
      const { rows } = await source.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn');
      for (;;) {
        const arrived = await source.query(
          'select from pg_replication_slots where slot_name = $1 and confirmed_flush_lsn >= $2::pg_lsn',
          [slot, rows[0]?.lsn],
        );
        if (arrived.rows.length > 0) break;
        await sleep(1);
      }
      await admin.resume(move.database.name);
      took.push(performance.now() - began);
      await sleep(BETWEEN_MS);
    }
  } finally {
    await admin.close();
    await source.end();
  }
  return took;
}

export function switchTable(bench: SwitchBench): string {
  const row = (name: string, { min, median, p99, max }: Spread): string =>
    `| ${name} | ${min} | ${median} | ${p99} | ${max} |`;
  return [
    `${bench.switches} switches there and back under ${bench.perSecond} requests a second of ${bench.clients} clients through PgBouncer, on ${bench.machine}:`,
    '',
    '| milliseconds | min | median | p99 | max |',
    '|---|---:|---:|---:|---:|',
    row('write pause (PAUSE to RESUME)', bench.pause),
    row('longest time without an accepted write', bench.writeGap),
    row('worst client latency around a switch', bench.worstLatency),
    row('by hand: PAUSE, wait for confirmed_flush_lsn, RESUME, moving nothing', bench.byHand),
    '',
    `By hand the median is ${bench.ratio} times as long. ${bench.requests.sent} requests sent, ${bench.requests.failed + bench.requests.unknown} failed, ${bench.requests.lost} lost; ${bench.twoWriters} moments with two writers.`,
  ].join('\n');
}

export async function keep(folder: string, name: string, figures: unknown): Promise<string> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, `${name}.json`);
  await writeFile(file, `${JSON.stringify(figures, null, 2)}\n`);
  return file;
}
