import { ApplicationFailure } from '@temporalio/common';

/** As Temporal does: what is retryable is tried again. */
export async function retried<T>(work: () => Promise<T>, tries = 20): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const again = !(error instanceof ApplicationFailure) || error.nonRetryable !== true;
    if (!again || tries <= 1) throw error;
    return retried(work, tries - 1);
  }
}
