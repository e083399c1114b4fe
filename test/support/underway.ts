/** Work that a test begins now and awaits later. */

/**
 * The same promise, heard. If the test fails in between, nobody awaits it any more; its own failure would then be an error outside
 * of all tests, and the whole run with it, however well the test goes when it is tried again.
 */
export function underway<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  return work;
}
