/** Telling a process from a later one that happens to have its number. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface ProcessIdentity {
  pid: number;
  /** When it started, in whatever form the system says it. */
  startedAt: string;
}

/** Null: no such process runs. */
export function identityOf(pid: number): ProcessIdentity | null {
  const startedAt = process.platform === 'linux' ? startOnLinux(pid) : startByPs(pid);
  return startedAt === null ? null : { pid, startedAt };
}

export function runs(identity: ProcessIdentity): boolean {
  return identityOf(identity.pid)?.startedAt === identity.startedAt;
}

/** proc(5): field 3 is the state, field 22 the start in clock ticks since boot; both after the name's last bracket. */
function startOnLinux(pid: number): string | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    const [state, start] = [fields[0], fields[19]];
    // A zombie has ended; in a container without an init nobody collects it.
    return state === 'Z' || state === 'X' || start === undefined ? null : start;
  } catch {
    return null;
  }
}

function startByPs(pid: number): string | null {
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || null;
  } catch {
    return null;
  }
}
