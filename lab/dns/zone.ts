/**
 * What a name server with authority for a zone answers. No I/O: what is asked, and chance, are given. Names are in small letters
 * and without the dot at the end; the root is ''.
 * https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy.html, RFC 1034 4.3.2, RFC 2308
 */
import type { Answer as AnyRecord, Question } from 'dns-packet';

/** Options (RFC 6891) look like a record, and are none. */
export type ResourceRecord = Exclude<AnyRecord, { type: 'OPT' }>;
export type RecordType = ResourceRecord['type'];

export interface Zone {
  name: string;
  sets: RecordSet[];
}

export interface RecordSet {
  name: string;
  type: RecordType;
  /** What it holds, under its own name; or a name whose records it takes as its own. */
  content: { kind: 'records'; records: ResourceRecord[] } | Alias;
  routing: { kind: 'simple' } | { kind: 'weighted'; weight: number } | { kind: 'multivalue' };
}

export interface Alias {
  kind: 'alias';
  to: string;
  evaluateHealth: boolean;
}

/** A load balancer, which alias records name. */
export interface Balancer {
  addresses: string[];
  /** Each of its target groups has a healthy target. */
  healthy: boolean;
}

export interface Surroundings {
  balancer: (dnsName: string) => Balancer | null;
  /** Addresses of name servers, for those who are sent to them. */
  addressOf: (nameServer: string) => string | null;
  random: () => number;
}

export interface Answer {
  code: 'NOERROR' | 'NXDOMAIN' | 'REFUSED';
  authoritative: boolean;
  answers: ResourceRecord[];
  authorities: ResourceRecord[];
  additionals: ResourceRecord[];
}

/** Of alias records to load balancers: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-values-alias.html */
const BALANCER_TTL = 60;
/** A multivalue answer has at most so many: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy-multivalue.html */
const MOST_VALUES = 8;
/** RFC 1034 knows no bound; a chain of names in one zone is short. */
const LONGEST_CHAIN = 8;

export const REFUSED: Answer = {
  code: 'REFUSED',
  authoritative: false,
  answers: [],
  authorities: [],
  additionals: [],
};

/** The zone that knows most about a name. */
export function zoneOf<Z extends { name: string }>(zones: readonly Z[], name: string): Z | null {
  const above = zones.filter((zone) => isWithin(name, zone.name));
  return above.sort((a, b) => b.name.length - a.name.length)[0] ?? null;
}

export function answerFrom(zone: Zone, { name, type }: Pick<Question, 'name' | 'type'>, around: Surroundings): Answer {
  const answers: ResourceRecord[] = [];
  let at = name;
  for (let hops = 0; hops < LONGEST_CHAIN; hops += 1) {
    const cut = delegationAbove(zone, at);
    if (cut !== null && !(cut === at && type === 'DS')) return referral(zone, cut, answers, around);
    const found = namesake(zone, at);
    if (found === null) return { ...empty(zone, answers), code: answers.length > 0 ? 'NOERROR' : 'NXDOMAIN' };
    const own = found.filter((set) => set.type === type);
    const records = choose(own, around).flatMap((set) => recordsOf(zone, set, at, around, 0));
    if (records.length > 0) return { ...empty(zone, [...answers, ...records]), authorities: [] };
    const [renamed] = choose(
      found.filter((set) => set.type === 'CNAME' && type !== 'CNAME'),
      around,
    );
    const [cname] = renamed ? recordsOf(zone, renamed, at, around, 0) : [];
    if (cname?.type !== 'CNAME') return empty(zone, answers);
    answers.push(cname);
    at = lower(cname.data);
    // Who asks goes on elsewhere.
    if (!isWithin(at, zone.name)) return { ...empty(zone, answers), authorities: [] };
  }
  return empty(zone, answers);
}

/** One of the weighted, some of the multivalue, all of the simple. */
function choose(sets: RecordSet[], around: Surroundings): RecordSet[] {
  const healthy = sets.filter((set) => isHealthy(set, around));
  // If all are unhealthy, Route 53 takes all as healthy.
  const candidates = healthy.length > 0 ? healthy : sets;
  const weighted = candidates.flatMap((set) => (set.routing.kind === 'weighted' ? [{ set, ...set.routing }] : []));
  if (weighted.length > 0) return pick(weighted, around.random).map(({ set }) => set);
  if (candidates.some(({ routing }) => routing.kind === 'multivalue')) {
    return shuffled(candidates, around.random).slice(0, MOST_VALUES);
  }
  return candidates.slice(0, 1);
}

