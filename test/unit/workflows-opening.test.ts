import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { scopeKey } from '../../spec/scope-key.js';
import { opensIn } from '../../workflows/opening.js';

const HOUR = 3_600_000;
const at = (text: string): number => Date.parse(`${text}Z`);

describe('a weekly window', () => {
  // 2026-03-02 is a Monday.
  const night = { days: [1], from: 22 * 60, to: 4 * 60 };

  it('is open within its hours, and over midnight into the day after', () => {
    expect(opensIn(night, at('2026-03-02T23:00:00'))).toBe(0);
    expect(opensIn(night, at('2026-03-03T03:59:59'))).toBe(0);
    expect(opensIn(night, at('2026-03-03T04:00:00'))).toBeGreaterThan(0);
  });

  it('says how long until it opens, also over the end of a week', () => {
    expect(opensIn(night, at('2026-03-02T20:00:00'))).toBe(2 * HOUR);
    expect(opensIn(night, at('2026-03-03T04:00:00'))).toBe((6 * 24 + 18) * HOUR);
  });

  it('is open until midnight when it ends at 24:00, and always when there is none', () => {
    const late = { days: [1], from: 23 * 60, to: 24 * 60 };
    expect(opensIn(late, at('2026-03-02T23:59:59'))).toBe(0);
    expect(opensIn(late, at('2026-03-03T00:00:00'))).toBeGreaterThan(0);
    expect(opensIn(null, 0)).toBe(0);
  });
});

describe('a scope key', () => {
  it('is the beginning of a SHA-256 over workflow id and database', () => {
    const expected = createHash('sha256').update('move-shop-é/orders').digest('hex').slice(0, 12);
    expect(scopeKey('move-shop-é', 'orders')).toBe(expected);
  });
});
