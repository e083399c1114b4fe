/**
 * Kinds of endpoints side by side: the same switches there and back, under the same load, once for each kind. Its clients try
 * a refused write again on a new connection, so what a kind can't hold shows as refusals and as latency, not as failures.
 */
import { mkdtemp, rm, chmod } from 'node:fs/promises';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DatabaseMove } from '../activities/contract.js';
import { settle, switchWrites } from '../activities/postgres/cutover.js';
import { TcpEdge } from '../lab/tcp-edge.js';
import { Drivers, DRIVER_TABLE, inTurn, oneHost, readWrite, type Choice, type Written } from '../lab/load/drivers.js';
import { PgBouncer } from '../lab/pgbouncer.js';
import type { NormalEndpoint } from '../spec/normal.js';
import type { Primary } from '../spec/status.js';
import { startPair, type ServerPair } from '../test/support/postgres.js';
import { replicatedMove } from '../test/support/replicated-move.js';
import { machine, spread, type Spread } from './figures.js';

const ROUNDS = 10;
const CLIENTS = 4;
const BETWEEN_MS = 700;
/** Around a switch: what began before it and ended in it counts. */
const MARGIN_MS = 50;

export interface KindFigures {
  kind: string;
  switches: number;
  /** All in milliseconds, one value a switch. */
  pause: Spread;
  /** Longest time in which no client had a write accepted. */
  writeGap: Spread;
  /** Worst write of any client, tries included. */
  worst: Spread;
  /** Refused tries of all clients. */
  refusals: Spread;
  /** How often each refusal was seen. */
  codes: Record<string, number>;
  acknowledged: number;
  lost: number;
}

export interface EndpointsBench {
  machine: string;
  clients: number;
  kinds: KindFigures[];
}

interface Kind {
  name: string;
  endpoint: NormalEndpoint;
  choice: Choice;
  stop: () => Promise<void>;
}

export async function benchEndpoints(): Promise<EndpointsBench> {
  const folder = await mkdtemp(join(tmpdir(), 'godwit-bench-'));
  await chmod(folder, 0o755);
  const pair = await startPair({ wal_retrieve_retry_interval: '200ms' });
  try {
    const kinds: KindFigures[] = [];
    for (const make of [pgbouncer, hook, multiHost, none]) kinds.push(await measure(pair, folder, make));
    return { machine: machine(), clients: CLIENTS, kinds };
  } finally {
    await pair.destroy();
    await rm(folder, { recursive: true, force: true });
  }
}

type Make = (pair: ServerPair, folder: string, database: string) => Promise<Kind>;

async function measure(pair: ServerPair, folder: string, make: Make): Promise<KindFigures> {
  const database = `bench_${make.name.toLowerCase()}`;
  const kind = await make(pair, folder, database);
  console.error(`… ${kind.name}`);
  const drivers: Drivers[] = [];
  try {
    const move = await replicatedMove(pair, database, DRIVER_TABLE, { endpoints: [kind.endpoint] });
    const load = Drivers.start(kind.choice, CLIENTS);
    drivers.push(load);
    await sleep(1_000);
    const each: { pause: number; seen: ReturnType<typeof around> }[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      for (const direction of ['forward', 'back'] as const) each.push(await switchOnce(move, load, direction, round));
    }
    const { primary } = await settle(move);
    const { acknowledged, lost } = await load.stop(pair[primary].url(database));
    drivers.pop();
    const codes: Record<string, number> = {};
    for (const code of each.flatMap(({ seen }) => seen.codes)) codes[code] = (codes[code] ?? 0) + 1;
    return {
      kind: kind.name,
      switches: each.length,
      pause: spread(each.map(({ pause }) => pause)),
      writeGap: spread(each.map(({ seen }) => seen.writeGap)),
      worst: spread(each.map(({ seen }) => seen.worst)),
      refusals: spread(each.map(({ seen }) => seen.codes.length)),
      codes,
      acknowledged,
      lost,
    };
  } finally {
    for (const load of drivers) await load.stop(pair.source.url(database)).catch(() => undefined);
    await kind.stop();
  }
}

async function switchOnce(move: DatabaseMove, load: Drivers, direction: 'forward' | 'back', attempt: number) {
  const from = performance.now();
  const outcome = await switchWrites({ move, direction, mode: 'switch', attempt });
  if (outcome.kind !== 'switched') throw new Error(`${move.database.name} ${direction}: ${JSON.stringify(outcome)}`);
  await sleep(BETWEEN_MS);
  const seen = around(load.written, from - MARGIN_MS, performance.now());
  const { pauseMs } = outcome.figures;
  console.error(
    `  ${attempt} ${direction}: pause ${pauseMs} ms, worst ${seen.worst.toFixed(1)} ms, refused ${seen.codes.length}`,
  );
  return { pause: pauseMs, seen };
}

