import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDuration, parseDuration } from '../../spec/duration.js';

describe('durations', () => {
  test.each([
    ['90s', 90_000],
    ['72h', 259_200_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['1.1h', 3_960_000],
    ['250ms', 250],
    ['1m500ms', 60_500],
    ['2w3d', 1_468_800_000],
    ['0s', 0],
  ])('%s is read as people mean it', (text, milliseconds) => {
    expect(parseDuration(text)).toEqual({ ok: true, value: milliseconds });
  });

  test.each([
    '',
    '90',
    '5 minutes',
    '1h 30m',
    '-5s',
    '5M',
    's',
    '30m1h',
    '1h1h',
    '0.1ms',
    '1e3s',
    '99999999999w',
    '+5s',
  ])('"%s" is refused, and the error says what to write', (text) => {
    const answer = parseDuration(text);
    expect(answer).toMatchObject({ ok: false });
    expect(!answer.ok && answer.error).toMatch(/expected a duration such as 30s, 5m, 1h30m or 3d; ./);
  });

  test('a number without a unit is told which units there are for it', () => {
    const answer = parseDuration('90');
    expect(!answer.ok && answer.error).toContain('write 90s');
  });

  test('whatever is written for people reads back as the same duration', () => {
    fc.assert(
      fc.property(fc.nat({ max: 10 ** 12 }), (milliseconds) => {
        expect(parseDuration(formatDuration(milliseconds))).toEqual({ ok: true, value: milliseconds });
      }),
    );
  });

  test('no text makes the parser throw, and only whole milliseconds come out', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9.]{1,4}[a-z]{1,2}$/)), (text) => {
        const answer = parseDuration(text);
        if (answer.ok) expect(Number.isSafeInteger(answer.value) && answer.value >= 0).toBe(true);
        else expect(answer.error).not.toBe('');
      }),
    );
  });

  test('three days are still written in hours, as people do', () => {
    expect([259_200_000, 604_800_000, 691_200_000, 90_000, 0].map(formatDuration)).toEqual([
      '72h',
      '1w',
      '8d',
      '1m30s',
      '0s',
    ]);
  });
});
