/** What `analyze` answers: one look of the judge at every gate of a specification, without moving anything. */
import { overallOf, type Decision, type GateVerdict } from './verdict.js';
import type { UnitRef } from './units.js';

export interface Analysis {
  overall: Decision;
  /** When it was looked, and from when on something was evidence; ISO 8601. */
  at: string;
  since: string;
  places: JudgedPlace[];
}

/** One list of gates. */
export interface JudgedPlace {
  unit: UnitRef;
  /** As in the file, below the unit: `watch.gates`. */
  place: string;
  verdicts: GateVerdict[];
}

export function analysisOf(at: number, since: number, places: JudgedPlace[]): Analysis {
  return {
    overall: overallOf(places.flatMap(({ verdicts }) => verdicts)),
    at: new Date(at).toISOString(),
    since: new Date(since).toISOString(),
    places,
  };
}
