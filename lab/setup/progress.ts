/** What set-up is doing, for a person who waits for it. */

export interface SetupStep {
  /** "installing PostgreSQL with apt" */
  title: string;
  /** How long it takes, as a person says it: "about 2.5 min". */
  expected: string;
}

export type SetupEvent = SetupStep & ({ state: 'started' } | { state: 'done' | 'failed'; tookMs: number });

export type OnProgress = (event: SetupEvent) => void;

/** Runs `work` between its `started` and its `done` or `failed`. */
export async function reported<T>(onProgress: OnProgress, step: SetupStep, work: () => Promise<T>): Promise<T> {
  const began = performance.now();
  onProgress({ ...step, state: 'started' });
  try {
    const result = await work();
    onProgress({ ...step, state: 'done', tookMs: performance.now() - began });
    return result;
  } catch (error) {
    onProgress({ ...step, state: 'failed', tookMs: performance.now() - began });
    throw error;
  }
}
