/**
 * How often the judge is wrong, and how soon it is right: healthy and bad greens at several request rates, seeded, beside
 * "error ratio over the limit, three times in a row", the usual rule of canary controllers, on the same streams.
 */
import { judgeLook } from '../activities/metrics/judge.js';
import { fold } from '../activities/metrics/sustained.js';
import { GATE_DEFAULTS, MetricGate, normalMetricGates, type NormalMetricGate } from '../spec/gates.js';
import type { GateState } from '../spec/verdict.js';

export interface JudgeFigures {
  seed: number;
  runs: number;
  /** Of one run, in minutes. */
  minutes: number;
  /** Between looks, in seconds. */
  every: number;
  limit: number;
  rows: JudgeRow[];
}

export interface JudgeRow {
  rate: number;
  green: string;
  bad: boolean;
  judge: RuleFigures;
  usual: RuleFigures;
}

export interface RuleFigures {
  /** Share of runs that failed. */
  failed: number;
  /** Share of runs whose end passed. */
  passed: number;
  /** Seconds from the first request to the failure, median and 95th percentile; null: none failed. */
  median: number | null;
  p95: number | null;
}

const LIMIT = 0.01;
const EVERY = 10;
const MINUTES = 30;
const RATES = [0.5, 2, 10, 50, 200];

/** Share of requests that fail. */
const GREENS: { green: string; share: number; bad: boolean }[] = [
  { green: 'healthy, 0.1 %', share: 0.001, bad: false },
  { green: 'healthy, 0.5 %', share: 0.005, bad: false },
  { green: 'bad, 2 %', share: 0.02, bad: true },
  { green: 'bad, 5 %', share: 0.05, bad: true },
  { green: 'broken, 30 %', share: 0.3, bad: true },
];

interface Second {
  total: number;
  bad: number;
}

interface Outcome {
  /** Seconds; null: it never did. */
  failedAt: number | null;
  passes: boolean;
}

export function benchJudge({ runs, seed = 20_260_101 }: { runs: number; seed?: number }): JudgeFigures {
  const random = generator(seed);
  const rows = RATES.flatMap((rate) =>
    GREENS.map(({ green, share, bad }): JudgeRow => {
      const streams = Array.from({ length: runs }, () => stream(rate, share, random));
      return { rate, green, bad, judge: figuresOf(streams.map(byJudge)), usual: figuresOf(streams.map(byUsualRule)) };
    }),
  );
  return { seed, runs, minutes: MINUTES, every: EVERY, limit: LIMIT, rows };
}

function stream(rate: number, share: number, random: () => number): Second[] {
  return Array.from({ length: MINUTES * 60 }, () => {
    const total = poisson(rate, random);
    let bad = 0;
    for (let one = 0; one < total; one += 1) if (random() < share) bad += 1;
    return { total, bad };
  });
}

const [GATE] = normalMetricGates([MetricGate.parse({ errorRatio: { absolute: '1%' } })], [], GATE_DEFAULTS);

/** As the activity does it: a window, and further back while it is insufficient. */
function byJudge(seconds: Second[]): Outcome {
  const gate = GATE as NormalMetricGate;
  let state: GateState | null = null;
  let passes = false;
  const sums = summed(seconds);
  for (let at = EVERY; at <= seconds.length; at += EVERY) {
    const look = lookBack(gate, sums, at);
    const folded = fold(gate, look, at * 1_000, state, null);
    state = folded.state;
    if (folded.decision === 'fail') return { failedAt: at, passes: false };
    passes = folded.decision === 'pass';
  }
  return { failedAt: null, passes };
}

function lookBack(gate: NormalMetricGate, sums: Second[], at: number): ReturnType<typeof judgeLook> {
  for (let window = gate.window / 1_000; ; window *= 4) {
    const { total, bad } = between(sums, Math.max(0, at - window), at);
    const green = { kind: 'counts', bad, total } as const;
    const look = judgeLook(gate, { name: 'green', green, blue: null, baseline: null });
    if (look.verdict !== 'insufficient' || total === 0 || window >= at || window > (gate.window / 1_000) * 16)
      return look;
  }
}

/** The ratio of the last minute is over the limit, at three looks a minute apart in a row. */
function byUsualRule(seconds: Second[]): Outcome {
  const sums = summed(seconds);
  let over = 0;
  for (let at = 60; at <= seconds.length; at += 60) {
    const { total, bad } = between(sums, at - 60, at);
    over = total > 0 && bad / total > LIMIT ? over + 1 : 0;
    if (over === 3) return { failedAt: at, passes: false };
  }
  return { failedAt: null, passes: over === 0 };
}

function summed(seconds: Second[]): Second[] {
  const sums: Second[] = [{ total: 0, bad: 0 }];
  for (const { total, bad } of seconds) {
    const last = sums.at(-1) ?? { total: 0, bad: 0 };
    sums.push({ total: last.total + total, bad: last.bad + bad });
  }
  return sums;
}

function between(sums: Second[], from: number, to: number): Second {
  const [first, last] = [sums[from], sums[to]];
  return { total: (last?.total ?? 0) - (first?.total ?? 0), bad: (last?.bad ?? 0) - (first?.bad ?? 0) };
}

function figuresOf(outcomes: Outcome[]): RuleFigures {
  const times = outcomes.flatMap(({ failedAt }) => (failedAt === null ? [] : [failedAt])).sort((a, b) => a - b);
  const at = (share: number): number | null => times[Math.ceil(times.length * share) - 1] ?? null;
  return {
    failed: times.length / outcomes.length,
    passed: outcomes.filter(({ passes }) => passes).length / outcomes.length,
    median: at(0.5),
    p95: at(0.95),
  };
}

/** Mulberry32: the same seed gives the same streams everywhere. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Knuth's way; rates above some hundreds would underflow, and there are none here. */
function poisson(rate: number, random: () => number): number {
  const least = Math.exp(-rate);
  let count = 0;
  for (let product = random(); product > least; product *= random()) count += 1;
  return count;
}

export function judgeTable({ seed, runs, minutes, every, limit, rows }: JudgeFigures): string {
  const percent = (share: number): string => `${Math.round(share * 1_000) / 10} %`;
  const seconds = ({ median, p95 }: RuleFigures): string => (median === null ? '' : `${median} / ${p95}`);
  const line = ({ rate, green, bad, judge, usual }: JudgeRow): string => {
    const wrong = ({ failed }: RuleFigures): string => percent(bad ? 1 - failed : failed);
    const cells = [
      rate,
      green,
      wrong(judge),
      percent(judge.passed),
      seconds(judge),
      wrong(usual),
      percent(usual.passed),
      seconds(usual),
    ];
    return `| ${cells.join(' | ')} |`;
  };
  return [
    `${runs} runs of ${minutes} minutes each, limit ${percent(limit)}, seed ${seed}. The judge looks every ${every} s; the usual rule at each whole minute.`,
    '',
    'Wrong is a healthy green that fails, or a bad one that does not. Passes: at the end. Seconds until it fails: median / 95th percentile.',
    '',
    '| requests a second | green | judge: wrong | passes | seconds | usual rule: wrong | passes | seconds |',
    '| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...rows.map(line),
  ].join('\n');
}
