import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatSize, parseSize } from '../../spec/size.js';

describe('sizes', () => {
  test.each([
    ['16MB', 16_000_000],
    ['16MiB', 16_777_216],
    ['1GiB', 1_073_741_824],
    ['1.5kB', 1_500],
    ['512KB', 512_000],
    ['8192B', 8_192],
  ])('%s is read as people mean it', (text, bytes) => {
    expect(parseSize(text)).toEqual({ ok: true, value: bytes });
  });

  test.each(['', '16', '16 MB', '16M', '16mb', '-1MB', '0.3B', 'MB', '1e3MB', '99999999TiB'])(
    '"%s" is refused, and the error says what to write',
    (text) => {
      const answer = parseSize(text);
      expect(!answer.ok && answer.error).toMatch(/expected a size such as 512kB, 16MB or 1GiB; ./);
    },
  );

  test('whatever is written for people reads back as the same size, exactly', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.constantFrom(1, 1_000, 1_024, 10 ** 6, 2 ** 20), (count, factor) => {
        const bytes = (count % 10 ** 6) * factor;
        expect(parseSize(formatSize(bytes))).toEqual({ ok: true, value: bytes });
      }),
    );
  });

  test('no text makes the parser throw', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9.]{1,5}[a-zA-Z]{0,3}$/)), (text) => {
        const answer = parseSize(text);
        if (answer.ok) expect(Number.isSafeInteger(answer.value) && answer.value >= 0).toBe(true);
      }),
    );
  });

  test('the largest unit without a fraction is chosen', () => {
    expect([0, 1_500, 16_000_000, 16_777_216, 1_073_741_824].map(formatSize)).toEqual([
      '0B',
      '1500B',
      '16MB',
      '16MiB',
      '1GiB',
    ]);
  });
});
