/**
 * How gently a run reads: rows and bytes a second, a halt while either side has too much to do, and small bites with rests between
 * them while others are at work: a small share of the time.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { NormalReconcileLimits } from '../../spec/reconciliation.js';
import type { Milliseconds } from '../../spec/normal.js';
import type { Primary } from '../../spec/status.js';
import { RateLimit } from '../postgres/copy/rate.js';
import { Session } from '../postgres/session.js';
import { eachSide, type Pair } from '../postgres/sides.js';
import { statement } from '../postgres/statements.js';
import type { ComparedTable } from '../postgres/validation/compared-table.js';
import type { Pace } from '../postgres/validation/lanes.js';

const LOAD = statement(import.meta.url, '../postgres/sql/load.sql');
const LAG = statement(import.meta.url, './sql/lag.sql');
const TRANSACTIONS = statement(import.meta.url, './sql/transactions.sql');
const QUERIES = statement(import.meta.url, './sql/queries.sql');
const LOOK_MS = 1_000;
/** Of one statement on a busy server, so that nobody waits longer behind it. */
const BITE_MS = 3;
/** Until it is known how long the rows of a table take. */
const FIRST_BITE_ROWS = 2_000;
/** Fewer cost as much as the statement itself. */
const BITE_ROWS = { atLeast: 100, atMost: 20_000 };
/** How soon a rest ends that is needed no longer. */
const REST_MS = 250;
/** Counters of transactions are a second old, so the first look counts sessions at work in so many samples instead. */
const SAMPLES = 8;
const SAMPLE_EVERY_MS = 6;

export interface Watch extends AsyncDisposable {
  /** Begins if it has not, and is over once it has looked for the first time. */
  looked(): Promise<void>;
}

/** Transactions of others so far, by all looks up to one time. */
interface Look {
  others: number;
  at: number;
}

export class ReadingPace implements Pace {
  readonly #limits: NormalReconcileLimits;
  readonly #rows: RateLimit;
  readonly #bytes: RateLimit;
  /** Since when, by the clock of `performance`; null: nobody is spared. */
  #busySince: number | null = null;
  #restUntil = 0;
  /** One at a time, also of several lanes: until a bite is over it is taken for an ordinary one. */
  #biteUntil = 0;
  readonly #rowsOfABite = new Map<ComparedTable, number>();
  readonly #looks = new Map<Session, Look>();
  /** Transactions that the run itself has made on one side so far: nobody is spared for its own sake. */
  own: (side: Primary) => number = () => 0;
  /** Why it waits now, in words; null: it doesn't. */
  waits: string | null = null;

  constructor(limits: NormalReconcileLimits) {
    this.#limits = limits;
    this.#rows = new RateLimit(limits.rowsPerSecond);
    this.#bytes = new RateLimit(limits.bytesPerSecond);
  }

  get gentle(): boolean {
    return this.#busySince !== null;
  }

