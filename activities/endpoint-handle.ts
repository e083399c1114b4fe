/**
 * What every kind of endpoint can do. The switch knows no kind: it proves all of them, holds those that can be held, and
 * points all at one side. A kind joins by a member of `NormalEndpoint` and a line in endpoints.ts.
 */
import type { Milliseconds } from '../spec/normal.js';
import type { Primary } from '../spec/status.js';
import type { DatabaseMove } from './contract.js';
import type { Attempt } from './postgres/authority.js';

export interface EndpointHandle {
  readonly name: string;
  /** Whether it can hold its clients. Those of one that can't meet the fence, SQLSTATE 25006, until it leads elsewhere. */
  readonly pauses: boolean;
  /**
   * The before-image, as text that `pointAt` writes back, once it is sure that the endpoint can be moved. Changes nothing.
   * @param known what an earlier call answered, if it was kept
   */
  prove(known: string | null): Promise<string>;
  /** False when it could not hold its clients within `timeout`; they go on then. Only where `pauses`. */
  pause(timeout: Milliseconds): Promise<boolean>;
  /**
   * Leads to `side`, or fails with `EndpointFailed`; nothing to do is fine. Back at the source, all is as in `image`, but
   * for what somebody else has changed in the meantime.
   */
  pointAt(side: Primary, image: string): Promise<void>;
  /** Lets its clients go on. Fine when they were not held. */
  resume(): Promise<void>;
  /** What is left to do when nobody waits for it any more. */
  sweep(primary: Primary): Promise<void>;
  close(): Promise<void>;
}

/** What a kind may need to know, and act with. */
export interface EndpointContext {
  move: DatabaseMove;
  /** Its sessions are shared: statements of one round trip only. */
  attempt: Attempt;
}
