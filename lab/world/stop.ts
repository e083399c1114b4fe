/** Ends the processes of a lab, also those that another process started. */
import { setTimeout as sleep } from 'node:timers/promises';
import { runs, type ProcessIdentity } from './process-identity.js';
import type { ComponentState } from './state.js';

/** Clients first, then what they talk to. */
const ORDER: ComponentState['kind'][] = ['load', 'prometheus', 'traffic', 'moto', 'pgbouncer', 'postgres', 'temporal'];
/** The orderly end: for Postgres a fast shutdown, which cuts its clients. */
const SIGNAL: Record<ComponentState['kind'], NodeJS.Signals> = {
  load: 'SIGTERM',
  prometheus: 'SIGTERM',
  traffic: 'SIGTERM',
  moto: 'SIGTERM',
  pgbouncer: 'SIGTERM',
  postgres: 'SIGINT',
  temporal: 'SIGTERM',
};
/** A fast shutdown writes a checkpoint: 1 s after the demo's load. */
const GRACE_MS = 20_000;

export async function stopAll(components: ComponentState[]): Promise<void> {
  for (const kind of ORDER) {
    const some = components.filter((component) => component.kind === kind);
    await Promise.all(some.flatMap(({ process: identity }) => (identity ? [stop(identity, SIGNAL[kind])] : [])));
  }
}

/** Without waiting: for when we are ending ourselves. Postgres recovers at its next start. */
export function cutAll(components: ComponentState[]): void {
  for (const { process: identity, kind } of components) {
    // SIGKILL on the postmaster would leave its children and shared memory to themselves.
    if (identity && runs(identity)) signal(identity, kind === 'postgres' ? 'SIGQUIT' : 'SIGKILL');
  }
}

async function stop(identity: ProcessIdentity, orderly: NodeJS.Signals): Promise<void> {
  if (!runs(identity)) return;
  signal(identity, orderly);
  const deadline = performance.now() + GRACE_MS;
  while (runs(identity)) {
    if (performance.now() > deadline) signal(identity, 'SIGKILL');
    await sleep(20);
  }
}

function signal({ pid }: ProcessIdentity, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone since we looked.
  }
}
