/**
 * Record sets of one name and type. Pure: all that is ever written follows from the before-image and a weight, so that what is
 * found is either ours or somebody else's.
 */
import type { Change, ResourceRecordSet } from '@aws-sdk/client-route-53';
import { isIPv6 } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { NormalRoute53, Route53Member } from '../../../spec/normal-traffic.js';
import type { Route53Image } from '../../traffic-contract.js';
import { plainName } from '../../dns/delegation.js';

/** What the API answers for an alias of a load balancer; an alias has no TTL of its own. */
export const ALIAS_TTL_S = 60;
/** For green's values in the place of an alias that blue was. */
const DEFAULT_TTL_S = 300;

/** As the API writes names: with a dot at the end, `*` as \052. */
export const recordName = (name: string): string => plainName(name.replaceAll('\\052', '*'));

/** Routing that isn't simple or weighted, in words; null: it is. */
export function otherRouting(record: ResourceRecordSet): string | null {
  if (record.Region !== undefined) return 'latency';
  if (record.GeoLocation !== undefined) return 'geolocation';
  if (record.GeoProximityLocation !== undefined) return 'geoproximity';
  if (record.Failover !== undefined) return 'failover';
  if (record.MultiValueAnswer === true) return 'multivalue answer';
  if (record.CidrRoutingConfig !== undefined) return 'IP-based';
  return record.SetIdentifier !== undefined && record.Weight === undefined ? 'unknown' : null;
}

export const isWeighted = ({ Weight }: ResourceRecordSet): boolean => Weight !== undefined;

export const ttlOf = (record: ResourceRecordSet): number =>
  record.AliasTarget === undefined ? (record.TTL ?? DEFAULT_TTL_S) : ALIAS_TTL_S;

/** What stands behind a member of the specification, as the API takes it. */
export function targetOf(member: Route53Member): Pick<ResourceRecordSet, 'ResourceRecords' | 'AliasTarget'> {
  if ('values' in member.target) return { ResourceRecords: member.target.values.map((Value) => ({ Value })) };
  const { dnsName, zone, evaluateTargetHealth } = member.target.alias;
  return { AliasTarget: { DNSName: dnsName, HostedZoneId: zone, EvaluateTargetHealth: evaluateTargetHealth } };
}

/** All records while green has `weight` percent: blue and green, and members without weight that were there. One TTL for all. */
export function recordsAt(image: Route53Image, route: NormalRoute53, weight: number): ResourceRecordSet[] {
  const ttl = route.ttl / 1_000;
  const others = image.records.filter((record) => isWeighted(record) && !isPair(image, record));
  return [{ ...image.blue, Weight: 100 - weight }, { ...image.green, Weight: weight }, ...others].map((record) =>
    record.AliasTarget === undefined ? { ...record, TTL: ttl } : record,
  );
}

/** Green in blue's place, with the TTL that blue had. */
export function finalRecords(image: Route53Image): ResourceRecordSet[] {
  const blue = image.records.find((record) => !isWeighted(record) || record.SetIdentifier === image.blue.SetIdentifier);
  const ttl = blue?.AliasTarget === undefined ? (blue?.TTL ?? image.ttl) : DEFAULT_TTL_S;
  const green = image.green.AliasTarget === undefined ? { ...image.green, TTL: ttl } : image.green;
  if (!image.records.some(isWeighted)) return [simple(green)];
  const kept = image.records.filter((record) => !isPair(image, record));
  return [{ ...green, Weight: blue?.Weight ?? 100 }, ...kept];
}

/**
 * Somebody else's records with blue's traffic put back: blue gets the weight of both, and green goes. Null: there is no green,
 * so nothing of it is ours.
 * @param keepGreen it stays, without weight
 */
