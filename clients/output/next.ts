/** What a person can do now, as commands to copy. */
import type { GateStatus, StatusDocument } from '../../spec/status.js';

export function nextSteps(status: StatusDocument): string[] {
  const id = status.migration;
  switch (status.state) {
    case 'awaiting-approval':
      return openGates(status).map((gate) => approveCommand(id, gate));
    case 'paused':
      return [`godwit resume ${id}`, `godwit abort ${id}`];
    case 'needs-attention':
      return [`godwit retry ${id}`, ...rollBack(status), `godwit abort ${id}`];
    case 'rolled-back':
      return [`godwit switch ${id}`, `godwit abort ${id}`];
    case 'failed':
      // A run that failed has nothing to undo: the next one is another.
      return status.reconciliation !== undefined ? [] : [...rollBack(status), `godwit abort ${id}`];
    case 'migrated':
      return [`godwit report ${id}`];
    case 'running':
    case 'undoing':
    case 'undone':
    case 'done':
    case 'aborted':
      return [];
  }
}

/** How far it is, in two words. */
export function stageText({ stage, reconciliation }: StatusDocument): string {
  if (reconciliation === undefined) return `stage ${stage}`;
  const { level, step } = reconciliation;
  return level === null ? step : `${level}, ${step}`;
}

/** Before the first switch there is nothing to roll back, and it would be refused. */
function rollBack({ migration, units, undoLog }: StatusDocument): string[] {
  const begun = undoLog.some(
    ({ activity, state }) => (activity === 'undoSwitch' || activity === 'undoShift') && state !== 'done',
  );
  return begun || units.some(({ primary }) => primary === 'target') ? [`godwit rollback ${migration}`] : [];
}

export function openGates(status: StatusDocument): GateStatus[] {
  return status.gates.filter((gate) => gate.state === 'open');
}

export function approveCommand(id: string, gate: GateStatus): string {
  return `godwit approve ${id} ${gate.id} --confirm ${gate.confirm}`;
}
