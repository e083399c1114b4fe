import { analysisOf, type Analysis, type JudgedPlace } from '../spec/analysis.js';
import { BASELINE_WINDOW, type NormalMetricGate } from '../spec/gates.js';
import type { NormalMigration } from '../spec/normal.js';
import type { UnitRef } from '../spec/units.js';
import { invalid } from './phase.js';
import { lightActivities } from './proxies.js';
import { reading } from './reading.js';

/**
 * Input: `{document, migration?, at?, since?}`, both in milliseconds since the epoch. Asks the judge once at every gate,
 * as if its step had begun at `since`, and moves nothing. One look: what breaches now fails, however short.
 */
export async function analyze(input: unknown): Promise<Analysis> {
  const at = timeIn(input, 'at') ?? Date.now();
  return reading(input, async (control, normal) => {
    const judged = placesOf(normal);
    if (judged.length === 0)
      throw invalid('the specification has no gates to judge: no watch.gates, no cutover.probation');
    const longest = Math.max(...judged.flatMap(({ gates }) => gates.map(({ window }) => window)));
    const since = timeIn(input, 'since') ?? at - longest;
    const places = await Promise.all(
      judged.map(async ({ unit, place, gates }): Promise<JudgedPlace> => {
        const answer = await control.step(() =>
          lightActivities().judge({
            migration: control.state.migration,
            unit,
            gates: gates.map((gate) => ({ ...gate, sustained: 0, consecutive: 1 })),
            providers: normal.metrics ?? [],
            subject: { green: { labels: {} }, blue: null },
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

interface Gates {
  unit: UnitRef;
  place: string;
  gates: NormalMetricGate[];
}

function placesOf({ databases }: NormalMigration): Gates[] {
  const places = databases.flatMap(({ unit, cutover, watch }): Gates[] => [
    { unit, place: 'cutover.probation', gates: cutover.probation?.gates ?? [] },
    { unit, place: 'watch.gates', gates: watch.gates ?? [] },
  ]);
  return places.filter(({ gates }) => gates.length > 0);
}

function timeIn(input: unknown, name: 'at' | 'since'): number | null {
  if (typeof input !== 'object' || input === null) return null;
  const value = (input as Record<string, unknown>)[name];
  if (value === undefined || value === null) return null;
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw invalid(`expected ${name} in milliseconds since the epoch`);
  return value;
}
