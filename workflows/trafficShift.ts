/**
 * Moves the traffic of one unit to green, step by step: writes a weight, waits until it can have taken effect, looks at a rhythm,
 * and goes on once the step was well for long enough. What is bad puts everybody back at once. For weeks if need be, so as a
 * child it continues as new.
 */
import {
  allHandlersFinished,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  workflowInfo,
} from '@temporalio/workflow';
import type { TrafficMove } from '../activities/traffic-contract.js';
import type { Milliseconds, NormalGate } from '../spec/normal.js';
import type { TrafficStep } from '../spec/normal-traffic.js';
import { trafficMoveOf, unitPhase, type PhaseInput, type UnitPhase } from './phase.js';
import { ofTraffic } from './saga.js';
import type { GateState, TrafficProgress } from './state.js';
import { trafficStatus } from './status.js';
import { shiftSignal } from './traffic-messages.js';
import {
  attachGreen,
  backToBlue,
  capture,
  imageOf,
  lookAt,
  moveWeight,
  progressOf,
  settleWeight,
  type Wheel,
} from './traffic.js';
import { failed } from './trip.js';

export type ShiftInput = PhaseInput & {
  /** How far its migration, or an earlier run, has come. */
  traffic?: TrafficProgress;
  /** Of steps that people approve; some may have done so before. */
  gates?: Record<string, GateState>;
};

/** `breached`: the traffic is back at blue. */
export type ShiftOutcome = { kind: 'shifted'; traffic: TrafficProgress } | { kind: 'breached'; why: string };

/** About a hundred looks. */
const LONG_HISTORY = 2_000;

export async function trafficShift(input: ShiftInput): Promise<ShiftOutcome> {
  return unitPhase(input, { type: 'traffic', stage: 'switch' }, async (running) => {
    const { control, unit, normal, saga } = running;
    if (input.traffic !== undefined) unit.traffic = input.traffic;
    Object.assign(control.state.gates, input.gates);
    const wheel: Wheel = {
      control,
      unit,
      move: (): TrafficMove => trafficMoveOf(control.state.migration, normal(), unit.unit),
      tell: () => tell(running),
    };
    if (saga !== null) {
      await capture(wheel);
      saga.record(ofTraffic(wheel.move(), imageOf(wheel)), 'attachGreen');
      await attachGreen(wheel);
    }
    unit.switchBegan = true;
    return new Shift(running, wheel).run();
  });
}

async function tell({ control, unit, saga }: UnitPhase): Promise<void> {
  control.touched();
  const { parent } = workflowInfo();
  if (saga !== null || parent === undefined || unit.traffic === undefined) return;
  const report = { unit: unit.unit, traffic: trafficStatus(unit.traffic), note: unit.note };
  await getExternalWorkflowHandle(parent.workflowId).signal(shiftSignal, report);
}

class Shift {
  /** Since the last look that was well. */
  #idle: Milliseconds = 0;
  #wasWell = true;
  /** What its migration knows, but for figures. */
  #told = '';

  constructor(
    readonly phase: UnitPhase,
    readonly wheel: Wheel,
  ) {}

