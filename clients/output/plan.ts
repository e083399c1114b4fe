/** `godwit plan`: every step in order, what it touches, how it is undone, and how long it may take. */
import { STAGES, type Stage } from '../../spec/units.js';
import type { DatabaseFacts, Plan, PlanFacts, PlanStep } from '../../spec/plan.js';
import type { Colours } from '../terminal.js';
import { bytes, count, duration, plural, shortDigest } from './figures.js';
import { findingsText } from './findings.js';

const STAGE_MEANS: Record<Stage, string> = {
  prepare: 'long, harmless, repeatable',
  switch: 'short, guarded',
  watch: 'the way back stays open',
  finalize: 'the only stage without a way back',
};

export function planText(plan: Plan, colours: Colours, wide: boolean): string {
  const stages = STAGES.map((stage) => stageText(stage, plan.steps, colours)).filter((text) => text !== '');
  return [
    `${colours.bold(plan.name)}  ${colours.dim(`plan ${shortDigest(plan.digest)}`)}`,
    ...plan.facts.map((facts) => factsText(facts, colours)),
    ...stages,
    findingsText(plan.findings, colours, wide),
    total(plan.steps),
  ].join('\n\n');
}

function factsText(facts: PlanFacts, colours: Colours): string {
  if ('found' in facts) return `${colours.bold(facts.unit)}  ${facts.place}: ${facts.blue} → ${facts.green}`;
  const side = ({ database, serverVersion }: DatabaseFacts['source']) => `${database} (PostgreSQL ${serverVersion})`;
  return `${colours.bold(facts.unit)}  ${side(facts.source)} → ${side(facts.target)}: ${plural(facts.tables, 'table')}, about ${plural(facts.rowsEstimate, 'row')}, ${bytes(facts.bytes)}`;
}

function stageText(stage: Stage, steps: PlanStep[], colours: Colours): string {
  const own = steps.filter((step) => step.stage === stage);
  if (own.length === 0) return '';
  const lines = own.flatMap((step) => [
    ...(step.gate === null ? [] : [`  ${colours.yellow(`waits for the gate ${step.gate}`)}`]),
    `  ${String(step.seq).padStart(2)}. ${step.title}  ${colours.dim(`${step.unit} · ${estimate(step)}`)}`,
    ...step.touches.map((touched) => `      ${colours.dim('touches')} ${touched}`),
    ...(step.guards ?? []).map((guard) => `      ${colours.dim('guarded')} ${guard}`),
    step.undo === null ? `      ${colours.red("can't be undone")}` : `      ${colours.dim('undo   ')} ${step.undo}`,
  ]);
  return [`${colours.bold(stage)}  ${colours.dim(STAGE_MEANS[stage])}`, ...lines].join('\n');
}

function estimate({ estimate: { seconds, basis } }: PlanStep): string {
  if (seconds === null) return basis;
  return basis === '' ? `about ${duration(seconds * 1000)}` : `about ${duration(seconds * 1000)} (${basis})`;
}

function total(steps: PlanStep[]): string {
  const irreversible = steps.filter(({ undo }) => undo === null).length;
  const gates = new Set(steps.flatMap(({ gate }) => (gate === null ? [] : [gate])));
  const waits =
    gates.size === 0 ? 'none waits for a person' : `waits at ${plural(gates.size, 'gate')}: ${[...gates].join(', ')}`;
  return `${plural(steps.length, 'step')}, ${count(irreversible)} without a way back; ${waits}.`;
}

/** Gates that somebody has to pass before this plan is done. */
export function gatesOf(plan: Plan): string[] {
  return [...new Set(plan.steps.flatMap(({ gate }) => (gate === null ? [] : [gate])))];
}
