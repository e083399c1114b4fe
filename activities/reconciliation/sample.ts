/** A share of the rows, the same ones on both sides, and what it says of all of them. */
import type { NormalSample } from '../../spec/reconciliation.js';
import { bounds } from '../binomial.js';
import type { Share } from '../postgres/validation/compared-table.js';

const ROWS_OF_A_SHARE = 2 ** 20;

/** Every `step`th leaf, beginning at one that the seed chooses. */
export interface LeafSample {
  step: number;
  offset: number;
}

export function leafSample({ percent, seed }: NormalSample): LeafSample {
  const step = Math.max(1, Math.round(100 / percent));
  return { step, offset: Math.abs(seed) % step };
}

/** From which key on, and how many leaves apart. */
export function chosenLeaves(
  { step, offset }: LeafSample,
  lowest: bigint,
  shift: number,
): { low: bigint; step: number } {
  return { low: ((lowest >> BigInt(shift)) + BigInt(offset)) << BigInt(shift), step };
}

/** Each row by its key's hash. */
export function shareOf({ percent, seed }: NormalSample): Share {
  return { of2To20: Math.max(1, Math.round((percent / 100) * ROWS_OF_A_SHARE)), seed };
}

/** Two-sided: what lies above is 5 %. */
const CONFIDENCE = 0.9;

/**
 * What a sample says, for people: the largest share that could differ and still show so few, at 95 % confidence.
 * @param sampled rows, or leaves where whole leaves were chosen: rows of one leaf aren't independent
 */
export function boundInWords(unit: 'rows' | 'leaves', differing: number, sampled: number): string {
  if (sampled === 0) return 'the sample holds no rows, and says nothing';
  const number = (value: number): string => value.toLocaleString('en-US');
  const hold = unit === 'rows' ? 'do' : 'hold a row that differs';
  return (
    `${number(differing)} of ${number(sampled)} sampled ${unit} differ: at 95 % confidence fewer than ` +
    `${percent(bounds(differing, sampled, CONFIDENCE).high)} % ${hold}`
  );
}

/** Rounded up to two digits: a bound is never said smaller than it is. */
function percent(share: number): string {
  const value = share * 100;
  if (value === 0) return '0';
  const scale = 10 ** (1 - Math.floor(Math.log10(value)));
  return `${Number((Math.ceil(value * scale - 1e-9) / scale).toPrecision(12))}`;
}