  async wait(signal: AbortSignal): Promise<void> {
    try {
      await this.#rows.pass(0, signal);
      await this.#bytes.pass(0, signal);
      for (;;) {
        const rest = Math.max(this.#restUntil, this.#biteUntil) - performance.now();
        if (!this.gentle || rest <= 0) break;
        // in parts, since it may be over before
        await sleep(Math.min(REST_MS, rest), undefined, { signal });
      }
      this.#biteUntil = performance.now() + BITE_MS / this.#limits.busy.share;
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  }

  most(table: ComparedTable): number {
    return this.gentle ? (this.#rowsOfABite.get(table) ?? FIRST_BITE_ROWS) : Infinity;
  }

  took(rows: number, table: ComparedTable, ms: Milliseconds): void {
    const now = performance.now();
    this.#biteUntil = 0;
    // what began before anybody was there to be spared is no debt
    if (this.#busySince !== null && now - ms >= this.#busySince) {
      this.#restUntil = Math.max(this.#restUntil, now) + ms * (1 / this.#limits.busy.share - 1);
      // a few rows say nothing of many
      const bite = this.most(table);
      if (rows >= bite) this.#rowsOfABite.set(table, between(BITE_ROWS, (bite + (BITE_MS * rows) / ms) / 2));
    }
    // debts, which the next statement waits for
    void this.#rows.pass(rows);
    void this.#bytes.pass(rows * table.bytesOfARow);
  }

  /** Looks at both sides every second once it has begun, until it is disposed of. Never throws: what is wrong with a side the run itself will meet. */
  watch(pair: Pair, signal: AbortSignal, heard = (): void => undefined): Watch {
    const stop = new AbortController();
    let first: Promise<void> | null = null;
    let watching = Promise.resolve();
    const looked = (): Promise<void> =>
      (first ??= new Promise((resolve) => {
        watching = this.#look(pair, AbortSignal.any([signal, stop.signal]), () => {
          resolve();
          heard();
        });
      }));
    return {
      looked,
      [Symbol.asyncDispose]: () => {
        stop.abort();
        return watching;
      },
    };
  }

  async #look(pair: Pair, signal: AbortSignal, looked: () => void): Promise<void> {
    const { replicationLag, activeSessions, probe } = this.#limits.slowDown;
    const { transactions } = this.#limits.busy;
    if (replicationLag === null && activeSessions === null && probe === null && transactions === null) return looked();
    const sessions: Session[] = [];
    try {
      await eachSide(async (side) => {
        sessions.push(await Session.open(side, pair.database[side], { purpose: `${pair.key} pace` }));
      });
      while (!signal.aborted) {
        const over = (await Promise.all(sessions.map((session) => this.#overLoaded(session)))).find(
          (one) => one !== null,
        );
        if (transactions !== null) {
          const rates = await Promise.all(sessions.map((session) => this.#transactionsOf(session)));
          this.#busySince = rates.some((rate) => rate > transactions) ? (this.#busySince ?? performance.now()) : null;
        }
        this.waits = over ?? null;
        if (over === undefined) this.#rows.release();
        else this.#rows.hold();
        looked();
        await sleep(LOOK_MS, undefined, { signal });
      }
    } catch {
      // told to stop, or a side is gone
    } finally {
      looked();
      this.waits = null;
      this.#rows.release();
      await Promise.all(sessions.map((session) => session.close()));
    }
  }

  /** Of others, a second, in all databases of the server. */
  async #transactionsOf(session: Session): Promise<number> {
    const row = await session.row<{ transactions: string }>(TRANSACTIONS);
    const own = this.own(session.side as Primary) + session.transactions;
    const last = this.#looks.get(session);
    // the server counts later than is counted here, so that own ones may be taken off too early, and never twice
    const others = Math.max(last?.others ?? -Infinity, Number(row?.transactions ?? 0) - own);
    const at = performance.now();
    this.#looks.set(session, { others, at });
    if (last === undefined) return this.#atWork(session);
    return ((others - last.others) * 1_000) / (at - last.at);
  }

  /** The same before a counter has moved on, by the queries that sessions begin meanwhile: of each, one a sample at most. */
  async #atWork(session: Session): Promise<number> {
    const began = performance.now();
    const queries = new Set<string>();
    for (let sample = 1; sample <= SAMPLES; sample += 1) {
      for (const { query } of await session.rows<{ query: string }>(QUERIES)) queries.add(query);
      if (sample < SAMPLES) await sleep(SAMPLE_EVERY_MS);
    }
    return (queries.size * 1_000) / (performance.now() - began + SAMPLE_EVERY_MS);
  }

  async #overLoaded(session: Session): Promise<string | null> {
    const { replicationLag, activeSessions, probe } = this.#limits.slowDown;
    const side = session.side as Primary;
    if (replicationLag !== null) {
      const lag = await session.row<{ lagMs: number | null }>(LAG);
      if ((lag?.lagMs ?? 0) > replicationLag) {
        return `replication from the ${side} lags by ${Math.round((lag?.lagMs ?? 0) / 1_000)} s`;
      }
    }
    if (activeSessions !== null) {
      const load = await session.row<{ activeSessions: number }>(LOAD);
      if ((load?.activeSessions ?? 0) > activeSessions) {
        return `${load?.activeSessions} sessions are active on the ${side}`;
      }
    }
    if (probe !== null) {
      const began = performance.now();
      await session.run(`set statement_timeout = ${Math.max(1_000, probe.maxLatency * 2)}`);
      await session.rows(probe.sql).catch(() => undefined);
      const took = performance.now() - began;
      if (took > probe.maxLatency) return `the probe took ${Math.round(took)} ms on the ${side}`;
    }
    return null;
  }
}

const between = ({ atLeast, atMost }: typeof BITE_ROWS, rows: number): number =>
  Math.round(Math.min(atMost, Math.max(atLeast, rows)));
