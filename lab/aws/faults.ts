/** Orders to fail: which of the calls to come, how often, and in what way. */
import { AwsError } from './answer.js';
import type { Call, Service } from './call.js';

export type Fault =
  /** Refused before it takes effect, with a code and status of choice. */
  | { kind: 'error'; code: string; status?: number; message?: string }
  /** Refused as too many requests, before it takes effect. */
  | { kind: 'throttled' }
  /** Refused because the session of an assumed role has ended. */
  | { kind: 'expired credentials' }
  /** Takes effect at once, and is answered late. */
  | { kind: 'slow'; ms: number }
  /** The connection breaks before anything took effect. */
  | { kind: 'lost before' }
  /** Takes effect; the connection breaks instead of an answer. */
  | { kind: 'lost after' }
  /** Of Route 53's changes: takes effect in the API, and stays PENDING until `letChangesSync`. */
  | { kind: 'never in sync' };

export interface FaultOrder {
  fault: Fault;
  /** Absent: of any service. */
  service?: Service;
  /** "ModifyListener"; absent: of any operation. */
  operation?: string;
  account?: string;
  /** Whether this very call is meant. */
  when?: (call: Call) => boolean;
  /** Leaves that many of the matching calls alone first. @default 0 */
  after?: number;
  /** @default 1; Infinity: until `stop` */
  times?: number;
}

/** An order that was given. */
export interface GivenFault {
  /** How many calls it met so far. */
  readonly met: number;
  stop(): void;
}

interface Standing {
  order: FaultOrder;
  skip: number;
  left: number;
  met: number;
}

export class Faults {
  #standing: Standing[] = [];

  give(order: FaultOrder): GivenFault {
    const standing = { order, skip: order.after ?? 0, left: order.times ?? 1, met: 0 };
    this.#standing.push(standing);
    return {
      get met() {
        return standing.met;
      },
      stop: () => (standing.left = 0),
    };
  }

  /** What is to go wrong with this call; the oldest order that fits it is used up by one. */
  take(call: Call): Fault | null {
    for (const standing of this.#standing) {
      if (standing.left <= 0 || !fits(standing.order, call)) continue;
      if (standing.skip > 0) {
        standing.skip -= 1;
        continue;
      }
      standing.left -= 1;
      standing.met += 1;
      return standing.order.fault;
    }
    return null;
  }

  clear(): void {
    for (const standing of this.#standing) standing.left = 0;
    this.#standing = [];
  }
}

function fits(order: FaultOrder, call: Call): boolean {
  if (order.service !== undefined && order.service !== call.service) return false;
  if (order.operation !== undefined && order.operation !== call.operation) return false;
  if (order.account !== undefined && order.account !== call.account) return false;
  return order.when?.(call) ?? true;
}

/** JSON services add "Exception" to the codes of https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html */
const suffix = (service: Service): string =>
  service === 'acm' || service === 'cloudwatch' || service === 'secretsmanager' ? 'Exception' : '';

export function throttled(service: Service): AwsError {
  return new AwsError(`Throttling${suffix(service)}`, 'Rate exceeded', 400);
}

export function expired(service: Service): AwsError {
  return new AwsError(`ExpiredToken${suffix(service)}`, 'The security token included in the request is expired', 403);
}
