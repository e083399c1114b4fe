/** What the checks of traffic report, and how what went wrong becomes a finding. */
import { ApplicationFailure } from '@temporalio/common';
import type { Finding } from '../../../spec/findings.js';
import type { Found, Rules } from '../../preflight/check.js';
import type { TrafficMove } from '../../traffic-contract.js';
import {
  ACCESS_RULES,
  ALB_RULES,
  CERTIFICATE_RULES,
  RECORD_RULES,
  type AccessId,
  type AlbId,
  type CertificateId,
  type RecordId,
} from './rules.js';

export type TrafficId = AccessId | AlbId | CertificateId | RecordId;

const RULES: Rules<TrafficId> = { ...ACCESS_RULES, ...ALB_RULES, ...CERTIFICATE_RULES, ...RECORD_RULES };

export function findingOf({ traffic }: TrafficMove, { id, evidence, repair }: Found<TrafficId>): Finding {
  const { severity, title } = RULES[id];
  return { id, severity, unit: traffic.unit, side: 'endpoint', title, evidence, repair };
}

/** Those failures that are findings wherever they happen. */
const EVERYWHERE: Partial<Record<string, TrafficId>> = {
  AuthenticationFailed: 'aws-credentials',
  PermissionDenied: 'aws-permission',
  AwsUnavailable: 'aws-unreachable',
  AwsRefused: 'aws-unreachable',
  DnsUnavailable: 'dns-unreachable',
};

/** What `look` found; what keeps it from looking is a finding, too, by the type of the failure. */
export async function looked<T>(
  look: () => Promise<T>,
  found: Found<TrafficId>[],
  by: Partial<Record<string, TrafficId>>,
): Promise<T | null> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof ApplicationFailure)) throw error;
    const id = by[error.type ?? ''] ?? EVERYWHERE[error.type ?? ''];
    if (id === undefined) throw error;
    found.push({ id, evidence: error.message, repair: [RULES[id].mend] });
    return null;
  }
}
