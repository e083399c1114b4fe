import { patched } from '@temporalio/workflow';
import type { CertificateSummary } from '../spec/status.js';
import { phase, type PhaseInput } from './phase.js';
import { bulkActivities } from './proxies.js';

/** Compares both sides under live writes. A difference or a broken rule is an answer, not a failure: the caller judges it. */
export async function validation(input: PhaseInput): Promise<CertificateSummary> {
  return phase(input, { stage: 'prepare', steps: [] }, async ({ control, move }) => {
    const bulk = bulkActivities(move().database.taskQueues);
    const certificate = await control.step(() => bulk.validate(move()));
    if (certificate.verdict !== 'equal') return certificate;
    if (patched('references')) await control.step(() => bulk.checkReferences(move()));
    if (move().database.validation.rules === undefined || !patched('business-rules')) return certificate;
    const rules = await control.step(() => bulk.checkRules(move()));
    return { ...certificate, rules };
  });
}
