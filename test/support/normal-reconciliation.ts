/** Reconciliations as documents of a few lines are understood. */
import { normalizeReconciliation } from '../../spec/normalize-reconciliation.js';
import type { SecretReference } from '../../spec/normal.js';
import { problemText } from '../../spec/problems.js';
import type { NormalReconciliation } from '../../spec/reconciliation.js';
import type { Primary } from '../../spec/status.js';

/** @param spec on top of the two URLs */
export function normalOf(
  name: string,
  urls: Record<Primary, SecretReference>,
  spec: Record<string, unknown> = {},
): NormalReconciliation {
  const answer = normalizeReconciliation({
    apiVersion: 'godwit.dev/v1alpha1',
    kind: 'Reconciliation',
    metadata: { name: name.replaceAll('_', '-') },
    spec: { source: { url: urls.source }, target: { url: urls.target }, ...spec },
  });
  if (!answer.ok) throw new Error(answer.problems.map(problemText).join('\n'));
  return answer.normal;
}
