/** The connections of a comparison: each lane compares one piece of work at a time, on three of its own. */
import type { Primary } from '../../../spec/status.js';
import type { Milliseconds, SecretReference } from '../../../spec/normal.js';
import { Session } from '../session.js';
import { otherSide, type Pair } from '../sides.js';
import { backendOf, type Backend } from './cancel.js';
import type { ComparedTable } from './compared-table.js';
import { markerProof, type Proof } from './proof.js';

/**
 * What the hash's text forms depend on beyond the settings of every session, and how these sessions behave: JIT costs
 * 0.3 s on each of the many statements; 64 MB hold the 65,536 groups of a pass, which Postgres would sort all rows for,
 * since it takes each row for a group of its own (1.65 times the time of the hash alone; without sorting 1.22); a lane is
 * one process on each side and no more, since others are at work there (and with parallel workers beside the lanes two cores
 * took 1.1 times as long); a marker needs no standby's word, and would wait for ever where one is missing.
 */
const PINNED = `select set_config('lc_monetary', 'C', false), set_config('jit', 'off', false),
  set_config('work_mem', '64MB', false), set_config('enable_sort', 'off', false),
  set_config('max_parallel_workers_per_gather', '0', false), set_config('synchronous_commit', 'local', false),
  case when current_setting('server_version_num')::int >= 140000
       then set_config('client_connection_check_interval', '5s', false) end`;

/** As the certificate names them. */
export const PINNED_SETTINGS = {
  DateStyle: 'ISO, YMD',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  bytea_output: 'hex',
  extra_float_digits: '1',
  lc_monetary: 'C',
  client_encoding: 'UTF8',
};

export interface Lane {
  primary: Session;
  standby: Session;
  /** On the primary too: holds locks while a marker passes, which a transaction of its own must write. */
  locker: Session;
  /** Where rows are read in bulk: physical standbys, or the two above. What they say is only where to look closer. */
  readers: { primary: Session; standby: Session };
  signal: AbortSignal;
  proof: Proof;
  /** Awaited before each statement that reads rows in bulk, and told what it read: holds the pace. */
  pace: Pace;
}

export interface Pace {
  wait(signal: AbortSignal): Promise<void>;
  /** Rows of a table that a statement has read, on both sides together, and how long it took. */
  took(rows: number, table: ComparedTable, ms: Milliseconds): void;
  /** Rows of a table that one statement may read now. */
  most(table: ComparedTable): number;
  /** In small bites, one side at a time: others are at work. */
  readonly gentle: boolean;
}

/** As fast as it goes. */
const unpaced: Pace = { wait: () => Promise.resolve(), took: () => undefined, most: () => Infinity, gentle: false };

/** What isn't as in a migration's own validation. */
export interface LaneOptions {
  /** @default the marker of the pair's key */
  proof?: Proof;
  pace?: Pace;
  /** Physical standbys to read rows from in bulk. */
  replicas?: Partial<Record<Primary, SecretReference | null>>;
  /** Of statements that read rows in bulk; 0: none. */
  statementTimeout?: Milliseconds;
  /** One lane is opened after the other: a dozen connections at once are felt on a busy server. */
  inTurn?: boolean;
}

export class Lanes {
  readonly #pair: Pair;
  readonly backends: Backend[] = [];
  readonly lanes: Lane[] = [];
  readonly #sessions: Session[] = [];
  #closed = false;

  private constructor(pair: Pair) {
    this.#pair = pair;
  }

  static async open(
    pair: Pair,
    primary: Primary,
    count: number,
    signal: AbortSignal,
    options: LaneOptions = {},
  ): Promise<Lanes> {
    const { proof = markerProof(pair.key), pace = unpaced } = options;
    const opened = new Lanes(pair);
    const lane = async (): Promise<Lane> => {
      const [here, there, locker] = await Promise.all([
        opened.#end(primary, options, signal),
        opened.#end(otherSide(primary), options, signal),
        opened.#session(primary),
      ]);
      const readers = { primary: here.reader, standby: there.reader };
      return { primary: here.own, standby: there.own, locker, readers, signal, proof, pace };
    };
    try {
      if (options.inTurn === true) for (let i = 0; i < count; i += 1) opened.lanes.push(await lane());
      else opened.lanes.push(...(await Promise.all(Array.from({ length: count }, lane))));
      return opened;
    } catch (error) {
      await opened[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Of one side: the session that settles, and the one that reads in bulk. */
  async #end(side: Primary, options: LaneOptions, signal: AbortSignal): Promise<{ own: Session; reader: Session }> {
    const [own, reader] = await Promise.all([this.#session(side), this.#reader(side, options, signal)]);
    return { own, reader: reader ?? own };
  }

  /** Null, without a replica and a time-out: the side's own session serves. */
  async #reader(
    side: Primary,
    { replicas = {}, statementTimeout = 0 }: LaneOptions,
    signal: AbortSignal,
  ): Promise<Session | null> {
    const replica = replicas[side] ?? null;
    if (replica === null && statementTimeout === 0) return null;
    if (replica === null) {
      const session = await this.#session(side);
      await session.run(`set statement_timeout = ${statementTimeout}`);
      return session;
    }
    const session = await this.#opened(side, replica);
    // its server isn't among those whose statements are cancelled, and would go on reading for minutes
    signal.addEventListener('abort', () => void session.close(), { once: true });
    await session.rows(PINNED);
    await session.run(`set statement_timeout = ${statementTimeout}`);
    return session;
  }

  async #session(side: Primary): Promise<Session> {
    const session = await this.#opened(side, this.#pair.database[side]);
    this.backends.push(await backendOf(session, side));
    await session.rows(PINNED);
    return session;
  }

  /** One that comes when another could not be opened, and all of them were closed, is closed at once. */
  async #opened(side: Primary, url: SecretReference): Promise<Session> {
    const session = await Session.open(side, url, { purpose: `${this.#pair.key} validation` });
    this.#sessions.push(session);
    if (this.#closed) await session.close();
    return session;
  }

  /** Transactions that these connections have made on one side. */
  transactions(side: Primary): number {
    return this.#sessions.reduce((sum, session) => sum + (session.side === side ? session.transactions : 0), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#sessions.map((session) => session.close()));
  }
}

/** Each lane takes the next item until none is left; the first failure stops all. */
export async function inLanes<T>(
  lanes: Lane[],
  items: T[],
  stop: AbortController,
  work: (lane: Lane, item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  let first: { error: unknown } | null = null;
  await Promise.all(
    lanes.map(async (lane) => {
      for (let item = queue.shift(); item !== undefined && first === null; item = queue.shift()) {
        try {
          await work(lane, item);
        } catch (error) {
          first ??= { error };
          stop.abort();
        }
      }
    }),
  );
  const failed = first as { error: unknown } | null;
  if (failed !== null) throw failed.error;
}

/** For a comparison on sessions of somebody else. */
export async function pin(session: Session): Promise<void> {
  await session.rows(`select set_config('lc_monetary', 'C', false)`);
}
