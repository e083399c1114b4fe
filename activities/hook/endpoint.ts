/**
 * A call of the user's own that leads clients to the primary: POST says where, GET asks where. An answer that is lost is
 * found out by asking, and the same call is sent again if it took no effect. Safety never rests on it: what reaches the wrong
 * side meets the fence.
 */
import pRetry from 'p-retry';
import type { Milliseconds, NormalHook } from '../../spec/normal.js';
import type { Primary } from '../../spec/status.js';
import type { EndpointContext, EndpointHandle } from '../endpoint-handle.js';
import { failure } from '../failure.js';
import { placesOf, type DatabasePlace } from '../places.js';
import { call, NoAnswer, type Answer } from './call.js';
import { askHook, requireTaken, tokenOf } from './current.js';

/** The first wait; each further one is twice as long. Clients are waiting, so it begins short. */
const FIRST_WAIT_MS = 25;
const LONGEST_WAIT_MS = 1_000;

/** A pause that can't be had now: others are there first. */
const CONFLICT = 409;

/** What POST sends. Nothing in it is a secret. */
export interface HookCall {
  /** `lead`: to `primary`. */
  action: 'lead' | 'pause' | 'resume';
  migration: string;
  database: string;
  endpoint: string;
  /** The side that takes the writes. */
  primary: Primary;
  place: DatabasePlace;
  /** Grows with every switch: a call with a smaller one than the last is late, and may be refused. */
  epoch: number;
  /** Of the worker that calls; another one for the same is a second try. */
  attempt: string;
  /** Of a pause: after so long nobody comes any more to end it. */
  atMostMs?: Milliseconds;
}

export class HookEndpoint implements EndpointHandle {
  readonly #context: EndpointContext;
  readonly #token: string | null;

  private constructor(
    readonly endpoint: NormalHook,
    readonly places: Record<Primary, DatabasePlace>,
    context: EndpointContext,
    token: string | null,
  ) {
    this.#context = context;
    this.#token = token;
  }

  static async open(endpoint: NormalHook, context: EndpointContext): Promise<HookEndpoint> {
    const places = await placesOf(context.move.database, endpoint.hosts);
    return new HookEndpoint(endpoint, places, context, await tokenOf(endpoint));
  }

  get name(): string {
    return this.endpoint.name;
  }

  get pauses(): boolean {
    return this.endpoint.hold !== null;
  }

  /** Where it leads, once it is sure that this is where the writes go: another place would be nobody's to write back. */
  async prove(): Promise<string> {
    const source = await this.#context.attempt.read('source');
    const primary: Primary = source.state === 'open' ? 'source' : 'target';
    const side = await this.#insist(this.#budget, () => askHook(this.endpoint, this.#token));
    if (side === primary) return side;
    throw failure(
      'EndpointFailed',
      `the hook ${this.name} says that it leads to the ${side}, and the ${primary} takes the writes`,
      `Nothing was changed; lead it to the ${primary}, or correct what ${this.endpoint.check.url} answers`,
    );
  }

  /** When it is false, clients may be held all the same, by a call whose answer was lost: the caller resumes all. */
  async pause(timeout: Milliseconds): Promise<boolean> {
    const { hold } = this.endpoint;
    if (hold === null) return true;
    const atMostMs = this.#context.move.database.cutover.maxPause;
    try {
      return await this.#again(timeout, async (left) => {
        const { status } = await this.#post(hold.pause, 'pause', await this.#primary(), left, { atMostMs });
        return status !== CONFLICT;
      });
    } catch (error) {
      if (error instanceof NoAnswer) return false;
      throw error;
    }
  }

  async pointAt(side: Primary): Promise<void> {
    await this.#insist(this.#budget, async (left) => {
      if ((await askHook(this.endpoint, this.#token, left)) === side) return;
      await this.#post(this.endpoint.url, 'lead', side, left);
      const now = await askHook(this.endpoint, this.#token, left);
      if (now !== side) {
        throw new NoAnswer(`POST ${this.endpoint.url} was taken, and GET ${this.endpoint.check.url} still says ${now}`);
      }
    });
  }

  async resume(): Promise<void> {
    const { hold } = this.endpoint;
    if (hold === null) return;
    await this.#insist(this.#budget, async (left) => {
      await this.#post(hold.resume, 'resume', await this.#primary(), left);
    });
  }

  async sweep(): Promise<void> {}

  async close(): Promise<void> {}

  /** What all tries of one movement may take: a hook that hangs holds nobody up for longer. */
  get #budget(): Milliseconds {
    return this.#context.move.database.cutover.maxPause;
  }

  /** The side whose clients are held. In the middle of a switch it has not ceded yet. */
  async #primary(): Promise<Primary> {
    const source = await this.#context.attempt.read('source');
    return source.state === 'open' || source.state === 'leased' ? 'source' : 'target';
  }

  /** Fails with `AuthorityLost` for an attempt that another one has replaced: its call would come too late. */
  async #post(
    url: string,
    action: HookCall['action'],
    primary: Primary,
    timeout: Milliseconds,
    more: Partial<HookCall> = {},
  ): Promise<Answer> {
    const { attempt, move } = this.#context;
    const { epoch } = await attempt.read(primary);
    const body: HookCall = {
      action,
      migration: move.migration,
      database: move.database.name,
      endpoint: this.name,
      primary,
      place: this.places[primary],
      epoch,
      attempt: attempt.id,
      ...more,
    };
    const answer = await call({ name: this.name, method: 'POST', url, token: this.#token, body, timeout });
    if (action === 'pause' && answer.status === CONFLICT) return answer;
    requireTaken(this.endpoint, 'POST', url, answer);
    return answer;
  }

  /** `work` until it succeeds; `EndpointFailed` when `budget` is spent. */
  async #insist<T>(budget: Milliseconds, work: (left: Milliseconds) => Promise<T>): Promise<T> {
    try {
      return await this.#again(budget, work);
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      throw failure('EndpointFailed', `the hook ${this.name} did not answer as it should: ${error.message}`);
    }
  }

  /** Each try has the hook's own time-out, or what is left of `budget`. Fails with `NoAnswer` when that is spent. */
  async #again<T>(budget: Milliseconds, work: (left: Milliseconds) => Promise<T>): Promise<T> {
    const deadline = performance.now() + budget;
    return pRetry(() => work(Math.min(this.endpoint.timeout, deadline - performance.now())), {
      retries: Infinity,
      minTimeout: FIRST_WAIT_MS,
      maxTimeout: LONGEST_WAIT_MS,
      maxRetryTime: budget,
      shouldRetry: ({ error }) => error instanceof NoAnswer,
    });
  }
}
