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
      return [`godwit retry ${id}`, `godwit rollback ${id}`, `godwit abort ${id}`];
    case 'rolled-back':
      return [`godwit switch ${id}`, `godwit abort ${id}`];
    case 'failed':
      return [`godwit rollback ${id}`, `godwit abort ${id}`];
    case 'migrated':
      return [`godwit report ${id}`];
    case 'running':
    case 'undoing':
    case 'undone':
      return [];
  }
}

export function openGates(status: StatusDocument): GateStatus[] {
  return status.gates.filter((gate) => gate.state === 'open');
}

export function approveCommand(id: string, gate: GateStatus): string {
  return `godwit approve ${id} ${gate.id} --confirm ${gate.confirm}`;
}
