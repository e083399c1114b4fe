/**
 * The activity `judge`: asks the providers of all gates, and says what their answers mean. Whatever a provider does, it
 * ends in a verdict: a step must not fail because a metric could not be read.
 */
import type { NormalMetricGate } from '../../spec/gates.js';
import type { NormalProvider } from '../../spec/metrics.js';
import {
  overallOf,
  type GateState,
  type GateVerdict,
  type JudgeAnswer,
  type JudgeInput,
  type Reference,
  type SubjectSide,
  type TimeRange,
} from '../../spec/verdict.js';
import type { Ask, Evidence } from './evidence.js';
import { estimateOf, judgeLook, referenceOf, type Lack, type Look } from './judge.js';
import { askPrometheus } from './prometheus.js';
import { askSmoke } from './smoke.js';
import { fold } from './sustained.js';
import { askWebhook } from './webhook.js';

export async function judge(input: JudgeInput): Promise<JudgeAnswer> {
  return judgeWith(input, askOf);
}

/** @param asking how each provider is asked */
export async function judgeWith(input: JudgeInput, asking: (provider: NormalProvider) => Ask): Promise<JudgeAnswer> {
  const known = input.state?.version === 1 ? input.state.gates : {};
  const judged = await Promise.all(
    input.gates.map(async (gate) => {
      const provider = input.providers.find(({ name }) => name === gate.provider);
      const ask = provider === undefined ? unknownProvider(gate) : asking(provider);
      return { gate, ...(await judgeGate(input, gate, ask, known[gate.name] ?? null)) };
    }),
  );
  const gates = judged.map(({ verdict }) => verdict);
  return {
    overall: overallOf(gates),
    gates,
    state: { version: 1, gates: Object.fromEntries(judged.map(({ gate, state }) => [gate.name, state])) },
  };
}

function askOf(provider: NormalProvider): Ask {
  switch (provider.kind) {
    case 'prometheus':
      return askPrometheus(provider);
    case 'cloudWatch':
      // Its client is large, and few need it.
      return async (question) => (await import('./cloudwatch.js')).askCloudWatch(provider)(question);
    case 'webhook':
      return askWebhook(provider);
    case 'smoke':
      return askSmoke(provider);
  }
}

function unknownProvider({ provider }: NormalMetricGate): Ask {
  return () => Promise.resolve({ kind: 'provider-error', reason: `there is no provider ${provider}` });
}

async function judgeGate(
  input: JudgeInput,
  gate: NormalMetricGate,
  ask: Ask,
  before: GateState | null,
): Promise<{ verdict: GateVerdict; state: GateState }> {
  const { at } = input;
  const baseline = await baselineOf(input, gate, ask, before);
  const look = await lookAround(input, gate, ask, baseline);
  const kept = baseline !== null && !('verdict' in baseline) ? baseline : null;
  const { state, decision, words } = fold(gate, look, at, before, kept);
  const { verdict, figures, explanation } = look;
  const { name, onFailure } = gate;
  return {
    verdict: {
      gate: name,
      ...{ verdict, decision, onFailure, figures },
      explanation: `${explanation}${words}`.slice(0, MOST_WORDS),
      breachMs: state.breachMs,
    },
    state,
  };
}

/** Verdicts go into histories; what a provider says of itself may be long. */
const MOST_WORDS = 600;

/** As far back as needed: a quiet service has too few samples in one window, and enough since the step began. */
async function lookAround(
  { at, since, subject }: JudgeInput,
  gate: NormalMetricGate,
  ask: Ask,
  baseline: Reference | Lack | null,
): Promise<Look> {
  const name = subject.blue === null ? 'now' : 'green';
  const { blue: other } = subject;
  const took = Date.now();
  for (let window = gate.window; ; window *= WIDER) {
    const range: TimeRange = { from: Math.max(since, at - window), to: at };
    const asked = (side: SubjectSide, called: string): Promise<Evidence> => ask({ gate, side, name: called, range });
    const [green, blue] = await Promise.all([
      range.to > range.from ? asked(subject.green, name) : justBegun(),
      gate.limit.relativeToBlue === null || other === null ? null : asked(other, 'blue'),
    ]);
    const look = judgeLook(gate, { name, green, blue, baseline });
    const samples = look.figures?.samples ?? 0;
    const wider = look.verdict === 'insufficient' && samples > 0 && range.from > since;
    if (!wider || window > gate.window * WIDEST || Date.now() - took > PATIENCE_MS) return look;
  }
}

const WIDER = 4;
/** Of the gate's window: two hours of 2 minutes. */
const WIDEST = WIDER ** 2;
/** The activity has to answer while its step still wants to know. */
const PATIENCE_MS = 15_000;

function justBegun(): Promise<Evidence> {
  return Promise.resolve({ kind: 'no-data', reason: 'the step has just begun' });
}

/** Measured once, then kept: after days of watching, nobody has the figures of before the shift any more. */
async function baselineOf(
  { baseline, subject }: JudgeInput,
  gate: NormalMetricGate,
  ask: Ask,
  before: GateState | null,
): Promise<Reference | Lack | null> {
  if (gate.limit.relativeToBaseline === null) return null;
  if (before?.baseline != null) return before.baseline;
  if (baseline === null) return null;
  const evidence = await ask({ gate, side: subject.blue ?? subject.green, name: 'baseline', range: baseline });
  const estimate = estimateOf(gate, evidence);
  return 'verdict' in estimate ? estimate : referenceOf(estimate);
}
