/** Why a message changes nothing: the same words for the update that is refused at once and the signal that is noted. */
import type { Message, MessageName } from '../spec/messages.js';
import { applySetting } from '../spec/settable.js';
import type { MigrationState, UnitProgress } from './state.js';
import { problemOfUnit } from './status.js';

/** Who listens: a whole migration, a phase that its migration started or a person started alone, a reconciliation. */
export type Audience = 'migration' | 'child' | 'alone' | 'reconciliation';

const PHASES_TAKE: readonly MessageName[] = ['pause', 'resume', 'abort', 'set', 'approve', 'promote', 'setWeight'];
const RECONCILIATIONS_TAKE: readonly MessageName[] = ['pause', 'resume', 'abort', 'retry'];

export function refusal<N extends MessageName>(
  state: MigrationState,
  audience: Audience,
  name: N,
  message: Message<N>,
): string | null {
  if (state.ended !== null) return `it has ended: ${state.ended}`;
  if (audience === 'reconciliation') {
    if (!RECONCILIATIONS_TAKE.includes(name)) return `a reconciliation doesn't take ${name}`;
  } else if (audience !== 'migration' && !PHASES_TAKE.includes(name)) {
    return `a single phase doesn't take ${name}; its migration does`;
  }
  return unknownUnit(state, message.unit) ?? REASONS[name](state, message, audience);
}

type Reasons = {
  [N in MessageName]: (state: MigrationState, message: Message<N>, audience: Audience) => string | null;
};

const REASONS: Reasons = {
  pause: (state, message) => asAWhole(state, message.unit),
  resume: (state, message) =>
    state.paused ? asAWhole(state, message.unit) : 'it is not paused; a step that needs attention goes on by `retry`',
  abort: (state, message) => noWayBack(state) ?? asAWhole(state, message.unit),
  rollback: (state, message) => noWayBack(state) ?? nothingToRollBack(state) ?? asAWhole(state, message.unit),
  switch: (state, message) =>
    state.rolledBack
      ? asAWhole(state, message.unit)
      : 'the writes are not rolled back; what waits for a gate goes on by `approve`',
  retry: (state, message) => nothingToRetry(state, message.unit),
  rehearse: (state, message) => noRehearsal(state, message.unit),
  promote: (state, message) => notShifting(state, message.unit),
  setWeight: (state, message) => notShifting(state, message.unit),
  approve: (state, message, audience) => noApproval(state, message, audience),
  set: (state, message) => {
    if (state.normal === null) return NOT_READ_YET;
    const applied = applySetting(state.normal, message.path, message.value);
    return applied.ok ? null : applied.error;
  },
};

const NOT_READ_YET = 'the specification has not been read yet; try again in a moment';

function unknownUnit(state: MigrationState, unit: string | undefined): string | null {
  if (unit === undefined || state.units.some((known) => known.unit === unit)) return null;
  const known = state.units.map((progress) => progress.unit).join(', ');
  return state.units.length === 0 ? NOT_READ_YET : `there is no unit ${unit}; there is ${known}`;
}

/** All of it or none: units of one migration pause, switch and go back together. */
function asAWhole(state: MigrationState, unit: string | undefined): string | null {
  if (unit === undefined || state.units.length === 1) return null;
  return `a migration of ${state.units.length} units does this as a whole: leave the unit out`;
}

function noWayBack(state: MigrationState): string | null {
  if (state.finalizing) return 'finalize has begun, which has no way back';
  const lost = state.units.find(({ wayBack }) => wayBack !== 'open');
  return lost === undefined
    ? null
    : `the way back of ${lost.unit} is lost: the source lacks what was written since, and nothing can bring it there. The target takes the writes, and has all of them; \`retry\` goes on to finalize`;
}

function nothingToRollBack(state: MigrationState): string | null {
  if (state.undoing === 'everything' || state.interrupt?.kind === 'abort') return 'everything is being undone already';
  if (state.undoing === 'switch' || state.interrupt?.kind === 'rollback') return 'it is rolling back already';
  if (state.rolledBack) return 'it is rolled back already: `switch` goes forward again, `abort` undoes everything';
  const switched = state.units.some(({ switchBegan }) => switchBegan);
  return switched ? null : 'nothing has been switched; use `abort` to undo what was prepared';
}

function nothingToRetry(state: MigrationState, unit: string | undefined): string | null {
  const failed = state.units.filter((progress) => problemOfUnit(progress) !== null);
  if (unit === undefined) return state.problem !== null || failed.length > 0 ? null : 'nothing needs attention';
  return failed.some((progress) => progress.unit === unit) ? null : `${unit} needs no attention`;
}

function noRehearsal(state: MigrationState, unit: string | undefined): string | null {
  if (state.normal === null) return NOT_READ_YET;
  if (state.undoing !== 'nothing' || state.interrupt !== null) return 'it is being undone';
  if (state.finalizing) return 'finalize has begun';
  const asked = state.units.filter((progress) => unit === undefined || progress.unit === unit);
  if (asked.every(({ traffic }) => traffic !== undefined)) return 'traffic has no rehearsal: its first step is one';
  const switched = asked.find((progress: UnitProgress) => progress.switchBegan);
  return switched === undefined ? null : `${switched.unit} is already switching or switched`;
}

function notShifting(state: MigrationState, unit: string | undefined): string | null {
  const units = state.units.filter((progress) => progress.traffic !== undefined);
  const asked = units.filter((progress) => unit === undefined || progress.unit === unit);
  const [only, ...more] = asked;
  if (only === undefined) return unit === undefined ? 'it moves no traffic' : `${unit} moves no traffic`;
  if (more.length > 0) return `name the unit that is meant: ${asked.map((one) => one.unit).join(', ')}`;
  if (state.undoing !== 'nothing' || state.interrupt !== null) return 'it is being undone';
  if (only.primary === 'target') return `all traffic of ${only.unit} is at green already; \`rollback\` moves it back`;
  return only.switchBegan ? null : `the traffic of ${only.unit} isn't moving yet`;
}

function noApproval(state: MigrationState, message: Message<'approve'>, audience: Audience): string | null {
  if (state.normal === null) return NOT_READ_YET;
  if (state.undoing === 'everything' || state.interrupt?.kind === 'abort') return 'everything is being undone';
  const gate = state.normal.gates.find(({ id }) => id === message.gate);
  if (gate === undefined) {
    const known = state.normal.gates.map(({ id }) => id).join(', ');
    return `there is no gate ${message.gate}; ${known === '' ? 'there is none' : `there is ${known}`}`;
  }
  if (gate.approvals === 0) return `the gate ${gate.id} is off`;
  if (state.gates[gate.id]?.passed === true) return `the gate ${gate.id} has been passed`;
  if (message.confirm !== state.normal.name) {
    return `to confirm, type the name of the migration: ${state.normal.name}`;
  }
  // A phase that runs alone has no plan to bind to.
  if (audience !== 'migration') return null;
  if (state.planDigest === null) return 'there is no plan yet to approve; try again once preflight is done';
  if (message.digest !== undefined && message.digest !== state.planDigest) {
    return `that approves the plan ${message.digest}; the plan of this migration is ${state.planDigest}`;
  }
  return null;
}
