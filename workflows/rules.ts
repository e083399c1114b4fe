/** What the user's own rules mean for a migration; null: nothing. */
import type { CertificateSummary } from '../spec/status.js';

export function brokenRules({ rules }: Pick<CertificateSummary, 'rules'>): string | null {
  if (rules === undefined || rules.broken.length === 0) return null;
  return `rules of your own are broken: ${rules.broken.join('; ')}`;
}

/** No evidence is not good evidence. */
export function unprovenRules({ rules }: Pick<CertificateSummary, 'rules'>): string | null {
  if (rules === undefined || rules.notAsked.length === 0) return null;
  return `rules of your own could not be asked, which proves nothing: ${rules.notAsked.join('; ')}`;
}
