/**
 * A change batch, whole or not at all: https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html
 * Changes are taken in their order, so that a DELETE before a CREATE turns a simple set into weighted ones.
 */
import { AwsError } from '../answer.js';
import { isBranch, textOf } from '../tree.js';
import { isWithin } from './names.js';
import {
  isSimple,
  policiesOf,
  sameGroup,
  sameIdentity,
  sameName,
  sameValues,
  valuesOf,
  wrongValues,
  type Change,
  type RecordSet,
} from './record-sets.js';

/** https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html#limits-api-requests-changeresourcerecordsets */
const MOST_VALUES = 1_000;
const MOST_CHARACTERS = 32_000;

export interface Zone {
  id: string;
  /** With its dot. */
  name: string;
}

/** The records after the batch. Throws `InvalidChangeBatch` with everything that is wrong. */
export function afterBatch(zone: Zone, before: RecordSet[], changes: Change[]): RecordSet[] {
  const wrong = [...wrongAsBatch(changes)];
  let records = before;
  for (const change of changes) {
    const problems = problemsOf(zone, records, change);
    wrong.push(...problems);
    if (problems.length === 0) records = applied(records, change);
  }
  wrong.push(...wrongAtApex(zone, records));
  if (wrong.length > 0) throw new AwsError('InvalidChangeBatch', `[${wrong.join(', ')}]`);
  return records;
}

function wrongAsBatch(changes: Change[]): string[] {
  const weight = ({ action }: Change): number => (action === 'UPSERT' ? 2 : 1);
  const sum = (of: (record: RecordSet) => number): number =>
    changes.reduce((total, change) => total + weight(change) * of(change.record), 0);
  const twice = changes.filter(({ record }, index) => {
    const earlier = changes.slice(0, index).filter((other) => sameIdentity(other.record, record));
    // A DELETE followed by a CREATE is the one pair that means something.
    return (
      earlier.length > 1 ||
      (earlier.length === 1 && !(earlier[0]?.action === 'DELETE' && changes[index]?.action === 'CREATE'))
    );
  });
  return [
    ...(sum((record) => valuesOf(record).length) > MOST_VALUES
      ? [`Number of records limit of ${MOST_VALUES} exceeded.`]
      : []),
    ...(sum((record) => valuesOf(record).join('').length) > MOST_CHARACTERS
      ? [`RDATA character limit of ${MOST_CHARACTERS} exceeded.`]
      : []),
    ...twice.map(
      ({ record }) =>
        `The request contains an invalid set of changes for a resource record set '${record.Type} ${record.Name}'`,
    ),
  ];
}

function problemsOf(zone: Zone, records: RecordSet[], { action, record }: Change): string[] {
  const there = records.find((one) => sameIdentity(one, record));
  const named = nameOf(record);
  if (action === 'DELETE') {
    if (there === undefined) return [`Tried to delete resource record set ${named} but it was not found`];
    return sameValues(there, record)
      ? []
      : [`Tried to delete resource record set ${named} but the values provided do not match the current values`];
  }
  if (action === 'CREATE' && there !== undefined) {
    return [`Tried to create resource record set ${named} but it already exists`];
  }
  return [...wrongPlace(zone, records, record), ...wrongValues(record), ...wrongAlias(zone, records, record)];
}

function wrongPlace(zone: Zone, records: RecordSet[], record: RecordSet): string[] {
  const { Name: name, Type: type } = record;
  if (!isWithin(name, zone.name)) return [`RRSet with DNS name ${name} is not permitted in zone ${zone.name}`];
  const others = records.filter((one) => sameName(one, record) && !sameIdentity(one, record));
  if (type === 'CNAME' && name === zone.name) {
    return [`RRSet of type CNAME with DNS name ${name} is not permitted at apex in zone ${zone.name}`];
  }
  if (type === 'CNAME' && others.some((one) => one.Type !== 'CNAME')) {
    return [
      `RRSet of type CNAME with DNS name ${name} is not permitted as it conflicts with other records with the same DNS name in zone ${zone.name}`,
    ];
  }
  if (type !== 'CNAME' && others.some((one) => one.Type === 'CNAME')) {
    return [
      `RRSet of type ${type} with DNS name ${name} is not permitted because a conflicting RRSet of type CNAME with the same DNS name already exists in zone ${zone.name}`,
    ];
  }
  return wrongPolicy(
    record,
    others.filter((one) => sameGroup(one, record)),
  );
}

/** https://docs.aws.amazon.com/Route53/latest/APIReference/API_ResourceRecordSet.html: one policy for a name and type. */
function wrongPolicy(record: RecordSet, group: RecordSet[]): string[] {
  const named = `RRSet with DNS name ${record.Name}, type ${record.Type}`;
  if (isSimple(record)) {
    return group.length > 0 ? [`${named} cannot be created as other RRSets exist with the same name and type.`] : [];
  }
  const [policy] = policiesOf(record);
  const other = group.some((one) => policiesOf(one)[0] !== policy);
  const kind = policy === 'Weight' ? 'weighted' : (policy ?? '').toLowerCase();
  const identified = `${named}, SetIdentifier ${textOf(record['SetIdentifier']) ?? ''}`;
  return other ? [`${identified} cannot be created as a non-${kind} set exists with the same name and type.`] : [];
}

/** An alias of the same zone leads to a set that is there, of its own type. */
function wrongAlias(zone: Zone, records: RecordSet[], record: RecordSet): string[] {
  const target = record['AliasTarget'];
  if (!isBranch(target) || target['HostedZoneId'] !== zone.id) return [];
  const name = textOf(target['DNSName']) ?? '';
  const tried = `Tried to create an alias that targets ${name}, type ${record.Type} in zone ${zone.id}`;
  if (!isWithin(name, zone.name)) return [`${tried}, but the alias target name does not lie within the target zone`];
  const found = records.some((one) => one.Name === name && one.Type === record.Type);
  return found ? [] : [`${tried}, but that target was not found`];
}

function wrongAtApex(zone: Zone, records: RecordSet[]): string[] {
  const has = (type: string): boolean => records.some((one) => one.Name === zone.name && one.Type === type);
  return [
    ...(has('NS') ? [] : ['A HostedZone must contain at least one NS record for the zone itself.']),
    ...(has('SOA') ? [] : ['A HostedZone must contain exactly one SOA record.']),
  ];
}

function applied(records: RecordSet[], { action, record }: Change): RecordSet[] {
  const others = records.filter((one) => !sameIdentity(one, record));
  return action === 'DELETE' ? others : [...others.map((one) => withTtlOf(one, record)), record];
}

/**
 * https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-values-weighted.html: of weighted records
 * with different TTLs, all get the one that was given last.
 */
function withTtlOf(one: RecordSet, last: RecordSet): RecordSet {
  const together = sameGroup(one, last) && !isSimple(one) && one['TTL'] !== undefined && last['TTL'] !== undefined;
  return together ? { ...one, TTL: last['TTL'] } : one;
}

function nameOf(record: RecordSet): string {
  const identifier = textOf(record['SetIdentifier']);
  const set = identifier === undefined ? '' : `, set identifier='${identifier}'`;
  return `[name='${record.Name}', type='${record.Type}'${set}]`;
}
