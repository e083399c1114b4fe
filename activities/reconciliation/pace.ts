/**
 * How gently a run reads: rows and bytes a second, a halt while either side has too much to do, and small bites with rests between
 * them while others are at work: a share of the time so small that it is in nobody's 95th percentile.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { NormalReconcileLimits } from '../../spec/reconciliation.js';
import type { Milliseconds } from '../../spec/normal.js';
import type { Primary } from '../../spec/status.js';
import { RateLimit } from '../postgres/copy/rate.js';
import { Session } from '../postgres/session.js';
import type { Pair } from '../postgres/sides.js';
import { statement } from '../postgres/statements.js';
import type { ComparedTable } from '../postgres/validation/compared-table.js';
import type { Pace } from '../postgres/validation/lanes.js';

const LOAD = statement(import.meta.url, '../postgres/sql/load.sql');
const LAG = statement(import.meta.url, './sql/lag.sql');
const ACTIVITY = statement(import.meta.url, './sql/activity.sql');
const LOOK_MS = 1_000;
/** Of one statement on a busy server: 15 ms of one core. */
const BITE_ROWS = 10_000;
const SIDES = ['source', 'target'] as const;

export class ReadingPace implements Pace {
  readonly #limits: NormalReconcileLimits;
  readonly #rows: RateLimit;
  readonly #bytes: RateLimit;
  #busy = false;
  #restUntil = 0;
  readonly #committed = new Map<Session, { transactions: number; at: number }>();
  /** Why it waits now, in words; null: it doesn't. */
  waits: string | null = null;

  constructor(limits: NormalReconcileLimits) {
    this.#limits = limits;
    this.#rows = new RateLimit(limits.rowsPerSecond);
    this.#bytes = new RateLimit(limits.bytesPerSecond);
  }

  async wait(): Promise<void> {
    await this.#rows.pass(0);
    await this.#bytes.pass(0);
    const rest = this.#restUntil - performance.now();
    if (this.#busy && rest > 0) await sleep(rest);
  }

  most(): number {
    return this.#busy ? BITE_ROWS : Infinity;
  }

  took(rows: number, table: ComparedTable, ms: Milliseconds): void {
    // all lanes together take their share
    if (this.#busy) {
      this.#restUntil = Math.max(this.#restUntil, performance.now()) + ms * (1 / this.#limits.busy.share - 1);
    }
    // debts, which the next statement waits for
    void this.#rows.pass(rows);
    void this.#bytes.pass(rows * table.bytesOfARow);
  }

  /** Looks at both sides every second until `signal`, and says when it first has; never throws: what is wrong with a side the run itself will meet. */
  async watch(pair: Pair, signal: AbortSignal, looked: () => void): Promise<void> {
    const { replicationLag, activeSessions, probe } = this.#limits.slowDown;
    const { transactions } = this.#limits.busy;
    if (replicationLag === null && activeSessions === null && probe === null && transactions === null) return looked();
    const sessions: Session[] = [];
    try {
      for (const side of SIDES) {
        sessions.push(await Session.open(side, pair.database[side], { purpose: `${pair.key} pace` }));
      }
      while (!signal.aborted) {
        const over = (await Promise.all(sessions.map((session) => this.#overLoaded(session)))).find(
          (one) => one !== null,
        );
        if (transactions !== null) {
          const rates = await Promise.all(sessions.map((session) => this.#transactionsOf(session)));
          this.#busy = rates.some((rate) => rate > transactions);
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

  /** A second, of all databases of the server; at the first look: whether anybody does anything. */
  async #transactionsOf(session: Session): Promise<number> {
    const row = await session.row<{ transactions: string; active: boolean }>(ACTIVITY);
    const now = { transactions: Number(row?.transactions ?? 0), at: performance.now() };
    const last = this.#committed.get(session);
    this.#committed.set(session, now);
    if (last === undefined) return row?.active === true ? Infinity : 0;
    return ((now.transactions - last.transactions) * 1_000) / (now.at - last.at);
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
