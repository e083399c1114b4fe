/** A certificate from its request until it is issued, and its end. */
import { createHash } from 'node:crypto';
import { RequestCertificateCommand, type CertificateDetail, type FailureReason } from '@aws-sdk/client-acm';
import { paginateDescribeListeners } from '@aws-sdk/client-elastic-load-balancing-v2';
import { failure } from '../../failure.js';
import { faultPoint } from '../../fault.js';
import type { CertificateLook, CertificateMove, CertificateRef } from '../../traffic-contract.js';
import { tagValue } from '../alb/tags.js';
import { lookUntil, PATIENCE } from '../patience.js';
import {
  certificatesOf,
  deleteCertificate,
  findCertificate,
  isDead,
  MIGRATION_TAG,
  ownCertificates,
  ownCertificatesOrNone,
  readCertificate,
  REQUEST_TAG,
  type Certificates,
} from './certificates.js';
import { certificatesOfListener } from './listener.js';

/**
 * One that is found by its tag is taken. The list may lag, and for an hour the idempotency token covers that; by then the list
 * shows it. Dead ones are part of the token, or ACM would answer with a dead one instead of trying anew.
 */
export async function requestCertificate(request: CertificateMove): Promise<{ arn: string }> {
  const certificates = certificatesOf(request);
  const own = await ownCertificates(certificates);
  const dead = own.filter(isDead).map(({ CertificateArn = '' }) => CertificateArn);
  const arn = own.find((one) => !isDead(one))?.CertificateArn ?? (await requestNew(certificates, dead));
  await faultPoint('certificate.requested');
  for (const one of dead) await deleteCertificate(certificates.clients, one);
  return { arn };
}

async function requestNew({ clients, wanted, request }: Certificates, dead: string[]): Promise<string> {
  const { migration, key } = request.move;
  const [DomainName] = wanted.names;
  const told = createHash('sha256').update([key, request.token, ...dead.sort()].join('\n'));
  const { CertificateArn } = await clients.acm.send(
    new RequestCertificateCommand({
      DomainName,
      SubjectAlternativeNames: wanted.names,
      ValidationMethod: 'DNS',
      IdempotencyToken: told.digest('hex').slice(0, LONGEST_TOKEN),
      Tags: [
        { Key: MIGRATION_TAG, Value: tagValue(migration) },
        { Key: REQUEST_TAG, Value: request.token },
      ],
    }),
  );
  if (CertificateArn === undefined) throw failure('AwsUnavailable', 'ACM answered without the ARN of the certificate');
  return CertificateArn;
}

const LONGEST_TOKEN = 32;

export async function lookAtCertificate({ arn, ...request }: CertificateRef): Promise<CertificateLook> {
  const { clients } = certificatesOf(request);
  const found = await readCertificate(clients, arn);
  if (found.Status === 'ISSUED') {
    return { issued: true, explanation: 'it is issued', notAfter: found.NotAfter?.toISOString() ?? null };
  }
  if (isDead(found)) {
    throw failure(
      'CertificateFailed',
      `the certificate for ${found.DomainName ?? arn} will not be issued: ${whyNot(found)}`,
      'Nothing uses it. Once the cause is mended, a retry requests another',
    );
  }
  return { issued: false, explanation: waitsFor(found), notAfter: null };
}

/** https://docs.aws.amazon.com/acm/latest/userguide/troubleshooting-failed.html */
const REASONS: Partial<Record<FailureReason, string>> = {
  ADDITIONAL_VERIFICATION_REQUIRED: 'AWS wants to verify more for a name this well known; ask AWS Support',
  CAA_ERROR: 'a CAA record keeps Amazon from issuing; add one that allows amazon.com',
  DOMAIN_NOT_ALLOWED: 'Amazon issues nothing for one of the names, which is reported as unsafe',
  DOMAIN_VALIDATION_DENIED: 'the validation was denied',
  INVALID_PUBLIC_DOMAIN: 'one of the names is not a public one',
  OTHER: 'ACM gives no reason; usually a name is misspelt',
};

function whyNot({ Status, FailureReason: reason }: CertificateDetail): string {
  if (Status === 'VALIDATION_TIMED_OUT') {
    return 'ACM did not find all validation records within 72 hours (VALIDATION_TIMED_OUT)';
  }
  if (Status !== 'FAILED' || reason === undefined) return `its status is ${Status ?? 'unknown'}`;
  return `${REASONS[reason] ?? 'ACM refused it'} (${reason})`;
}

function waitsFor({ DomainValidationOptions: options = [] }: CertificateDetail): string {
  const pending = options.filter(({ ValidationStatus }) => ValidationStatus !== 'SUCCESS');
  const names = pending.map(({ DomainName, ResourceRecord }) => {
    const record = ResourceRecord?.Name;
    return `${DomainName ?? '?'}${record === undefined ? '' : ` (CNAME ${record.replace(/\.$/, '')})`}`;
  });
  const validated = `${options.length - pending.length} of ${options.length} names are validated`;
  return names.length === 0 ? validated : `${validated}; waits for ${names.join(', ')}`;
}

export async function undoCertificate(request: CertificateMove): Promise<void> {
  const certificates = certificatesOf(request);
  const left: string[] = [];
  for (const { CertificateArn: arn = '' } of await ownCertificatesOrNone(certificates)) {
    left.push(...(await removeUnused(certificates, arn)));
    await faultPoint('certificate.deleted');
  }
  if (left.length > 0) throw failure('TrafficChanged', left.join('; '));
}

/**
 * ACM counts a listener as a user for some ten seconds after it has lost the certificate:
 * https://github.com/aws/aws-cdk/issues/4179. Answers what is left, in words.
 */
async function removeUnused(certificates: Certificates, arn: string): Promise<string[]> {
  const { clients } = certificates;
  const look = async (): Promise<string[]> => (await findCertificate(clients, arn))?.InUseBy ?? [];
  const users = await usersAmong(certificates, arn, await look());
  if (users.length > 0) {
    return [`the certificate ${arn} is used by ${users.join(', ')}, which isn't Godwit's doing, so it stays`];
  }
  const seen = await lookUntil(look, (inUse) => inUse.length === 0, PATIENCE.released);
  if (seen.length > 0) {
    throw failure('AwsUnavailable', `ACM still counts ${seen.join(', ')} as using ${arn}; it is looked at again`);
  }
  await deleteCertificate(clients, arn);
  return [];
}

/** Of what ACM counts, those that do: of the load balancer that had it through us, the listeners that have it still. */
async function usersAmong({ clients, wanted }: Certificates, arn: string, counted: string[]): Promise<string[]> {
  const own = loadBalancerOf(wanted.listener);
  const users = counted.filter((one) => one !== own);
  if (!counted.includes(own)) return users;
  for await (const { Listeners = [] } of paginateDescribeListeners({ client: clients.elb }, { LoadBalancerArn: own })) {
    for (const { ListenerArn = '', Protocol } of Listeners) {
      if (Protocol !== 'HTTPS') continue;
      const given = await certificatesOfListener(clients, ListenerArn);
      if (given?.some(({ CertificateArn }) => CertificateArn === arn) === true) users.push(ListenerArn);
    }
  }
  return users;
}

/** `listener/app/shop/LB/LISTENER` belongs to `loadbalancer/app/shop/LB`. */
export const loadBalancerOf = (listener: string): string =>
  listener.replace(':listener/', ':loadbalancer/').replace(/\/[^/]*$/, '');
