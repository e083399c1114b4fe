import { analysisOf, gatesToJudge, longestWindow, type Analysis, type JudgedPlace } from '../spec/analysis.js';
import { BASELINE_WINDOW } from '../spec/gates.js';
import { invalid } from './phase.js';
import { lightActivities } from './proxies.js';
import { reading } from './reading.js';

/**
 * Input: `{document, migration?, at?, since?, unit?, step?}`, times in milliseconds since the epoch, `step` a weight in
 * percent. Asks the judge once at every gate, as if its step had begun at `since`, and moves nothing. One look: what
 * breaches now fails, however short.
 */
export async function analyze(input: unknown): Promise<Analysis> {
  const at = numberIn(input, 'at') ?? Date.now();
  return reading(input, async (control, normal) => {
    const judged = gatesToJudge(normal, { unit: textIn(input, 'unit'), step: numberIn(input, 'step') });
    if (!judged.ok) throw invalid(judged.error);
    const since = numberIn(input, 'since') ?? at - longestWindow(judged.value);
    const places = await Promise.all(
      judged.value.map(async ({ unit, place, gates, subject, taskQueue }): Promise<JudgedPlace> => {
        const answer = await control.step(() =>
          lightActivities(taskQueue ?? undefined).judge({
            migration: control.state.migration,
            unit,
            gates: gates.map((gate) => ({ ...gate, sustained: 0, consecutive: 1 })),
            providers: normal.metrics ?? [],
            subject,
            at,
            since,
            baseline: { from: since - BASELINE_WINDOW, to: since },
            state: null,
          }),
        );
        return { unit, place, verdicts: answer.gates };
      }),
    );
    return analysisOf(at, since, places);
  });
}

function numberIn(input: unknown, name: 'at' | 'since' | 'step'): number | null {
  const value = valueIn(input, name);
  if (value === null) return null;
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw invalid(`expected ${name} ${name === 'step' ? 'in percent' : 'in milliseconds since the epoch'}`);
  }
  return value;
}

function textIn(input: unknown, name: 'unit'): string | null {
  const value = valueIn(input, name);
  if (value === null) return null;
  if (typeof value !== 'string') throw invalid(`expected ${name} as TYPE/NAME, such as traffic/web`);
  return value;
}

function valueIn(input: unknown, name: string): unknown {
  if (typeof input !== 'object' || input === null) return null;
  return (input as Record<string, unknown>)[name] ?? null;
}
