import type { CertificateSummary } from '../spec/status.js';
import { phase, type PhaseInput } from './phase.js';
import { bulkActivities } from './proxies.js';

/** Compares both sides under live writes. A difference is an answer, not a failure: the caller judges it. */
export async function validation(input: PhaseInput): Promise<CertificateSummary> {
  return phase(input, { stage: 'prepare', steps: [] }, async ({ control, move }) => {
    const bulk = bulkActivities(move().database.taskQueues);
    return control.step(() => bulk.validate(move()));
  });
}
