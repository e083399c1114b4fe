/** Points that wait for people. */
import type { NormalGate } from './normal.js';
import type { Stage, UnitRef } from './units.js';

/** Stages that may have a gate in front, and how many approve when the file says nothing. */
export const DEFAULT_APPROVALS = { prepare: 0, switch: 1, finalize: 1 } as const;
export type GatedStage = keyof typeof DEFAULT_APPROVALS;
export const GATED_STAGES: readonly GatedStage[] = ['prepare', 'switch', 'finalize'];

/**
 * The gate in front of a unit's stage: its own, else the one of the whole stage; null: none waits.
 * A gate of one unit stands in place of its stage's gate, so that each step waits for one gate only.
 */
export function gateOf(gates: readonly NormalGate[], stage: Stage, unit: UnitRef): NormalGate | null {
  const ofStage = gates.filter((gate) => gate.stage === stage);
  const gate = ofStage.find((one) => one.unit === unit) ?? ofStage.find((one) => one.unit === null);
  return gate === undefined || gate.approvals === 0 ? null : gate;
}
