/** Live progress of a sync, told every second. */
import type { Progress } from '../../../spec/status.js';
import type { UnitRef } from '../../../spec/units.js';
import { heartbeat } from '../../activity-context.js';

const EVERY_MS = 1_000;

export class SyncProgress {
  #timer: NodeJS.Timeout;
  #lastBytes = 0;
  #lastAt = performance.now();
  #speed = 0;
  what: Progress['what'] = 'ranges';
  detail = 'starting';
  done = 0;
  total = 0;
  bytesDone = 0;
  /** Sizes of tables are an estimate of what COPY sends; `finishRange` corrects it by what came true so far. */
  #estimateDone = 0;
  #estimateTotal = 0;
  #bytesOfFinished = 0;

  /** @param told false: another process tells how far all are */
  constructor(
    private readonly unit: UnitRef,
    private readonly told = true,
  ) {
    this.#timer = setInterval(() => this.#tell(), EVERY_MS);
    this.#tell();
  }

  begin(what: Progress['what'], total: number, detail: string): void {
    Object.assign(this, { what, total, detail, done: 0 });
    this.#tell();
  }

  expect(estimate: number): void {
    this.#estimateTotal += estimate;
  }

  finishRange(estimate: number, bytes: number): void {
    this.done += 1;
    this.#estimateDone += estimate;
    this.#bytesOfFinished += bytes;
  }

  /** What several copiers have done together. */
  setDone(ranges: number, estimate: number, bytes: number): void {
    this.done = ranges;
    this.#estimateDone = estimate;
    this.#bytesOfFinished = bytes;
    this.bytesDone = Math.max(this.bytesDone, bytes);
  }

  current(): Progress {
    const ratio = this.#estimateDone > 0 ? this.#bytesOfFinished / this.#estimateDone : 1;
    const bytesTotal = this.#bytesOfFinished + (this.#estimateTotal - this.#estimateDone) * ratio;
    return {
      unit: this.unit,
      phase: 'initialSync',
      what: this.what,
      done: this.done,
      total: this.total,
      bytesDone: this.bytesDone,
      bytesTotal: Math.max(Math.round(bytesTotal), this.bytesDone),
      bytesPerSecond: Math.round(this.#speed),
      detail: this.detail,
    };
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tell(): void {
    const now = performance.now();
    const seconds = (now - this.#lastAt) / 1_000;
    if (seconds > 0.5) {
      this.#speed = (this.bytesDone - this.#lastBytes) / seconds;
      this.#lastBytes = this.bytesDone;
      this.#lastAt = now;
    }
    if (this.told) heartbeat(this.current());
  }
}
