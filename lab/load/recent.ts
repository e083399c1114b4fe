/**
 * The requests of the last minutes, for `within`. In columns of numbers: as objects they cost the load's process a garbage
 * collection of 55 ms every 9 s, which its clients had as latency.
 */
import type { Outcome, RecordedRequest } from './record.js';

/** What `within` looks at. */
export type RecentRequest = Pick<RecordedRequest, 'startedAt' | 'endedAt' | 'acceptedAt' | 'outcome'>;

const OUTCOMES: readonly Outcome[] = ['acknowledged', 'failed', 'unknown'];
const COLUMNS = 4;
const REQUESTS_A_BLOCK = 65_536;

/** `length` requests, each of them started, ended, accepted (NaN: not), outcome. */
interface Block {
  numbers: Float64Array;
  length: number;
}

export class RecentRequests {
  /** The newest last. */
  readonly #blocks: Block[] = [];

  /** @param keepMicroseconds older ones may be forgotten */
  constructor(readonly keepMicroseconds: number) {}

  /** In the order in which they end. */
  add({ startedAt, endedAt, acceptedAt, outcome }: RecentRequest): void {
    let block = this.#blocks.at(-1);
    if (block === undefined || block.length === REQUESTS_A_BLOCK) {
      this.#forget(endedAt - this.keepMicroseconds);
      block = { numbers: new Float64Array(REQUESTS_A_BLOCK * COLUMNS), length: 0 };
      this.#blocks.push(block);
    }
    block.numbers.set([startedAt, endedAt, acceptedAt ?? NaN, OUTCOMES.indexOf(outcome)], block.length * COLUMNS);
    block.length += 1;
  }

  /** Those that ended at `from` or later, the newest first. Costs what it answers: clients of the load wait meanwhile. */
  *since(from: number): Generator<RecentRequest> {
    for (const block of this.#blocks.toReversed()) {
      for (let index = block.length - 1; index >= 0; index -= 1) {
        const request = read(block, index);
        if (request.endedAt < from) return;
        yield request;
      }
    }
  }

  #forget(before: number): void {
    const kept = this.#blocks.findIndex((block) => read(block, block.length - 1).endedAt >= before);
    this.#blocks.splice(0, kept === -1 ? this.#blocks.length : kept);
  }
}

function read({ numbers }: Block, index: number): RecentRequest {
  const [startedAt = NaN, endedAt = NaN, acceptedAt = NaN, outcome = NaN] = numbers.subarray(
    index * COLUMNS,
    (index + 1) * COLUMNS,
  );
  return {
    startedAt,
    endedAt,
    acceptedAt: Number.isNaN(acceptedAt) ? null : acceptedAt,
    outcome: OUTCOMES[outcome] ?? 'unknown',
  };
}