/**
 * By weight; weight 0 is never chosen, unless all are 0: then each as often as the others.
 * https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy-weighted.html
 */
function pick<T extends { weight: number }>(members: T[], random: () => number): T[] {
  const sum = members.reduce((total, { weight }) => total + weight, 0);
  if (sum === 0) return members.slice(Math.floor(random() * members.length)).slice(0, 1);
  let point = random() * sum;
  const chosen = members.find(({ weight }) => (point -= weight) < 0);
  return chosen ? [chosen] : [];
}

function isHealthy({ content }: RecordSet, { balancer }: Surroundings): boolean {
  if (content.kind !== 'alias' || !content.evaluateHealth) return true;
  return balancer(content.to)?.healthy ?? true;
}

/** As records of `owner`, which is another name than the set's where that is a wildcard or behind an alias. */
function recordsOf(zone: Zone, set: RecordSet, owner: string, around: Surroundings, hops: number): ResourceRecord[] {
  if (set.content.kind === 'records') return set.content.records.map((record) => ({ ...record, name: owner }));
  const { to } = set.content;
  const behind = around.balancer(to);
  // The lab's load balancers have addresses of version 4 alone.
  if (behind !== null) {
    if (set.type !== 'A') return [];
    return behind.addresses.map((data) => ({ name: owner, type: 'A', ttl: BALANCER_TTL, class: 'IN', data }));
  }
  if (!isWithin(to, zone.name) || hops > LONGEST_CHAIN) return [];
  const sets = (namesake(zone, to) ?? []).filter(({ type }) => type === set.type);
  return choose(sets, around).flatMap((next) => recordsOf(zone, next, owner, around, hops + 1));
}

/** Sets of this name, or of the wildcard that stands for it; empty: the name exists for what is below it; null: it doesn't. */
function namesake(zone: Zone, name: string): RecordSet[] | null {
  const own = zone.sets.filter((set) => set.name === name);
  if (own.length > 0) return own;
  if (zone.sets.some((set) => isWithin(set.name, name))) return [];
  for (let above = parentOf(name); above !== null && isWithin(above, zone.name); above = parentOf(above)) {
    const wild = zone.sets.filter((set) => set.name === `*.${above}`);
    if (wild.length > 0) return wild;
    if (zone.sets.some((set) => isWithin(set.name, above ?? ''))) return null;
  }
  return null;
}

/** The name, below the zone's own, from which on others have authority. */
function delegationAbove(zone: Zone, name: string): string | null {
  const cuts = zone.sets.filter((set) => set.type === 'NS' && set.name !== zone.name && isWithin(name, set.name));
  return cuts.sort((a, b) => a.name.length - b.name.length)[0]?.name ?? null;
}

function referral(zone: Zone, cut: string, answers: ResourceRecord[], around: Surroundings): Answer {
  const sets = zone.sets.filter((set) => set.type === 'NS' && set.name === cut);
  const authorities = sets.flatMap((set) => recordsOf(zone, set, cut, around, 0));
  const additionals = authorities.flatMap((record): ResourceRecord[] => {
    const address = record.type === 'NS' ? around.addressOf(lower(record.data)) : null;
    return address === null || record.type !== 'NS'
      ? []
      : [{ name: record.data, type: 'A', ttl: record.ttl ?? 0, class: 'IN', data: address }];
  });
  return { code: 'NOERROR', authoritative: false, answers, authorities, additionals };
}

/** With the SOA, whose last figure says how long nothing may be remembered. */
function empty(zone: Zone, answers: ResourceRecord[]): Answer {
  const authorities = zone.sets
    .filter((set) => set.type === 'SOA' && set.name === zone.name)
    .flatMap((set) => (set.content.kind === 'records' ? set.content.records : []));
  return { code: 'NOERROR', authoritative: true, answers, authorities, additionals: [] };
}

function shuffled<T>(values: readonly T[], random: () => number): T[] {
  const drawn = values.map((value) => ({ value, at: random() }));
  return drawn.sort((a, b) => a.at - b.at).map(({ value }) => value);
}

export const lower = (name: string): string => name.toLowerCase().replace(/\.$/, '');

export const isWithin = (name: string, zone: string): boolean =>
  zone === '' || name === zone || name.endsWith(`.${zone}`);

function parentOf(name: string): string | null {
  if (name === '') return null;
  const at = name.indexOf('.');
  return at < 0 ? '' : name.slice(at + 1);
}
