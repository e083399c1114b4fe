/** Holds all ranges together under one rate: a bucket that fills by `bytesPerSecond` and holds a second's worth. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bytes } from '../../../spec/normal.js';

export class RateLimit {
  #tokens: number;
  #filledAt = performance.now();
  #held: Promise<void> | null = null;
  #release: () => void = () => undefined;

  /** @param bytesPerSecond null: unlimited */
  constructor(private readonly bytesPerSecond: Bytes | null) {
    this.#tokens = bytesPerSecond ?? 0;
  }

  /** Nothing passes until `release`. */
  hold(): void {
    this.#held ??= new Promise((resolve) => (this.#release = resolve));
  }

  release(): void {
    this.#held = null;
    this.#release();
  }

  /** Returns when `bytes` may pass. A chunk bigger than the bucket goes into debt, and the next one waits for it, or until `signal`. */
  async pass(bytes: Bytes, signal?: AbortSignal): Promise<void> {
    while (this.#held !== null) await this.#held;
    if (this.bytesPerSecond === null) return;
    const now = performance.now();
    const filled = this.#tokens + ((now - this.#filledAt) / 1_000) * this.bytesPerSecond;
    this.#filledAt = now;
    this.#tokens = Math.min(filled, this.bytesPerSecond) - bytes;
    if (this.#tokens < 0) await sleep((-this.#tokens / this.bytesPerSecond) * 1_000, undefined, signal && { signal });
  }
}
