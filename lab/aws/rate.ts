/** Limits of requests a second. */
import type { Call, Service } from './call.js';
import { throttled } from './faults.js';

/** Requests a second of an account, and as many at once. Null: unlimited. */
export type Rates = Partial<Record<Service, number | null>>;

/** https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html#limits-api-requests */
export const AWS_RATES: Rates = { route53: 5 };

interface Bucket {
  tokens: number;
  at: number;
}

/** A token bucket for each account and service. */
export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>();

  /** Throws `Throttling` when the account has used up its requests. */
  spend(call: Call, rates: Rates): void {
    const rate = rates[call.service];
    if (rate === undefined || rate === null) return;
    const key = `${call.account} ${call.service}`;
    const now = Date.now();
    const bucket = this.#buckets.get(key) ?? { tokens: rate, at: now };
    bucket.tokens = Math.min(rate, bucket.tokens + ((now - bucket.at) / 1_000) * rate);
    bucket.at = now;
    this.#buckets.set(key, bucket);
    if (bucket.tokens < 1) throw throttled(call.service);
    bucket.tokens -= 1;
  }

  clear(): void {
    this.#buckets.clear();
  }
}
