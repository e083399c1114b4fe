/** One plan from the parts of its units: in order, numbered, with its gates, and with the digest that approvals bind to. */
import { createHash } from 'node:crypto';
import { stringify } from 'safe-stable-stringify';
import type { Finding } from '../../spec/findings.js';
import { gateOf } from '../../spec/approvals.js';
import { order } from '../../spec/graph.js';
import { unitsOf, type NormalMigration } from '../../spec/normal.js';
import type { Plan, PlanFacts, PlanStep } from '../../spec/plan.js';
import { STAGES } from '../../spec/units.js';
import type { PlanPart } from '../contract.js';
import { failure } from '../failure.js';

export async function assemblePlan(input: { normal: NormalMigration; parts: PlanPart[] }): Promise<Plan> {
  const { normal } = input;
  const parts = inOrder(normal, input.parts);
  const steps = numbered(normal, parts);
  const facts = parts.map((part) => part.facts);
  return Promise.resolve({
    version: 1,
    name: normal.name,
    digest: digestOf(normal, steps, facts),
    spec: normal,
    facts,
    steps,
    findings: parts.flatMap((part) => bySeverity(part.findings)),
  });
}

function inOrder(normal: NormalMigration, parts: PlanPart[]): PlanPart[] {
  return order(unitsOf(normal)).map((unit) => {
    const part = parts.find(({ facts }) => facts.unit === unit);
    if (part === undefined) throw failure('InvalidSpec', `the plan has no part for ${unit}; each unit needs one`);
    return part;
  });
}

/** Stage by stage; within one, the units in the order of the graph. A gate stands at the first step that waits for it. */
function numbered(normal: NormalMigration, parts: PlanPart[]): PlanStep[] {
  const met = new Set<string>();
  return STAGES.flatMap((stage) => parts.flatMap((part) => part.steps.filter((step) => step.stage === stage))).map(
    (step, index) => {
      const gate = gateOf(normal.gates, step.stage, step.unit)?.id ?? null;
      const first = gate !== null && !met.has(gate);
      if (gate !== null) met.add(gate);
      return { ...step, seq: index + 1, gate: first ? gate : null };
    },
  );
}

/**
 * sha256 over what a person agrees to: the spec, the steps without estimates, and which systems with which tables.
 * Sizes and estimates change by the minute, and findings with them, so they are left out.
 */
function digestOf(spec: NormalMigration, steps: PlanStep[], facts: PlanFacts[]): string {
  const agreed = {
    spec,
    steps: steps.map(({ seq, unit, stage, title, touches, undo, gate }) => ({
      seq,
      unit,
      stage,
      title,
      touches,
      undo,
      gate,
    })),
    systems: facts.map((one) =>
      'found' in one
        ? one
        : {
            unit: one.unit,
            source: one.source.systemIdentifier,
            target: one.target.systemIdentifier,
            schemaSignature: one.schemaSignature,
          },
    ),
  };
  return createHash('sha256').update(stringify(agreed)).digest('hex');
}

function bySeverity(findings: Finding[]): Finding[] {
  const rank = { error: 0, warning: 1, info: 2 } as const;
  return [...findings].sort((one, other) => rank[one.severity] - rank[other.severity]);
}
