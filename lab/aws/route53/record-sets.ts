/** Resource record sets: what makes one valid, and when two are the same. */
import { isIPv4, isIPv6 } from 'node:net';
import { AwsError } from '../answer.js';
import { branchesOf, isBranch, textOf, type Branch, type Tree } from '../tree.js';
import { canonical } from './names.js';

/** As the API gives it back. */
export type RecordSet = Branch & { Name: string; Type: string };

/** https://docs.aws.amazon.com/Route53/latest/APIReference/API_ResourceRecordSet.html */
const TYPES = [
  'A',
  'AAAA',
  'CAA',
  'CNAME',
  'DS',
  'HTTPS',
  'MX',
  'NAPTR',
  'NS',
  'PTR',
  'SOA',
  'SPF',
  'SRV',
  'SSHFP',
  'SVCB',
  'TLSA',
  'TXT',
];
const POLICIES = [
  'Weight',
  'Region',
  'Failover',
  'GeoLocation',
  'MultiValueAnswer',
  'CidrRoutingConfig',
  'GeoProximityLocation',
];
const MOST_WEIGHT = 255;
const MOST_TTL = 2_147_483_647;

/** One change of a batch, well-formed by itself. */
export interface Change {
  action: 'CREATE' | 'UPSERT' | 'DELETE';
  record: RecordSet;
}

export const policiesOf = (record: Branch): string[] => POLICIES.filter((policy) => record[policy] !== undefined);
export const isSimple = (record: Branch): boolean => record['SetIdentifier'] === undefined;
export const valuesOf = (record: Branch): string[] =>
  branchesOf(record['ResourceRecords']).map((one) => textOf(one['Value']) ?? '');

export const sameName = (one: RecordSet, other: RecordSet): boolean => one.Name === other.Name;
export const sameGroup = (one: RecordSet, other: RecordSet): boolean => sameName(one, other) && one.Type === other.Type;
/** What a change is about: a simple set by its name and type, others by their identifier besides. */
export const sameIdentity = (one: RecordSet, other: RecordSet): boolean =>
  sameGroup(one, other) && one['SetIdentifier'] === other['SetIdentifier'];

/** https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html: a DELETE gives all values. */
export function sameValues(one: RecordSet, other: RecordSet): boolean {
  return JSON.stringify(comparable(one)) === JSON.stringify(comparable(other));
}

/** Throws `InvalidInput` for what no zone could take. */
export function parseChange(change: Branch, index: number): Change {
  const action = textOf(change['Action']);
  if (action !== 'CREATE' && action !== 'UPSERT' && action !== 'DELETE') {
    const value = `Value '${action ?? 'null'}' at 'changeBatch.changes.${index + 1}.member.action'`;
    throw input(
      `1 validation error detected: ${value} failed to satisfy constraint: Member must satisfy enum value set: [CREATE, DELETE, UPSERT]`,
    );
  }
  const given = isBranch(change['ResourceRecordSet']) ? change['ResourceRecordSet'] : {};
  const { Name, Type } = given;
  if (typeof Name !== 'string' || Name === '')
    throw input(`Invalid request: Missing field 'Name' in Change ${index + 1}`);
  if (typeof Type !== 'string' || !TYPES.includes(Type)) {
    throw input(`Invalid request: '${textOf(Type) ?? 'null'}' is not a supported type of records`);
  }
  const record: RecordSet = { ...given, Name: canonical(Name), Type, ...aliasOf(given) };
  const where = `in Change with [Action=${action}, Name=${record.Name}, Type=${Type}, SetIdentifier=${textOf(given['SetIdentifier']) ?? 'null'}]`;
  checkForm(record, where);
  checkRange(record['Weight'], MOST_WEIGHT, `changeBatch.changes.${index + 1}.member.resourceRecordSet.weight`);
  checkRange(record['TTL'], MOST_TTL, `changeBatch.changes.${index + 1}.member.resourceRecordSet.tTL`);
  return { action, record };
}

/** What is wrong with the values of one set, in the words of `InvalidChangeBatch`. */
export function wrongValues(record: RecordSet): string[] {
  const values = valuesOf(record);
  const twice = values.filter((value, index) => values.indexOf(value) !== index);
  return [
    ...twice.map((value) => `Duplicate Resource Record: '${value}'`),
    ...(record.Type === 'CNAME' && values.length > 1
      ? [`RRSet of type CNAME with DNS name ${record.Name} has more than one value`]
      : []),
    ...values.flatMap((value) => {
      const problem = problemOf(record.Type, value);
      return problem === null
        ? []
        : [`Invalid Resource Record: 'FATAL problem: ${problem} encountered with '${value}''`];
    }),
  ];
}

function problemOf(type: string, value: string): string | null {
  if (type === 'A' && !isIPv4(value)) return 'ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)';
  if (type === 'AAAA' && !isIPv6(value)) return 'AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)';
  if ((type === 'TXT' || type === 'SPF') && !/^".*"$/s.test(value)) {
    return 'InvalidCharacterString (Value should be enclosed in quotation marks)';
  }
  return null;
}

function checkForm(record: RecordSet, where: string): void {
  const alias = record['AliasTarget'] !== undefined;
  const plain = record['TTL'] !== undefined && valuesOf(record).length > 0;
  const some = record['TTL'] !== undefined || valuesOf(record).length > 0;
  if (alias === plain || (alias && some)) {
    const expected = '[AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId]';
    throw input(
      `Invalid request: Expected exactly one of ${expected}, but found ${alias ? 'more than one' : 'none'} ${where}`,
    );
  }
  const policies = policiesOf(record);
  if (policies.length > 0 && isSimple(record)) throw input(`Invalid request: Missing field 'SetIdentifier' ${where}`);
  if (policies.length !== 1 && !isSimple(record)) {
    const found = policies.length === 0 ? 'none' : 'more than one';
    throw input(`Invalid request: Expected exactly one of [${POLICIES.join(', ')}], but found ${found} ${where}`);
  }
}

function checkRange(value: Tree | undefined, most: number, path: string): void {
  if (value === undefined) return;
  const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : NaN;
  if (number >= 0 && number <= most) return;
  const constraint = number > most ? `less than or equal to ${most}` : 'greater than or equal to 0';
  const failed = `Value '${textOf(value) ?? ''}' at '${path}' failed to satisfy constraint`;
  throw input(`1 validation error detected: ${failed}: Member must have value ${constraint}`);
}

function aliasOf(given: Branch): Branch {
  const target = given['AliasTarget'];
  if (!isBranch(target)) return {};
  return { AliasTarget: { ...target, DNSName: canonical(textOf(target['DNSName']) ?? '') } };
}

/** Without an order of values or fields. */
function comparable(record: RecordSet): unknown {
  const target = record['AliasTarget'];
  const alias = isBranch(target) ? Object.entries(target).sort() : null;
  const fields = Object.entries(record).filter(([, value]) => typeof value === 'string');
  return { fields: fields.sort(([one], [other]) => (one < other ? -1 : 1)), alias, values: valuesOf(record).sort() };
}

const input = (message: string): AwsError => new AwsError('InvalidInput', message);
