/**
 * Copies of one large table side by side: Godwit's first copy, pgcopydb, and pg_dump with pg_restore, each into an empty
 * database, in an order that turns from run to run, while pgbench writes to another database of the source. Each
 * contender's time is that of all it does, from the empty target to the last index; Godwit's has the fence and the
 * replication in it that the others don't have.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import type { DatabaseMove } from '../activities/contract.js';
import { moduleCommand } from '../lab/module-command.js';
import { pgcopydbBinary } from '../lab/setup/pgcopydb.js';
import { startPair, type ServerPair } from '../test/support/postgres.js';
import { undoPreparation } from '../test/support/sync.js';
import type { CopyReport } from './copy-process.js';
import { machine, spread, type Spread } from './figures.js';
import { bytesOf, isWhole, makeLargeTable } from './large-table.js';
import { defaultMove } from './migration.js';
import { NEIGHBOUR_RATE, startNeighbour } from './neighbour.js';
import type { PgBench, Window } from './pgbench.js';

const DATABASE = 'shop';
const JOBS = 2;
/** Before and after everything: what the neighbour has when nobody copies. */
const IDLE_MS = 10_000;
/** For both servers, the same for all contenders; what isn't here is the lab's, or Postgres's default. fsync is on. */
export const COPY_SETTINGS = { shared_buffers: '256MB', max_wal_size: '4GB', checkpoint_timeout: '15min' };
/** What a worker may take for a copy, however large the table. */
const PEAK_LIMIT_MIB = 300;

export interface ContenderFigures {
  name: string;
  seconds: Spread;
  /** Median of its times to that of Godwit with default settings: above 1 is slower. */
  ratio: number;
  /** Latency of the neighbour's transactions while it ran, in milliseconds. */
  neighbour: Spread;
  /** Seconds of its parts, where it tells them. */
  parts: Record<string, Spread>;
  peakMiB: Spread | null;
  whole: boolean;
}

export interface CopyBench {
  machine: string;
  rows: number;
  bytes: { table: number; indexes: number };
  runs: number;
  neighbourAlone: Spread;
  contenders: ContenderFigures[];
  peakLimitMiB: number;
}

interface Told {
  /** Where that isn't all the time it took: of Godwit without the start of its process, since workers run already. */
  seconds?: number;
  parts?: Record<string, number>;
  peakKiB?: number | null;
}

interface Contender {
  name: string;
  copy: () => Promise<Told>;
  /** Takes away what it left on the source. */
  clean: () => Promise<void>;
}

interface Measured extends Told {
  seconds: number;
  window: Window;
  whole: boolean;
}

