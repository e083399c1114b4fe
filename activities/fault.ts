/**
 * Named points at which a process may die or stall. Tests drive them; in production nobody listens, and a point costs a
 * comparison.
 */
type Injector = (point: string) => void | Promise<void>;

let injector: Injector | null = null;

/** For tests: called at every point from now on. Null: no more. */
export function injectFaults(next: Injector | null): void {
  injector = next;
}

/** @param point `PHASE.STEP`, for instance `switch.cede`: reached right after that step took effect. */
export async function faultPoint(point: string): Promise<void> {
  if (injector !== null) await injector(point);
}
