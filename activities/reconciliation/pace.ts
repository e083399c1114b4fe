/** How gently a run reads: rows and bytes a second, and a halt while either side has too much to do. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { NormalReconcileLimits } from '../../spec/reconciliation.js';
import type { Primary } from '../../spec/status.js';
import { RateLimit } from '../postgres/copy/rate.js';
import { Session } from '../postgres/session.js';
import type { Pair } from '../postgres/sides.js';
import { statement } from '../postgres/statements.js';
import type { ComparedTable } from '../postgres/validation/compared-table.js';
import type { Pace } from '../postgres/validation/lanes.js';

const LOAD = statement(import.meta.url, '../postgres/sql/load.sql');
const LAG = statement(import.meta.url, './sql/lag.sql');
const LOOK_MS = 1_000;
const SIDES = ['source', 'target'] as const;

export class ReadingPace implements Pace {
  readonly #limits: NormalReconcileLimits;
  readonly #rows: RateLimit;
  readonly #bytes: RateLimit;
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
  }

  took(rows: number, table: ComparedTable): void {
    // debts, which the next statement waits for
    void this.#rows.pass(rows);
    void this.#bytes.pass(rows * table.bytesOfARow);
  }

  /** Looks at both sides every second until `signal`; never throws: what is wrong with a side the run itself will meet. */
  async watch(pair: Pair, signal: AbortSignal): Promise<void> {
    const { replicationLag, activeSessions, probe } = this.#limits.slowDown;
    if (replicationLag === null && activeSessions === null && probe === null) return;
    const sessions: Session[] = [];
    try {
      for (const side of SIDES) {
        sessions.push(await Session.open(side, pair.database[side], { purpose: `${pair.key} pace` }));
      }
      while (!signal.aborted) {
        const over = (await Promise.all(sessions.map((session) => this.#overLoaded(session)))).find(
          (one) => one !== null,
        );
        this.waits = over ?? null;
        if (over === undefined) this.#rows.release();
        else this.#rows.hold();
        await sleep(LOOK_MS, undefined, { signal });
      }
    } catch {
      // told to stop, or a side is gone
    } finally {
      this.waits = null;
      this.#rows.release();
      await Promise.all(sessions.map((session) => session.close()));
    }
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