export async function benchCopy({ runs, rows }: { runs: number; rows: number }): Promise<CopyBench> {
  const folder = await mkdtemp(join(tmpdir(), 'godwit-bench-'));
  await chmod(folder, 0o755);
  const pgcopydb = await pgcopydbBinary(
    (event) => void (event.state === 'started' && console.error(`… ${event.title}`)),
  );
  const pair = await startPair(COPY_SETTINGS);
  let neighbour: PgBench | null = null;
  try {
    console.error(`… ${rows} rows`);
    await makeLargeTable(pair.source, DATABASE, rows);
    await pair.target.createDatabase(DATABASE);
    const contenders = [
      await godwit(pair, 'Godwit, default settings', {}),
      await godwit(pair, `Godwit, parallelism: ${JOBS}`, { parallelism: JOBS }),
      copydb(pair, pgcopydb, folder),
      dumpToFolder(pair, folder),
      dumpThroughPipe(pair),
    ];
    const measured = new Map<string, Measured[]>(contenders.map(({ name }) => [name, []]));
    neighbour = await startNeighbour(pair.source, folder);
    const alone = [await idle()];
    for (let run = 0; run < runs; run += 1) {
      for (let turn = 0; turn < contenders.length; turn += 1) {
        const contender = contenders[(turn + run) % contenders.length];
        if (contender !== undefined) measured.get(contender.name)?.push(await measure(pair, contender, rows));
      }
    }
    alone.push(await idle());
    const first = spread((measured.get(contenders[0]?.name ?? '') ?? []).map(({ seconds }) => seconds)).median;
    const figures: ContenderFigures[] = [];
    for (const [name, each] of measured) figures.push(await figuresOf(name, each, first, neighbour));
    return {
      machine: machine(),
      rows,
      bytes: await bytesOf(pair.source, DATABASE),
      runs,
      neighbourAlone: await neighbour.within(alone),
      contenders: figures,
      peakLimitMiB: PEAK_LIMIT_MIB,
    };
  } finally {
    await neighbour?.stop();
    await pair.destroy();
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(pair: ServerPair, { name, copy, clean }: Contender, rows: number): Promise<Measured> {
  await pair.target.query(`drop database ${DATABASE}`);
  await pair.target.createDatabase(DATABASE);
  for (const server of [pair.source, pair.target]) await server.query('checkpoint');
  const from = Date.now();
  const began = performance.now();
  const told = await copy();
  const seconds = told.seconds ?? (performance.now() - began) / 1_000;
  const to = Date.now();
  const whole = await isWhole(pair.target, DATABASE, rows);
  await clean();
  const peak = told.peakKiB == null ? '' : `, ${Math.round(told.peakKiB / 1_024)} MiB at most`;
  console.error(`  ${name}: ${seconds.toFixed(1)} s${peak}${whole ? '' : ', NOT WHOLE'}`);
  return { ...told, seconds, window: { from, to }, whole };
}

async function figuresOf(name: string, each: Measured[], first: number, neighbour: PgBench): Promise<ContenderFigures> {
  const seconds = spread(each.map((one) => one.seconds));
  const parts = new Set(each.flatMap((one) => Object.keys(one.parts ?? {})));
  const peaks = each.flatMap(({ peakKiB }) => (peakKiB == null ? [] : [peakKiB / 1_024]));
  return {
    name,
    seconds,
    ratio: Math.round((seconds.median / first) * 100) / 100,
    neighbour: await neighbour.within(each.map(({ window }) => window)),
    parts: Object.fromEntries([...parts].map((part) => [part, spread(each.map((one) => one.parts?.[part] ?? NaN))])),
    peakMiB: peaks.length === 0 ? null : spread(peaks),
    whole: each.every(({ whole }) => whole),
  };
}

async function idle(): Promise<Window> {
  const from = Date.now();
  await sleep(IDLE_MS);
  return { from, to: Date.now() };
}

// ── the contenders ──

async function godwit(
  pair: ServerPair,
  name: string,
  change: Partial<DatabaseMove['database']['copy']>,
): Promise<Contender> {
  const move = await defaultMove(pair, 'bench', DATABASE, change);
  return {
    name,
    copy: async () => {
      const { command, args } = moduleCommand(import.meta.url, './copy-process');
      const { stdout } = await execa(command, [...args, JSON.stringify(move)], { stderr: 'inherit' });
      const { preparationMs, copyMs, figures, peakKiB } = JSON.parse(stdout) as CopyReport;
      return {
        seconds: (preparationMs + copyMs) / 1_000,
        parts: {
          preparation: preparationMs / 1_000,
          rows: figures.copyMs / 1_000,
          'keys and indexes': figures.indexMs / 1_000,
          'initialSync as a whole': copyMs / 1_000,
        },
        peakKiB,
      };
    },
    clean: async () => {
      await undoPreparation(move);
      await pair.source.query('drop schema if exists godwit cascade', [], DATABASE);
    },
  };
}

/** It copies a single table in one process each, and splits larger ones on request; as many of both as there are cores. */
function copydb(pair: ServerPair, command: string, folder: string): Contender {
  const state = join(folder, 'pgcopydb');
  const jobs = ['--table-jobs', `${JOBS}`, '--index-jobs', `${JOBS}`, '--split-tables-larger-than', '64MB'];
  const between = ['--source', pair.source.url(DATABASE), '--target', pair.target.url(DATABASE)];
  return {
    name: `pgcopydb clone, ${JOBS} table and ${JOBS} index jobs`,
    copy: async () => {
      await execa(command, ['clone', ...between, ...jobs, '--dir', state, '--not-consistent', '--restart'], {
        env: { PATH: `${pair.source.binaries}:${process.env['PATH'] ?? ''}` },
      });
      return {};
    },
    clean: () => rm(state, { recursive: true, force: true }),
  };
}

/** Without compression, which would be most of the work on one machine. */
function dumpToFolder(pair: ServerPair, folder: string): Contender {
  const dump = join(folder, 'dump');
  const program = (name: string): string => join(pair.source.binaries, name);
  return {
    name: `pg_dump -Fd -Z0 -j${JOBS}, then pg_restore -j${JOBS}`,
    copy: async () => {
      const began = performance.now();
      await execa(program('pg_dump'), ['-Fd', '-Z0', `-j${JOBS}`, '-f', dump, '-d', pair.source.url(DATABASE)]);
      const dumped = performance.now();
      await execa(program('pg_restore'), [`-j${JOBS}`, '-d', pair.target.url(DATABASE), dump]);
      return { parts: { dump: (dumped - began) / 1_000, restore: (performance.now() - dumped) / 1_000 } };
    },
    clean: () => rm(dump, { recursive: true, force: true }),
  };
}

/** Both at once; indexes are built one after another, since pg_restore reads a pipe with one job only. */
function dumpThroughPipe(pair: ServerPair): Contender {
  const program = (name: string): string => join(pair.source.binaries, name);
  return {
    name: 'pg_dump -Fc -Z0 piped into pg_restore',
    copy: async () => {
      const dump = execa(program('pg_dump'), ['-Fc', '-Z0', '-d', pair.source.url(DATABASE)], { buffer: false });
      await dump.pipe(program('pg_restore'), ['-d', pair.target.url(DATABASE)]);
      return {};
    },
    clean: () => Promise.resolve(),
  };
}

export function copyTable(bench: CopyBench): string {
  const seconds = ({ min, median, max }: Spread): string => `${min} / ${median} / ${max}`;
  const latency = ({ median, p99 }: Spread): string => `${median} | ${p99}`;
  const mib = (bytes: number): number => Math.round(bytes / 2 ** 20);
  return [
    `${bench.rows} rows of 11 columns, ${mib(bench.bytes.table)} MiB, with a primary key and two more indexes of ${mib(bench.bytes.indexes)} MiB, ${bench.runs} runs each, ${NEIGHBOUR_RATE} transactions a second on another database of the source meanwhile, on ${bench.machine}; min / median / max:`,
    '',
    '| from an empty database to the last index | seconds | median to Godwit | median of the neighbour, ms | its p99, ms | peak memory, MiB |',
    '|---|---:|---:|---:|---:|---:|',
    ...bench.contenders.map(
      (one) =>
        `| ${one.name}${one.whole ? '' : ' (NOT WHOLE)'} | ${seconds(one.seconds)} | ${one.ratio} | ${latency(one.neighbour)} | ${one.peakMiB === null ? '' : one.peakMiB.max} |`,
    ),
    `| nobody copies | | | ${latency(bench.neighbourAlone)} | |`,
    '',
    '| parts, seconds | min | median | max |',
    '|---|---:|---:|---:|',
    ...bench.contenders.flatMap((one) =>
      Object.entries(one.parts).map(
        ([part, { min, median, max }]) => `| ${one.name}: ${part} | ${min} | ${median} | ${max} |`,
      ),
    ),
  ].join('\n');
}

/** Every copy whole, and Godwit within its memory. */
export function copyHolds({ contenders, peakLimitMiB }: CopyBench): boolean {
  return contenders.every(({ whole, peakMiB }) => whole && (peakMiB === null || peakMiB.max < peakLimitMiB));
}
