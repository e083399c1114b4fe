/** The activity `preflightTraffic`. */
import type { Finding } from '../../../spec/findings.js';
import type { TrafficMove } from '../../traffic-contract.js';
import { albMove } from '../alb/change.js';
import { recordMove } from '../route53/change.js';
import { examineAlb } from './alb.js';
import { findingOf } from './look.js';
import { examineRecords } from './records.js';

const SEVERITIES: Finding['severity'][] = ['error', 'warning', 'info'];

/** Reads only. Errors come first. */
export async function preflightTraffic(move: TrafficMove): Promise<Finding[]> {
  const { route } = move.traffic;
  const found =
    route.kind === 'alb' ? await examineAlb(albMove(move, route)) : await examineRecords(recordMove(move, route));
  const findings = found.map((one) => findingOf(move, one));
  return SEVERITIES.flatMap((severity) => unique(findings.filter((one) => one.severity === severity)));
}

/** What refuses one call refuses others in the same words. */
function unique(findings: Finding[]): Finding[] {
  const seen = new Set<string>();
  return findings.filter(({ id, evidence }) => {
    const key = `${id} ${evidence}`;
    const first = !seen.has(key);
    seen.add(key);
    return first;
  });
}