/** What clients saw in a window of time. */
function around(written: Written[], from: number, to: number) {
  const here = written.filter(({ startedAt, endedAt }) => endedAt >= from && startedAt <= to);
  const ends = here.map(({ endedAt }) => endedAt).sort((a, b) => a - b);
  const gaps = ends.slice(1).map((end, index) => end - (ends[index] ?? end));
  return {
    writeGap: Math.max(0, ...gaps),
    worst: Math.max(0, ...here.map(({ startedAt, endedAt }) => endedAt - startedAt)),
    codes: here.flatMap(({ refusals }) => refusals),
  };
}

// ── the kinds ──

const urlsOf = (pair: ServerPair, database: string): string[] => [pair.source.url(database), pair.target.url(database)];

async function pgbouncer(pair: ServerPair, folder: string, database: string): Promise<Kind> {
  const one = await PgBouncer.start({
    name: 'bench',
    folder: join(folder, 'pgbouncer'),
    databases: { [database]: { host: '127.0.0.1', port: pair.source.port, dbname: database } },
  });
  process.env['BENCH_PGBOUNCER'] = one.adminUrl;
  const hosts = { source: null, target: null };
  return {
    name: 'pgbouncer',
    endpoint: {
      kind: 'pgbouncer',
      name: 'pooler',
      admin: { env: 'BENCH_PGBOUNCER' },
      database,
      configFile: one.configFile,
      hosts,
    },
    choice: oneHost(one.url(database)),
    stop: () => one.destroy(),
  };
}

/** A proxy that cuts its connections and leads to the other side, moved by HTTP. */
async function hook(pair: ServerPair, _folder: string, database: string): Promise<Kind> {
  const edge = await TcpEdge.start(pair.source.port);
  let primary: Primary = 'source';
  const server = createServer((request, response) => {
    void (async () => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      if (request.method === 'POST') {
        const wanted = (JSON.parse(Buffer.concat(parts).toString()) as { primary: Primary }).primary;
        if (wanted !== primary) edge.lead(pair[wanted].port);
        primary = wanted;
      }
      response.end(JSON.stringify({ primary }));
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/primary`;
  return {
    name: 'hook, of a proxy that cuts connections',
    endpoint: {
      kind: 'hook',
      name: 'edge',
      url,
      token: null,
      check: { url, status: null },
      hold: null,
      timeout: 2_000,
      hosts: { source: null, target: null },
    },
    choice: oneHost(pair.source.url(database).replace(`:${pair.source.port}/`, `:${edge.port}/`)),
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await edge.stop();
    },
  };
}

function multiHost(pair: ServerPair, _folder: string, database: string): Promise<Kind> {
  return Promise.resolve({
    name: 'multiHost',
    endpoint: { kind: 'multiHost', name: 'drivers', roles: null, applications: null },
    choice: readWrite(urlsOf(pair, database)),
    stop: () => Promise.resolve(),
  });
}

function none(pair: ServerPair, _folder: string, database: string): Promise<Kind> {
  return Promise.resolve({
    name: 'none, clients that try both hosts in turn',
    endpoint: { kind: 'none', name: 'alone' },
    choice: inTurn(urlsOf(pair, database)),
    stop: () => Promise.resolve(),
  });
}

export function endpointsTable({ machine: where, clients, kinds }: EndpointsBench): string {
  const cell = ({ min, median, max }: Spread): string => `${min} / ${median} / ${max}`;
  const rows = kinds.map((one) =>
    [
      one.kind,
      cell(one.pause),
      cell(one.writeGap),
      cell(one.worst),
      cell(one.refusals),
      Object.keys(one.codes).sort().join(', ') || 'none',
      one.lost,
    ].join(' | '),
  );
  const [first] = kinds;
  return [
    `${first?.switches ?? 0} switches there and back for each kind, under ${clients} clients that write every few milliseconds, on ${where}; min / median / max of a switch:`,
    '',
    '| kind | write pause, ms | longest time without an accepted write, ms | worst write of a client, ms | refused tries of all clients | refusals | lost |',
    '|---|---:|---:|---:|---:|---|---:|',
    ...rows.map((row) => `| ${row} |`),
  ].join('\n');
}