export function recordsPutBack(
  image: Route53Image,
  found: ResourceRecordSet[],
  keepGreen = false,
): ResourceRecordSet[] | null {
  const green = found.find(({ SetIdentifier }) => SetIdentifier === image.green.SetIdentifier);
  if (green === undefined) return null;
  const blue = found.find(({ SetIdentifier }) => SetIdentifier === image.blue.SetIdentifier);
  const others = found.filter((record) => record !== green && record !== blue);
  const back = blue ?? { ...image.blue, ...(image.blue.AliasTarget === undefined ? { TTL: image.ttl } : {}) };
  if (!keepGreen && others.length === 0 && !image.records.some(isWeighted)) {
    return [simple(back.AliasTarget === undefined ? { ...back, TTL: image.ttl } : back)];
  }
  const weight = (green.Weight ?? 0) + (blue?.Weight ?? 0);
  const greenBefore = image.records.filter(({ SetIdentifier }) => SetIdentifier === image.green.SetIdentifier);
  return [{ ...back, Weight: weight }, ...(keepGreen ? [{ ...green, Weight: 0 }] : greenBefore), ...others];
}

const simple = (record: ResourceRecordSet): ResourceRecordSet => ({
  ...record,
  SetIdentifier: undefined,
  Weight: undefined,
});

const isPair = (image: Route53Image, { SetIdentifier }: ResourceRecordSet): boolean =>
  SetIdentifier === image.blue.SetIdentifier || SetIdentifier === image.green.SetIdentifier;

/**
 * From one state to the other in one batch, which the API takes as a whole or not at all. What changes is deleted as it was
 * found and created anew, and not merely upserted: so the batch is refused if somebody else has changed it meanwhile.
 */
export function batch(found: ResourceRecordSet[], wanted: ResourceRecordSet[]): Change[] {
  const lacks = (records: ResourceRecordSet[]) => (record: ResourceRecordSet) =>
    !records.some((one) => sameRecords([one], [record]));
  return [...deletions(found.filter(lacks(wanted))), ...creations(wanted.filter(lacks(found)))];
}

/** Changes nothing, and is refused if it isn't all as `records` say. */
export const affirmation = (records: ResourceRecordSet[]): Change[] => [...deletions(records), ...creations(records)];

export const deletions = (records: ResourceRecordSet[]): Change[] =>
  records.map((ResourceRecordSet) => ({ Action: 'DELETE', ResourceRecordSet }));
export const creations = (records: ResourceRecordSet[]): Change[] =>
  records.map((ResourceRecordSet) => ({ Action: 'CREATE', ResourceRecordSet }));

/** Whether two lists say the same, however the API spells them. */
export function sameRecords(one: ResourceRecordSet[], other: ResourceRecordSet[]): boolean {
  return isDeepStrictEqual(spelledOut(one), spelledOut(other));
}

/** Whether what stands behind two records is the same. */
export function sameTarget(one: ResourceRecordSet, other: ResourceRecordSet): boolean {
  const bare = ({ ResourceRecords, AliasTarget }: ResourceRecordSet): ResourceRecordSet[] => [
    { Name: '', Type: 'A', ResourceRecords, AliasTarget },
  ];
  return sameRecords(bare(one), bare(other));
}

function spelledOut(records: ResourceRecordSet[]): unknown {
  return records
    .map(({ Name = '', ResourceRecords = [], AliasTarget, ...rest }) => ({
      ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)),
      name: recordName(Name),
      values: ResourceRecords.map(({ Value = '' }) => valueOf(rest.Type, Value)).sort(),
      alias: AliasTarget === undefined ? null : { ...AliasTarget, DNSName: recordName(AliasTarget.DNSName ?? '') },
    }))
    .map((record) => JSON.stringify(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1))))
    .sort();
}

function valueOf(type: string | undefined, value: string): string {
  if (type === 'CNAME') return plainName(value);
  return type === 'AAAA' ? shortAddress(value) : value;
}

/** IPv6 addresses have many spellings, and URLs one. */
export function shortAddress(address: string): string {
  return isIPv6(address) ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
}

/** `blue 90, green 10 with TTL 60`. */
export function describeRecords(records: ResourceRecordSet[]): string {
  if (records.length === 0) return 'no record';
  return records
    .map((record) => {
      const target = record.AliasTarget?.DNSName ?? (record.ResourceRecords ?? []).map(({ Value }) => Value).join(' ');
      const ttl = record.AliasTarget === undefined ? `, TTL ${record.TTL ?? '?'}` : '';
      if (!isWeighted(record)) return `${otherRouting(record) ?? 'a simple record'} (${target}${ttl})`;
      return `${record.SetIdentifier ?? '?'} ${record.Weight ?? '?'} (${target}${ttl})`;
    })
    .join(', ');
}
