/** Metrics as CloudWatch keeps them: a name, a set of dimensions, and what was put at which second. */

/** What was put at one time: each value as often as it came, or figures of many of them. */
export type Observed =
  | { kind: 'values'; values: { value: number; count: number }[] }
  | { kind: 'set'; count: number; sum: number; minimum: number; maximum: number };

export interface Datum {
  /** Milliseconds since the epoch. */
  at: number;
  /** From when it is found. */
  visibleAt: number;
  unit: string;
  observed: Observed;
}

export interface MetricName {
  namespace: string;
  name: string;
  /** Every combination is a metric of its own: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#Dimension */
  dimensions: { Name: string; Value: string }[];
}

export interface Point {
  at: number;
  value: number;
}

export const keyOf = ({ namespace, name, dimensions }: MetricName): string =>
  JSON.stringify([namespace, name, dimensions.map(({ Name, Value }) => [Name, Value]).sort()]);

/** One value for each period that has data; a period begins at a multiple of itself. Null: no such statistic. */
export function pointsOf(data: Datum[], statistic: string, periodMs: number): Point[] | null {
  const figure = figureOf(statistic);
  if (figure === null) return null;
  const periods = new Map<number, Observed[]>();
  for (const { at, observed } of data) {
    const begin = Math.floor(at / periodMs) * periodMs;
    periods.set(begin, [...(periods.get(begin) ?? []), observed]);
  }
  const points = [...periods].flatMap(([at, observed]) => {
    const value = figure(observed);
    return value === null ? [] : [{ at, value }];
  });
  return points.sort((one, other) => one.at - other.at);
}

type Figure = (observed: Observed[]) => number | null;

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html */
function figureOf(statistic: string): Figure | null {
  const share = /^p(?<percent>\d{1,2}(\.\d+)?|100)$/.exec(statistic)?.groups?.['percent'];
  if (share !== undefined) return (observed) => percentile(observed, Number(share) / 100);
  switch (statistic) {
    case 'Sum':
      return sumOf;
    case 'SampleCount':
      return countOf;
    case 'Average':
      return (observed) => sumOf(observed) / countOf(observed);
    case 'Minimum':
      return (observed) => Math.min(...observed.map(minimumOf));
    case 'Maximum':
      return (observed) => Math.max(...observed.map(maximumOf));
    default:
      return null;
  }
}

const total = (numbers: number[]): number => numbers.reduce((sum, one) => sum + one, 0);

const sumOf = (observed: Observed[]): number =>
  total(
    observed.map((one) => (one.kind === 'set' ? one.sum : total(one.values.map((each) => each.value * each.count)))),
  );

const countOf = (observed: Observed[]): number =>
  total(observed.map((one) => (one.kind === 'set' ? one.count : total(one.values.map((each) => each.count)))));

const minimumOf = (one: Observed): number =>
  one.kind === 'set' ? one.minimum : Math.min(...one.values.map((each) => each.value));
const maximumOf = (one: Observed): number =>
  one.kind === 'set' ? one.maximum : Math.max(...one.values.map((each) => each.value));

/** By nearest rank. None of figures that were put as a set, unless all of its values were the same. */
function percentile(observed: Observed[], share: number): number | null {
  const values = observed.flatMap((one) => {
    if (one.kind === 'values') return one.values;
    return one.minimum === one.maximum ? [{ value: one.minimum, count: one.count }] : [null];
  });
  const known = values.filter((one) => one !== null).sort((one, other) => one.value - other.value);
  if (known.length < values.length) return null;
  const rank = Math.max(1, Math.ceil(share * total(known.map((one) => one.count))));
  let seen = 0;
  for (const { value, count } of known) {
    seen += count;
    if (seen >= rank) return value;
  }
  return known.at(-1)?.value ?? null;
}