  get #steps(): TrafficStep[] {
    return this.wheel.move().traffic.steps;
  }

  async run(): Promise<ShiftOutcome> {
    const { wheel } = this;
    const progress = progressOf(wheel);
    await settleWeight(wheel);
    for (;;) {
      await this.#takeHand();
      const step = this.#steps[progress.step];
      if (step === undefined) return { kind: 'shifted', traffic: progress };
      if (!progress.byHand && progress.weight !== step.weight && this.#mayBegin(step)) {
        await moveWeight(wheel, step.weight, `step ${progress.step + 1} of ${this.#steps.length}`, null);
      }
      const breach = await this.#hold(step);
      if (breach !== null) return breach;
      await this.#continueIfLong();
    }
  }

  /** One wait and one look; answers only what ends the shift. */
  async #hold(step: TrafficStep): Promise<ShiftOutcome | null> {
    const { control, unit } = this.wheel;
    const progress = progressOf(this.wheel);
    const { every, stall } = this.wheel.move().traffic;
    const isHeld = progress.byHand || progress.waitsFor !== null;
    const left = step.hold - progress.held;
    // What is left of the hold is slept alone after a good look: without evidence it would be looked at without a pause.
    const atRhythm = isHeld || !this.#wasWell || left <= 0;
    const slept = await control.doze(atRhythm ? every : Math.min(every, left));
    if (progress.hand !== null) return null;
    const seen = await lookAt(this.wheel, step.gates);
    this.#wasWell = seen.kind === 'well';
    if (seen.kind === 'breach') {
      if (seen.then === 'hold') throw failed('TrafficBreached', seen.why);
      await backToBlue(this.wheel, seen.why, null);
      return { kind: 'breached', why: seen.why };
    }
    unit.note = seen.kind === 'unknown' ? `holds: ${seen.why}` : null;
    this.#idle = seen.kind === 'well' || isHeld ? 0 : this.#idle + slept;
    if (this.#idle >= stall)
      throw failed('Blocked', `no step could be judged for ${this.#idle / 1_000} s: ${seen.why}`);
    if (seen.kind === 'well') progress.held += slept;
    if (seen.kind === 'well' && !isHeld && progress.held >= step.hold)
      Object.assign(progress, { held: 0, step: progress.step + 1 });
    await this.#tellNews();
    return null;
  }

  /** Figures change with every look, and each report is an event of the migration's history. */
  async #tellNews(): Promise<void> {
    const { step, waitsFor, byHand, verdicts } = progressOf(this.wheel);
    const { note } = this.wheel.unit;
    const news = JSON.stringify({ step, waitsFor, byHand, verdicts, note }).replaceAll(/[\d.–]+/g, '#') + String(step);
    if (news !== this.#told) await this.wheel.tell();
    else this.wheel.control.touched();
    this.#told = news;
  }

  /** Whether nobody has to approve the step, or enough have. */
  #mayBegin({ weight }: TrafficStep): boolean {
    const { control, unit } = this.wheel;
    const progress = progressOf(this.wheel);
    const isOwn = (gate: NormalGate): boolean => gate.unit === unit.unit && gate.step === weight;
    const gates = control.state.normal?.gates.filter(isOwn) ?? [];
    control.reach(gates);
    const mayBegin = control.passed(gates);
    progress.waitsFor = mayBegin ? null : (gates[0]?.id ?? null);
    return mayBegin;
  }

  /** What a person has asked for since the last look. */
  async #takeHand(): Promise<void> {
    const progress = progressOf(this.wheel);
    const { hand } = progress;
    progress.hand = null;
    if (hand === null) return;
    const why = hand.reason ?? 'by hand';
    if (hand.kind === 'weight') {
      Object.assign(progress, { byHand: true, waitsFor: null });
      if (hand.weight !== progress.weight) await moveWeight(this.wheel, hand.weight, why, hand.by);
      return;
    }
    const weight = progress.weight ?? 0;
    const next = this.#steps.findIndex((step) => step.weight > weight);
    const last = this.#steps.length - 1;
    const step = next < 0 ? last + 1 : hand.full ? last : next;
    Object.assign(progress, { byHand: false, held: 0, step });
  }

  async #continueIfLong(): Promise<void> {
    const { control, saga, unit, normal } = this.phase;
    if (saga !== null || workflowInfo().historyLength < LONG_HISTORY || progressOf(this.wheel).hand !== null) return;
    await condition(allHandlersFinished);
    const { migration, gates } = control.state;
    const carried = unit.traffic === undefined ? {} : { traffic: unit.traffic };
    await continueAsNew<typeof trafficShift>({ migration, normal: normal(), gates, ...carried });
  }
}
