/**
 * The operator's hand on a workflow: takes every message (as a signal and as an update), answers the queries, and
 * gives the steps what they wait with. Handlers only note what was asked for; steps meet it at their next checkpoint.
 */
import {
  ApplicationFailure,
  CancellationScope,
  condition,
  defineQuery,
  defineSignal,
  defineUpdate,
  patched,
  setCurrentDetails,
  setDefaultSignalHandler,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import {
  MESSAGE_NAMES,
  parseMessage,
  QUERIES,
  SEARCH_ATTRIBUTES,
  type Message,
  type MessageName,
} from '../spec/messages.js';
import type { Milliseconds, NormalGate } from '../spec/normal.js';
import { applySetting } from '../spec/settable.js';
import type { MessageRecord, StatusDocument } from '../spec/status.js';
import type { UnitRef } from '../spec/units.js';
import { Interrupted } from './interrupted.js';
import { reportSignal, type LookoutReport } from './lookout-messages.js';
import { shiftSignal, type ShiftReport } from './traffic-messages.js';
import { viewsSignal, type ViewsReport } from './views-messages.js';
import { isFailureOfStep, problemOf } from './problem.js';
import { refusal, type Audience } from './refusal.js';
import type { MigrationState, TrafficProgress, UnitProgress } from './state.js';
import { detailsOf, stateOf, statusOf, validApprovals } from './status.js';

/** Newest messages kept: continue-as-new carries them all. */
const MESSAGES_KEPT = 200;
/** A reason is a sentence; what is longer would be carried along for weeks. */
const TEXT_KEPT = 500;

const STATE_KEY = defineSearchAttributeKey(SEARCH_ATTRIBUTES.state, SearchAttributeType.KEYWORD);
const STAGE_KEY = defineSearchAttributeKey(SEARCH_ATTRIBUTES.stage, SearchAttributeType.KEYWORD);

/** From a child to its migration: what is worth knowing while it goes on. */
export const noteSignal = defineSignal<[{ unit: UnitRef; note: string }]>('godwit-note');

export interface OpenChild {
  unit?: UnitRef;
  /** Name of its workflow. */
  phase?: string;
  signal(name: string, payload: unknown): Promise<void>;
}

export class Control {
  /** Steps that pause and abort may cancel. */
  readonly #cancellable = new Set<CancellationScope>();
  /** With what was told last. */
  readonly #children = new Map<OpenChild, Promise<void> | undefined>();
  /** Raised by everything that a wait may want to look at again. */
  #revision = 0;
  #published = { state: '', stage: '' };

  /** Registers every handler, so it comes first in a workflow: what was sent before the first task is taken, too. */
  constructor(
    readonly state: MigrationState,
    readonly audience: Audience,
  ) {
    setHandler(defineQuery<StatusDocument>(QUERIES.status), () => statusOf(state));
    setHandler(defineQuery<MigrationState>(QUERIES.state), () => state);
    for (const name of MESSAGE_NAMES) {
      setHandler(defineSignal<[unknown]>(name), (payload) => void this.receive(name, payload));
      setHandler(defineUpdate<MessageRecord, [unknown]>(name), (payload) => this.receive(name, payload), {
        validator: (payload) => {
          const reason = this.#refusal(name, payload);
          if (reason !== null)
            throw ApplicationFailure.create({ type: 'Refused', message: reason, nonRetryable: true });
        },
      });
    }
    setHandler(noteSignal, (said) => this.#takeNote(said));
    if (audience === 'migration') {
      setHandler(reportSignal, (report) => this.#takeReport(report));
      setHandler(shiftSignal, (report) => this.#takeShift(report));
      setHandler(viewsSignal, (report) => this.#takeViews(report));
    }
    setDefaultSignalHandler((name) => {
      this.#record({ name, by: null, reason: null, unit: null }, `refused: there is no message ${clip(name)}`);
    });
    this.publish();
  }

  // ── messages ──

  /** Notes the message and does what it asks, or notes why it changes nothing. Never throws. */
  receive(name: MessageName, payload: unknown): MessageRecord {
    const reason = this.#refusal(name, payload);
    const common = reason === null ? parseMessage(name, payload) : parseMessage('pause', payload);
    const { unit, by, reason: why } = common.ok ? common.message : {};
    const head = { name, by: clip(by), reason: clip(why), unit: clip(unit) };
    const record = this.#record(head, reason === null ? 'accepted' : `refused: ${reason}`);
    if (reason === null) this.#obey(name, payload);
    this.touched();
    return record;
  }

  /** Temporal's own Cancel means abort. */
  cancelled(): void {
    this.receive('abort', { by: 'Temporal', reason: 'the workflow was cancelled' });
  }

  #refusal(name: MessageName, payload: unknown): string | null {
    const parsed = parseMessage(name, payload);
    return parsed.ok ? refusal(this.state, this.audience, name, parsed.message) : clip(parsed.error);
  }

  #record(head: Pick<MessageRecord, 'name' | 'by' | 'reason' | 'unit'>, outcome: string): MessageRecord {
    const record: MessageRecord = { ...head, name: clip(head.name) ?? '', at: now(), outcome: clip(outcome) ?? '' };
    this.state.messageCount += 1;
    this.state.messages = [...this.state.messages, record].slice(-MESSAGES_KEPT);
    return record;
  }

  /** Rewrites what a message came to, such as the figures of a rehearsal. `seq` counts messages from 1. */
  concludeMessage(seq: number, outcome: string): void {
    const record = this.state.messages[seq - 1 - (this.state.messageCount - this.state.messages.length)];
    if (record !== undefined) record.outcome = clip(outcome) ?? '';
    this.touched();
  }

  #obey(name: MessageName, payload: unknown): void {
    switch (name) {
      case 'pause':
        this.state.paused = true;
        this.#stopSteps();
        return this.#forward('pause', payload);
      case 'resume':
        this.state.paused = false;
        return this.#forward('resume', payload);
      case 'abort':
      case 'rollback':
        return this.#interrupt(name, payload);
      case 'switch':
        this.state.rolledBack = false;
        return;
      case 'retry':
        return this.#retry(payload);
      case 'rehearse':
        return this.#rehearse(payload);
      case 'approve':
        return this.#approve(payload);
      case 'set':
        return this.#set(payload);
      case 'promote':
      case 'setWeight':
        return this.#steer(name, payload);
    }
  }

  /** A breach sends everything back: as a person's `rollback`, but users fare badly meanwhile. */
  goBack(by: string, reason: string): void {
    this.receive('rollback', { by, reason });
    if (this.state.interrupt?.kind === 'rollback') this.state.interrupt.urgent = true;
  }

  #interrupt(kind: 'abort' | 'rollback', payload: unknown): void {
    // Who asks to go back doesn't want to wait for a `resume`.
    this.state.paused = false;
    if (this.state.undoing === 'everything') return;
    const parsed = parseMessage(kind, payload);
    const { by, reason } = parsed.ok ? parsed.message : {};
    this.state.interrupt = { kind, by: clip(by), reason: clip(reason) };
    this.#stopSteps();
    this.#forward('abort', { by: by ?? undefined, reason: `the migration was asked to ${kind}` });
  }

  #retry(payload: unknown): void {
    const parsed = parseMessage('retry', payload);
    const unit = parsed.ok ? parsed.message.unit : undefined;
    if (unit === undefined) this.state.problem = null;
    for (const progress of this.state.units) {
      if (unit !== undefined && progress.unit !== unit) continue;
      if (progress.alarm !== null) this.lookouts?.(progress, true);
      if (progress.problem === null) continue;
      progress.lookNow = true;
      progress.remedyNow = progress.remedy !== 'none' || progress.problem.type === 'SchemaMismatch';
      progress.validateNow = progress.problem.type === 'ValidationDiffers';
      progress.problem = null;
    }
  }

  #rehearse(payload: unknown): void {
    const parsed = parseMessage('rehearse', payload);
    if (!parsed.ok) return;
    const asked = this.state.units.filter(
      ({ unit, traffic }) => traffic === undefined && (parsed.message.unit ?? unit) === unit,
    );
    this.state.rehearsals.push(...asked.map(({ unit }) => ({ unit, record: this.state.messageCount })));
  }

  #approve(payload: unknown): void {
    const parsed = parseMessage('approve', payload);
    if (!parsed.ok) return;
    const spec = this.state.normal?.gates.find(({ id }) => id === parsed.message.gate);
    const gate = this.state.gates[parsed.message.gate];
    if (spec === undefined || gate === undefined) return;
    const by = clip(parsed.message.by) ?? ANONYMOUS;
    const at = Date.now();
    const approval = { by, at: iso(at), expiresAt: iso(at + spec.validFor) };
    gate.approvals = [...validApprovals(gate.approvals, at).filter((other) => other.by !== by), approval];
    // A step of a shift waits in the shift.
    if (spec.step !== undefined) this.#forward('approve', { ...parsed.message, by });
  }

  #set(payload: unknown): void {
    const parsed = parseMessage('set', payload);
    if (!parsed.ok || this.state.normal === null) return;
    const applied = applySetting(this.state.normal, parsed.message.path, parsed.message.value);
    if (!applied.ok) return;
    this.state.normal = applied.normal;
    for (const unit of this.state.units) this.lookouts?.(unit, false);
    this.#forward('set', payload);
    // What copies or validates has read its limits at its start, so it starts again with the new ones.
    if (restartsStep(parsed.message)) this.#stopSteps();
  }

  /** A shift that is under way hears of it at once; one that needs attention, when it is retried. */
  #steer(name: 'promote' | 'setWeight', payload: unknown): void {
    const parsed = parseMessage(name, payload);
    if (!parsed.ok) return;
    const { unit: asked, by, reason } = parsed.message;
    const unit = this.state.units.find((one) => one.traffic !== undefined && (asked ?? one.unit) === one.unit);
    if (unit?.traffic === undefined) return;
    const child = [...this.#children.keys()].find((one) => one.unit === unit.unit);
    if (child !== undefined) return this.#tell(child, name, payload);
    const said = { by: clip(by), reason: clip(reason) };
    unit.traffic.hand =
      'weight' in parsed.message
        ? { kind: 'weight', weight: parsed.message.weight, ...said }
        : { kind: 'promote', full: 'full' in parsed.message && parsed.message.full === true, ...said };
  }

  #takeShift({ unit: ref, traffic, note }: ShiftReport): void {
    const unit = this.state.units.find((progress) => progress.unit === ref);
    if (unit?.traffic === undefined) return;
    Object.assign(unit.traffic, traffic);
    unit.note = clip(note);
    for (const { id, unit: owner, step } of this.state.normal?.gates ?? []) {
      const gate = this.state.gates[id];
      if (owner !== ref || step === undefined || gate === undefined) continue;
      gate.reached ||= traffic.waitsFor === id;
      gate.passed ||= (traffic.weight ?? 0) >= step;
    }
    this.touched();
  }

  #takeNote(said: unknown): void {
    if (typeof said !== 'object' || said === null || !('unit' in said) || !('note' in said)) return;
    const unit = this.state.units.find((progress) => progress.unit === said.unit);
    if (unit === undefined) return;
    unit.note = typeof said.note === 'string' && said.note !== '' ? clip(said.note) : null;
    this.touched();
  }

  #takeReport({ unit: ref, concern, warnings, then, stop }: LookoutReport): void {
    const unit = this.state.units.find((progress) => progress.unit === ref);
    if (unit === undefined) return;
    const since = unit.alarm?.message === concern?.message ? unit.alarm?.at : undefined;
    unit.alarm =
      concern === null
        ? null
        : { type: concern.type, message: concern.message, next: concern.next, at: since ?? now() };
    unit.warnings = warnings;
    if (then !== 'nothing') Object.assign(unit, { stale: then, certificate: null });
    // What is copied on for days would be thrown away in the end.
    for (const child of stop ? this.#children.keys() : []) {
      if (child.unit === ref && child.phase === 'initialSync') this.#tell(child, 'abort', { reason: concern?.message });
    }
    this.touched();
  }

  /** A note that holds nothing. What an earlier switch has begun may end later than the next one. */
  #takeViews({ unit: ref, side, failed }: ViewsReport): void {
    const unit = this.state.units.find((progress) => progress.unit === ref);
    if (unit === undefined || unit.primary !== side) return;
    unit.staleViews =
      failed.length === 0
        ? null
        : clip(`materialized views of the ${side} could not be refreshed after the switch: ${failed.join('; ')}`);
    this.touched();
  }

  /** Whoever looks after units before their switch, told what a person asked for. */
  lookouts: ((unit: UnitProgress, remedy: boolean) => void) | null = null;

  // ── what steps wait with ──

  /** Holds while paused; throws `Interrupted` when the operator wants to go back. Every step begins here. */
  async checkpoint(): Promise<void> {
    this.publish();
    await condition(() => this.state.interrupt !== null || !this.state.paused);
    if (this.state.interrupt !== null) throw new Interrupted();
  }

  /** Until it is so and nothing is paused. */
  async waitFor(isSo: () => boolean): Promise<void> {
    this.publish();
    await condition(() => this.state.interrupt !== null || (!this.state.paused && isSo()));
    await this.checkpoint();
  }

  /** Paused time doesn't count; a duration changed by `set` does at once. */
  async sleep(duration: () => Milliseconds): Promise<void> {
    let slept = 0;
    for (;;) {
      await this.checkpoint();
      const left = duration() - slept;
      if (left <= 0) return;
      slept += await this.#wait(left);
    }
  }

  /** Sleeps, or less if anything was said meanwhile. Answers how long it was. */
  async doze(duration: Milliseconds): Promise<Milliseconds> {
    await this.checkpoint();
    const slept = await this.#wait(duration);
    await this.checkpoint();
    return slept;
  }

  /**
   * What comes of it must not hang on the clock: after a worker died, a query may replay a timer that has fired before the
   * task that handles it has begun, and the clock then stands still; the next worker would see another time, and decide
   * otherwise. So a whole wait counts as what was asked for, and one that something ended early as less than that.
   */
  async #wait(duration: Milliseconds): Promise<Milliseconds> {
    const began = Date.now();
    const revision = this.#revision;
    const early = await condition(() => this.#revision !== revision, duration);
    return early ? Math.max(0, Math.min(Date.now() - began, duration - 1)) : duration;
  }

  /** A step that pause stops and resume starts again: what it has done, it finds in the databases. */
  async step<T>(run: () => Promise<T>): Promise<T> {
    for (;;) {
      await this.checkpoint();
      const scope = new CancellationScope({ cancellable: true });
      this.#cancellable.add(scope);
      try {
        return await scope.run(run);
      } catch (error) {
        // Whatever a step fails with after it was told to stop is its way of stopping.
        if (!scope.consideredCancelled) throw error;
      } finally {
        this.#cancellable.delete(scope);
      }
    }
  }

  /** A step that failed for good waits as `needs-attention` for retry, rollback or abort; it never fails the workflow. */
  async attempt<T>(unit: UnitProgress | null, step: () => Promise<T>): Promise<T> {
    const holder = unit ?? this.state;
    holder.problem = null;
    for (;;) {
      await this.checkpoint();
      try {
        return await step();
      } catch (error) {
        if (error instanceof Interrupted || !isFailureOfStep(error)) throw error;
        await this.checkpointIfInterrupted();
        holder.problem = problemOf(error, this.#next(unit), now());
        this.touched();
        await this.waitFor(() => holder.problem === null);
      }
    }
  }

  /** After a step that may have failed because it was told to. */
  async checkpointIfInterrupted(): Promise<void> {
    if (this.state.interrupt !== null) await this.checkpoint();
  }

  #next(unit: UnitProgress | null): string {
    if (this.audience === 'reconciliation') {
      return 'What was compared or repaired is kept, and nothing is done twice. Mend the cause, then `retry`; or `abort`';
    }
    if (this.state.finalizing) return 'This stage has no way back: mend the cause, then `retry`';
    const switched = this.state.units.some(({ switchBegan }) => switchBegan);
    const holds =
      unit?.traffic !== undefined
        ? whereTrafficIs(unit.traffic)
        : unit === null || !unit.switchBegan
          ? 'Nothing was switched: the source takes the writes'
          : `The writes are on the ${unit.primary}, as far as is known`;
    return `${holds}. Mend the cause, then \`retry\`; or \`${switched ? 'rollback' : 'abort'}\``;
  }

  /** Takes the operator's wish: from here on it is being done. */
  begin(kind: 'rollback' | 'abort'): void {
    this.state.interrupt = null;
    this.state.undoing = kind === 'abort' ? 'everything' : 'switch';
    this.state.rolledBack = false;
    this.state.problem = null;
    this.state.rehearsals = [];
    for (const unit of this.state.units) Object.assign(unit, { problem: null, alarm: null, warnings: [], note: null });
    for (const gate of Object.values(this.state.gates)) gate.reached = gate.passed;
    this.touched();
  }

  // ── gates ──

  reach(gates: NormalGate[]): void {
    for (const { id } of gates) {
      const gate = this.state.gates[id];
      if (gate !== undefined) gate.reached = true;
    }
    this.touched();
  }

  /** Passes what has enough approvals of different people, all still valid. */
  passed(gates: NormalGate[]): boolean {
    let all = true;
    for (const { id, approvals } of gates) {
      const gate = this.state.gates[id];
      if (gate === undefined || gate.passed) continue;
      gate.passed = validApprovals(gate.approvals, Date.now()).length >= approvals;
      all &&= gate.passed;
    }
    return all;
  }

  /** An approval allows one switch; after a rollback people are asked again. */
  consumeApprovals(): void {
    for (const gate of Object.values(this.state.gates))
      Object.assign(gate, { reached: false, passed: false, approvals: [] });
  }

  // ── children ──

  /** Forwards pause, resume and abort to it until it is done; what was said before it was open, too. */
  async whileOpen<T>(child: OpenChild, result: () => Promise<T>): Promise<T> {
    this.#children.set(child, undefined);
    if (this.state.paused) this.#tell(child, 'pause', {});
    if (this.state.interrupt !== null) this.#tell(child, 'abort', {});
    try {
      return await result();
    } finally {
      this.#children.delete(child);
    }
  }

  get childIsOpen(): boolean {
    return this.#children.size > 0;
  }

  #forward(name: MessageName, payload: unknown): void {
    for (const child of this.#children.keys()) this.#tell(child, name, payload);
  }

  /**
   * One after another: signals that are under way together may arrive in another order, and a `resume` before its `pause` left
   * the child paused for ever. A child that has just ended can't be told any more, and needn't. Handlers run in the root
   * scope, from which nothing can be sent any more once Temporal's Cancel came: abort would never reach the child.
   */
  #tell(child: OpenChild, name: MessageName, payload: unknown): void {
    const send = (): Promise<void> => CancellationScope.nonCancellable(() => child.signal(name, payload ?? {}));
    const told = patched('told-in-order') ? this.#children.get(child) : undefined;
    this.#children.set(
      child,
      (told?.then(send) ?? send()).catch(() => undefined),
    );
  }

  #stopSteps(): void {
    for (const scope of this.#cancellable) scope.cancel();
  }

  // ── what is shown ──

  /** Something changed that a wait may look at. */
  touched(): void {
    this.#revision += 1;
    this.publish();
  }

  publish(): void {
    this.state.updatedAt = now();
    setCurrentDetails(detailsOf(this.state));
    const shown = { state: stateOf(this.state), stage: this.state.reconciliation?.level ?? this.state.stage };
    const changed = shown.state !== this.#published.state || shown.stage !== this.#published.stage;
    if (!changed || !this.state.namespaceChecked || !LISTED.includes(this.audience)) return;
    this.#published = shown;
    upsertSearchAttributes([
      { key: STATE_KEY, value: shown.state },
      { key: STAGE_KEY, value: shown.stage },
    ]);
  }
}

/** Their states can be searched for. */
const LISTED: readonly Audience[] = ['migration', 'reconciliation'];

function whereTrafficIs({ weight, wanted }: TrafficProgress): string {
  const known = `Green has ${weight ?? 0} %`;
  return wanted === null || wanted === weight
    ? `${known} of the traffic, as was written last`
    : `${known} or ${wanted} % of the traffic: it isn't known whether the last write took effect`;
}

/** Counts as one person, however often: Temporal's UI and CLI don't say who sent a signal. */
const ANONYMOUS = 'someone';

function restartsStep({ path }: Message<'set'>): boolean {
  return /(^|\.)(copy|validation)\./.test(path);
}

export function now(): string {
  return iso(Date.now());
}

const iso = (at: number): string => new Date(at).toISOString();

function clip(text: string | undefined | null): string | null {
  if (text === undefined || text === null) return null;
  return text.length > TEXT_KEPT ? `${text.slice(0, TEXT_KEPT)}…` : text;
}
