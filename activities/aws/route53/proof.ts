/** Whether every name server of the zone answers with the new members, and with their shares. */
import type { ResourceRecordSet } from '@aws-sdk/client-route-53';
import { ApplicationFailure } from '@temporalio/common';
import { isDeepStrictEqual } from 'node:util';
import { cancellation, heartbeat } from '../../activity-context.js';
import { ask, type Server } from '../../dns/ask.js';
import { addressesOf, dataOf, plainName, serversNamed } from '../../dns/delegation.js';
import type { Route53Image, TrafficProof } from '../../traffic-contract.js';
import { shareText, verdictOn } from '../../binomial.js';
import type { RecordMove } from './change.js';
import { shortAddress } from './records.js';

/** Of each server: with four, a share of 10 % is known to within 5 points. */
const QUESTIONS = 100;
/** At once, of each server. */
const AT_ONCE = 5;
/** A load balancer's name shows eight of its addresses at a time. */
const ALIAS_LOOKS = 5;

interface Counted {
  /** Of the server. */
  name: string;
  green: number;
  blue: number;
  /** Answers that are neither, one of them. */
  strange: string | null;
  /** TTLs that were seen. */
  ttls: Set<number>;
  /** Null: it answered. */
  silent: string | null;
}

type Kind = 'blue' | 'green' | null;

export async function proveRecords({ route }: RecordMove, image: Route53Image, weight: number): Promise<TrafficProof> {
  const kindOf = await classifier(image, route.type);
  const wildcard = route.recordName.replace(/^\*/, 'godwit');
  const counted = await Promise.all(image.nameServers.map((name) => count(name, wildcard, route.type, kindOf)));
  const green = sum(counted.map((one) => one.green));
  const seen = green + sum(counted.map((one) => one.blue));
  const proof = (verdict: TrafficProof['verdict'], explanation: string) => ({ verdict, seen, green, explanation });

  const ttl = ttlWanted(image, route.ttl / 1_000);
  const stale = counted.flatMap((one) => complaint(one, ttl, weight));
  if (stale.length > 0) return proof('differs', stale.join('; '));
  const silent = counted.flatMap((one) => (one.silent === null ? [] : [one.silent]));
  if (silent.length > 0) return proof('insufficient', silent.join('; '));
  if (seen === 0) return proof('insufficient', 'no name server gave an answer that belongs to blue or green');
  const servers = `${counted.length} name ${counted.length === 1 ? 'server' : 'servers'}`;
  return proof(
    verdictOn(green, seen, weight / 100),
    `answers of ${servers} for green: ${shareText(green, seen)}; the weight is ${weight} %`,
  );
}

/** Null: aliases have the TTL of what they stand for, so it tells nothing. */
const ttlWanted = ({ blue, green }: Route53Image, seconds: number): number | null =>
  blue.AliasTarget === undefined && green.AliasTarget === undefined ? seconds : null;

/** What shows that one server doesn't have the new records yet. */
function complaint(one: Counted, ttl: number | null, weight: number): string[] {
  const { name, blue, green, strange, ttls } = one;
  if (strange !== null) return [`${name} answers ${strange}, which is neither blue nor green`];
  const old = [...ttls].filter((seen) => ttl !== null && seen !== ttl);
  if (old.length > 0) return [`${name} still answers with a TTL of ${old.join(', ')} s, not ${ttl} s`];
  if (verdictOn(green, green + blue, weight / 100) !== 'differs') return [];
  return [`${name} answers for green: ${shareText(green, green + blue)}; the weight is ${weight} %`];
}

async function count(name: string, record: string, type: 'A' | 'AAAA' | 'CNAME', kindOf: (data: string[]) => Kind) {
  const counted: Counted = { name, green: 0, blue: 0, strange: null, ttls: new Set(), silent: null };
  try {
    const [server] = await serversNamed(name);
    if (server === undefined) return { ...counted, silent: `${name} has no address` };
    let left = QUESTIONS;
    const asker = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        cancellation().throwIfAborted();
        await countOne(server, record, type, kindOf, counted);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, asker));
    heartbeat();
    return counted;
  } catch (error) {
    if (error instanceof ApplicationFailure && error.type === 'DnsUnavailable') {
      return { ...counted, silent: error.message };
    }
    throw error;
  }
}

async function countOne(
  server: Server,
  name: string,
  type: 'A' | 'AAAA' | 'CNAME',
  kindOf: (data: string[]) => Kind,
  counted: Counted,
): Promise<void> {
  const answer = await ask(server, { name, type, recursive: false });
  const data = dataOf(answer, type);
  const kind = kindOf(data);
  if (kind === null) counted.strange ??= data.join(' ') || 'nothing';
  else counted[kind] += 1;
  for (const one of answer.answers ?? []) if (one.type === type && one.ttl !== undefined) counted.ttls.add(one.ttl);
}

async function classifier(image: Route53Image, type: 'A' | 'AAAA' | 'CNAME'): Promise<(data: string[]) => Kind> {
  const [blue, green] = await Promise.all([matcher(image.blue, type), matcher(image.green, type)]);
  return (data) => (green(data) ? 'green' : blue(data) ? 'blue' : null);
}

async function matcher(
  { ResourceRecords = [], AliasTarget }: ResourceRecordSet,
  type: 'A' | 'AAAA' | 'CNAME',
): Promise<(data: string[]) => boolean> {
  if (AliasTarget === undefined || type === 'CNAME') {
    const values = ResourceRecords.map(({ Value = '' }) => shortAddress(plainName(Value))).sort();
    return (data) => isDeepStrictEqual(data.map(shortAddress).sort(), values);
  }
  const looks = Array.from({ length: ALIAS_LOOKS }, () => addressesOf(plainName(AliasTarget.DNSName ?? ''), type));
  const known = new Set((await Promise.all(looks)).flat());
  return (data) => data.length > 0 && data.every((one) => known.has(one));
}

const sum = (numbers: number[]): number => numbers.reduce((all, one) => all + one, 0);
