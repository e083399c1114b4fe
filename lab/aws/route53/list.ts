/** Pages of record sets and zones, which go on at a name rather than at a token. */
import { AwsError } from '../answer.js';
import { textOf, type Branch } from '../tree.js';
import { canonical, compareNames } from './names.js';
import type { RecordSet } from './record-sets.js';

const MOST_RECORD_SETS = 300;
const MOST_ZONES = 100;

/** https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListResourceRecordSets.html */
export function recordSetPage(all: RecordSet[], parameters: Branch, most: number | null): Branch {
  const name = textOf(parameters['name']);
  const type = textOf(parameters['type']);
  const identifier = textOf(parameters['identifier']);
  if (type !== undefined && name === undefined) throw input('The input is not valid: a type needs a name');
  if (identifier !== undefined && (name === undefined || type === undefined)) {
    throw input('The input is not valid: an identifier needs a name and a type');
  }
  const start = name === undefined ? null : place(canonical(name), type ?? '', identifier ?? '');
  const rest = [...all].sort((one, other) => compare(placeOf(one), placeOf(other)));
  const from = start === null ? 0 : rest.findIndex((one) => compare(placeOf(one), start) >= 0);
  const size = pageSize(parameters['maxitems'], MOST_RECORD_SETS, most);
  const found = from < 0 ? [] : rest.slice(from, from + size);
  const next = from < 0 ? undefined : rest[from + size];
  return {
    ResourceRecordSets: found,
    IsTruncated: String(next !== undefined),
    ...(next === undefined
      ? {}
      : { NextRecordName: next.Name, NextRecordType: next.Type, NextRecordIdentifier: next['SetIdentifier'] }),
    MaxItems: String(size),
  };
}

/** https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListHostedZones.html */
export function zonePage(all: Branch[], parameters: Branch, most: number | null): Branch {
  const marker = textOf(parameters['marker']);
  const from = marker === undefined ? 0 : all.findIndex((zone) => idOf(zone) === marker);
  if (from < 0) throw new AwsError('InvalidInput', `The marker '${marker ?? ''}' is not a hosted zone`);
  const size = pageSize(parameters['maxitems'], MOST_ZONES, most);
  const next = all[from + size];
  return {
    HostedZones: all.slice(from, from + size),
    Marker: marker,
    IsTruncated: String(next !== undefined),
    ...(next === undefined ? {} : { NextMarker: idOf(next) }),
    MaxItems: String(size),
  };
}

/**
 * https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListHostedZonesByName.html: begins at a name and goes on with
 * those after it, whether or not there is a zone of that name.
 */
export function zonesByNamePage(all: Branch[], parameters: Branch, most: number | null): Branch {
  const name = textOf(parameters['dnsname']);
  const id = textOf(parameters['hostedzoneid']);
  const sorted = [...all].sort((one, other) => compareZones(one, other));
  const start: Branch = { Name: name === undefined ? '' : canonical(name), Id: id ?? '' };
  const from = name === undefined ? 0 : sorted.findIndex((zone) => compareZones(zone, start) >= 0);
  const size = pageSize(parameters['maxitems'], MOST_ZONES, most);
  const next = from < 0 ? undefined : sorted[from + size];
  return {
    HostedZones: from < 0 ? [] : sorted.slice(from, from + size),
    DNSName: name,
    HostedZoneId: id,
    IsTruncated: String(next !== undefined),
    ...(next === undefined ? {} : { NextDNSName: textOf(next['Name']), NextHostedZoneId: idOf(next) }),
    MaxItems: String(size),
  };
}

/** Without `/hostedzone/`. */
export const idOf = (zone: Branch): string => (textOf(zone['Id']) ?? '').replace('/hostedzone/', '');

function pageSize(asked: Branch[string], atMost: number, most: number | null): number {
  const wanted = Number(textOf(asked) ?? atMost);
  if (!Number.isInteger(wanted) || wanted < 1) throw input('The number of items must be a whole number above 0');
  return Math.min(wanted, atMost, most ?? atMost);
}

interface Place {
  name: string;
  type: string;
  identifier: string;
}

const place = (name: string, type: string, identifier: string): Place => ({ name, type, identifier });
const placeOf = (record: RecordSet): Place => place(record.Name, record.Type, textOf(record['SetIdentifier']) ?? '');

function compare(one: Place, other: Place): number {
  const byName = compareNames(one.name, other.name);
  if (byName !== 0) return byName;
  if (one.type !== other.type) return one.type < other.type ? -1 : 1;
  return one.identifier < other.identifier ? -1 : Number(one.identifier > other.identifier);
}

function compareZones(one: Branch, other: Branch): number {
  const byName = compareNames(textOf(one['Name']) ?? '', textOf(other['Name']) ?? '');
  if (byName !== 0) return byName;
  return idOf(one) < idOf(other) ? -1 : Number(idOf(one) > idOf(other));
}

const input = (message: string): AwsError => new AwsError('InvalidInput', message);
