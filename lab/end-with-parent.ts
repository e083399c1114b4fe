/**
 * For the lab's processes that are only for the one that started them: they end when it does, in whatever way. A process that was
 * killed stops nobody.
 */

const LOOK_EVERY_MS = 500;

/** In the environment of such a process: the pid of its parent. */
export const PARENT = 'LAB_PARENT';

/** Does nothing in a process that shall outlive its parent. */
export function endWithParent(): void {
  const parent = process.env[PARENT];
  if (parent === undefined) return;
  setInterval(() => {
    // An orphan gets another parent: init, or whoever reaps.
    if (process.ppid !== Number(parent)) process.exit();
  }, LOOK_EVERY_MS).unref();
}
