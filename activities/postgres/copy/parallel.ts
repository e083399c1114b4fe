/** A fixed number of hands on one list. */

/**
 * Each worker takes the next item until none is left. The first failure stops the others after their current item, and is
 * thrown once they have stopped.
 * @param take removes and returns the next item this worker may do; undefined: none now, and none later
 */
export async function inParallel<W, T>(
  workers: W[],
  take: () => T | undefined,
  work: (worker: W, item: T) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  await Promise.all(
    workers.map(async (worker) => {
      for (let item = take(); item !== undefined && failures.length === 0; item = take()) {
        try {
          await work(worker, item);
        } catch (error) {
          failures.push(error);
        }
      }
    }),
  );
  if (failures.length > 0) throw failures[0];
}
