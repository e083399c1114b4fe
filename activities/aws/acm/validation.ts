/**
 * The records by which ACM validates names. They are the same for each certificate of an account and name, and renewals need
 * them: https://docs.aws.amazon.com/acm/latest/userguide/dns-validation.html. So one that is there stays whoever made it,
 * and one of ours goes only while nobody else's certificate lives by it.
 */
import type { CertificateDetail } from '@aws-sdk/client-acm';
import type { ResourceRecordSet } from '@aws-sdk/client-route-53';
import { plainName } from '../../dns/delegation.js';
import { failure } from '../../failure.js';
import { faultPoint } from '../../fault.js';
import type { CertificateMove, CertificateRef, ValidationRecord } from '../../traffic-contract.js';
import { codeOf, mayHaveHappened } from '../errors.js';
import { creations, deletions, describeRecords } from '../route53/records.js';
import { readRecords, submit } from '../route53/zone.js';
import {
  allCertificates,
  certificatesOf,
  findCertificate,
  ownCertificates,
  readCertificate,
  type Certificates,
} from './certificates.js';

const TTL_S = 300;

type Wanted = Pick<ValidationRecord, 'name' | 'value'>;

export async function readValidation({
  arn,
  known,
  ...request
}: CertificateRef & { known: ValidationRecord[] | null }): Promise<ValidationRecord[]> {
  const certificates = certificatesOf(request);
  const wanted = await recordsFor(certificates, arn);
  if (known !== null) return sameAs(known, wanted);
  const records: ValidationRecord[] = [];
  for (const one of wanted) records.push({ ...one, there: (await findRecord(certificates, one)) !== null });
  return records;
}

/** ACM names them some seconds after the request. */
async function recordsFor({ clients }: Certificates, arn: string): Promise<Wanted[]> {
  const named = ({ DomainValidationOptions: options = [] }: CertificateDetail): boolean =>
    options.length > 0 && options.every(({ ResourceRecord }) => ResourceRecord !== undefined);
  const found = await readCertificate(clients, arn, named);
  if (!named(found)) throw failure('AwsUnavailable', `ACM has not named the validation records of ${arn} yet`);
  return namedIn(found);
}

/** Each once: a wildcard has the one of its domain. */
function namedIn({ DomainValidationOptions: options = [] }: CertificateDetail): Wanted[] {
  const records = options.flatMap(({ ResourceRecord: one }): [string, Wanted][] => {
    const name = plainName(one?.Name ?? '');
    return one?.Value === undefined ? [] : [[name, { name, value: plainName(one.Value) }]];
  });
  return [...new Map(records).values()];
}

function sameAs(known: ValidationRecord[], wanted: Wanted[]): ValidationRecord[] {
  const isKnown = ({ name, value }: Wanted): boolean => known.some((one) => one.name === name && one.value === value);
  const other = wanted.find((one) => !isKnown(one));
  if (other === undefined) return known;
  throw failure(
    'CertificateFailed',
    `ACM wants CNAME ${other.name}, which it didn't want for the certificate that was requested first`,
    'Abort, and start again',
  );
}

/** Null: there is none. Fails with `CertificateFailed` where there is another one of this name. */
async function findRecord(
  { clients, wanted }: Certificates,
  { name, value }: Wanted,
): Promise<ResourceRecordSet | null> {
  const found = await readRecords(clients, wanted.zone, name, 'CNAME');
  const [only] = found;
  if (only === undefined) return null;
  if (leadsTo(found, value)) return only;
  throw failure(
    'CertificateFailed',
    `CNAME ${name} in the zone ${wanted.zone} should lead to ${value}, and somebody has made it ${describeRecords(found)}`,
    'Nothing was written over it. Remove it if nobody needs it and retry, or abort',
  );
}

/** As one simple record, as Godwit writes it and ACM wants it. */
function leadsTo(found: ResourceRecordSet[], value: string): boolean {
  const values = found.flatMap(({ ResourceRecords = [] }) => ResourceRecords.map(({ Value = '' }) => plainName(Value)));
  return values.length === 1 && values[0] === value;
}

