/**
 * What the hands that build keys and indexes are at, told every second: an index of a terabyte takes hours, and its server knows
 * how far it is. https://www.postgresql.org/docs/current/progress-reporting.html#CREATE-INDEX-PROGRESS-REPORTING
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { SyncProgress } from '../copy/progress.js';
import type { Session } from '../session.js';
import { statement } from '../statements.js';

const INDEX_PROGRESS = statement(import.meta.url, '../sql/index_progress.sql');
const LOOK_MS = 1_000;

interface Row extends Record<string, unknown> {
  pid: number;
  phase: string;
  blocksDone: number;
  blocksTotal: number;
  tuplesDone: number;
  tuplesTotal: number;
}

export class Building {
  readonly #pids = new Map<Session, number>();
  /** By hand, in the order in which they began. */
  readonly #titles = new Map<Session, string>();
  readonly #phases = new Map<number, string>();

  constructor(readonly progress: SyncProgress) {}

  async join(hand: Session): Promise<void> {
    const row = await hand.row<{ pid: number }>('select pg_backend_pid() as pid');
    if (row !== undefined) this.#pids.set(hand, row.pid);
  }

  async while(hand: Session, title: string, work: () => Promise<void>): Promise<void> {
    this.#titles.set(hand, title);
    this.#tell();
    try {
      await work();
    } finally {
      this.#titles.delete(hand);
      this.#phases.delete(this.#pids.get(hand) ?? 0);
    }
    this.#tell();
  }

  /** By a session of its own, until `signal`. Never throws. */
  async watch(session: Session, signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        await sleep(LOOK_MS, undefined, { signal });
        const rows = await session.rows<Row>(INDEX_PROGRESS, [[...this.#pids.values()]]);
        this.#phases.clear();
        for (const row of rows) this.#phases.set(row.pid, inWords(row));
        this.#tell();
      }
    } catch {
      // Told to stop; or the target is gone, which the building itself will meet.
    }
  }

  #tell(): void {
    const lines = [...this.#titles].map(([hand, title]) => {
      const phase = this.#phases.get(this.#pids.get(hand) ?? 0);
      return phase === undefined ? title : `${title}: ${phase}`;
    });
    if (lines.length > 0) this.progress.detail = lines.join('; ');
  }
}

/** `building index: scanning table, 1,200 of 5,000 blocks`. */
function inWords({ phase, blocksDone, blocksTotal, tuplesDone, tuplesTotal }: Row): string {
  const figure = (done: number, total: number, what: string): string =>
    `${phase}, ${done.toLocaleString('en-US')} of ${total.toLocaleString('en-US')} ${what}`;
  if (phase.includes('loading') && tuplesTotal > 0) return figure(tuplesDone, tuplesTotal, 'tuples');
  // Of the phase before, which sorting leaves as they were.
  if (phase.includes('sorting') || blocksTotal === 0) return phase;
  return figure(blocksDone, blocksTotal, 'blocks');
}