export async function writeValidation({
  records,
  ...request
}: CertificateMove & { records: ValidationRecord[] }): Promise<void> {
  const certificates = certificatesOf(request);
  const missing = await missingOf(certificates, records);
  const lost = missing.find(({ there }) => there);
  if (lost !== undefined) {
    throw failure(
      'CertificateFailed',
      `CNAME ${lost.name} was there when it was looked at first, and somebody has removed it from the zone ${certificates.wanted.zone}`,
      `Make it again, leading to ${lost.value}, and retry; or abort`,
    );
  }
  if (missing.length === 0) return;
  await change(certificates, creations(missing.map(asRecord)), async () => {
    return (await missingOf(certificates, records)).length === 0;
  });
  await faultPoint('certificate.validation');
}

async function missingOf(certificates: Certificates, records: ValidationRecord[]): Promise<ValidationRecord[]> {
  const missing: ValidationRecord[] = [];
  for (const record of records) if ((await findRecord(certificates, record)) === null) missing.push(record);
  return missing;
}

const asRecord = ({ name, value }: Wanted): ResourceRecordSet => ({
  Name: name,
  Type: 'CNAME',
  TTL: TTL_S,
  ResourceRecords: [{ Value: value }],
});

/**
 * Route 53 takes all or none, and refuses what isn't as was read; and so it does the second time, when the first took effect and
 * its answer was lost. When it is seen by all its servers nobody here needs to know: ACM looks for itself.
 */
async function change(
  { clients, wanted, request }: Certificates,
  changes: ReturnType<typeof creations>,
  isDone: () => Promise<boolean>,
): Promise<void> {
  try {
    await submit(clients, wanted.zone, changes, `godwit: validation for ${request.move.key}`);
  } catch (error) {
    if (codeOf(error) !== 'InvalidChangeBatch' && !mayHaveHappened(error)) throw error;
    if (!(await isDone())) throw error;
  }
}

export async function undoValidation({
  records,
  ...request
}: CertificateMove & { records: ValidationRecord[] }): Promise<void> {
  const certificates = certificatesOf(request);
  const { clients, wanted } = certificates;
  const left: string[] = [];
  const made: ResourceRecordSet[] = [];
  let others: CertificateDetail[] | null = null;
  for (const record of records.filter(({ there }) => !there)) {
    const found = await readRecords(clients, wanted.zone, record.name, 'CNAME');
    if (found.length === 0) continue;
    if (!leadsTo(found, record.value)) {
      left.push(`somebody changed CNAME ${record.name} to ${describeRecords(found)}, so it stays`);
      continue;
    }
    others ??= await othersNear(certificates, records);
    const renewed = others.filter((one) => namedIn(one).some(({ name }) => name === record.name));
    if (renewed.length === 0) made.push(...found);
    else left.push(`CNAME ${record.name} stays, since ACM renews ${renewed.map(arnOf).join(', ')} by it, too`);
  }
  if (made.length > 0) await remove(certificates, made);
  if (left.length > 0) throw failure('TrafficChanged', left.join('; '));
}

async function remove(certificates: Certificates, records: ResourceRecordSet[]): Promise<void> {
  const { clients, wanted } = certificates;
  await change(certificates, deletions(records), async () => {
    const found = await Promise.all(
      records.map(({ Name = '' }) => readRecords(clients, wanted.zone, plainName(Name), 'CNAME')),
    );
    return found.flat().length === 0;
  });
  await faultPoint('certificate.unvalidated');
}

const arnOf = ({ CertificateArn: arn = '' }: { CertificateArn?: string | undefined }): string => arn;

/** Certificates of this account and region that aren't ours, and that ACM may validate by one of these records. */
async function othersNear(certificates: Certificates, records: Wanted[]): Promise<CertificateDetail[]> {
  const own = (await ownCertificates(certificates)).map(arnOf);
  const domains = records.map(({ name }) => name.replace(/^[^.]*\./, ''));
  const others: CertificateDetail[] = [];
  for (const one of await allCertificates(certificates.clients)) {
    const { DomainName = '', SubjectAlternativeNameSummaries: names = [] } = one;
    if (own.includes(arnOf(one))) continue;
    const isNear = [DomainName, ...names].some((each) => domains.includes(each.replace(/^\*\./, '')));
    if (!isNear && one.HasAdditionalSubjectAlternativeNames !== true) continue;
    const detail = await findCertificate(certificates.clients, arnOf(one));
    if (detail !== null) others.push(detail);
  }
  return others;
}
