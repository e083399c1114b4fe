/** Certificates that a listener has beside its default one, among which it chooses by the name that a client asks for (SNI). */
import {
  AddListenerCertificatesCommand,
  paginateDescribeListenerCertificates,
  RemoveListenerCertificatesCommand,
  type Certificate,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { failure } from '../../failure.js';
import { faultPoint } from '../../fault.js';
import type { CertificateMove, CertificateRef } from '../../traffic-contract.js';
import type { AwsClients } from '../clients.js';
import { codeOf, isMissing } from '../errors.js';
import { lookUntil, PATIENCE } from '../patience.js';
import { certificatesOf, ownCertificates } from './certificates.js';

/** The default one among them. Null: the listener is gone. */
export async function certificatesOfListener({ elb }: AwsClients, ListenerArn: string): Promise<Certificate[] | null> {
  const all: Certificate[] = [];
  try {
    const pages = paginateDescribeListenerCertificates({ client: elb }, { ListenerArn });
    for await (const { Certificates = [] } of pages) all.push(...Certificates);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
  return all;
}

export async function serveCertificate({ arn, ...request }: CertificateRef): Promise<void> {
  const { clients, wanted } = certificatesOf(request);
  const { listener } = wanted;
  const look = (): Promise<Certificate[] | null> => certificatesOfListener(clients, listener);
  const has = (seen: Certificate[] | null): boolean =>
    seen?.some(({ CertificateArn }) => CertificateArn === arn) === true;
  const before = await look();
  if (before === null) throw failure('InvalidSpec', `there is no listener ${listener}`);
  if (has(before)) return;
  await add(clients, listener, arn);
  await faultPoint('certificate.served');
  if (has(await lookUntil(look, has, PATIENCE.readBack))) return;
  throw failure('AwsUnavailable', `the listener ${listener} does not show the certificate ${arn} yet`);
}

/** Elastic Load Balancing learns of a certificate some seconds after ACM has issued it, and doesn't know it before. */
const NOT_KNOWN_YET = /^(CertificateNotFound|UnsupportedCertificate)/;

async function add({ elb }: AwsClients, ListenerArn: string, CertificateArn: string): Promise<void> {
  try {
    await elb.send(new AddListenerCertificatesCommand({ ListenerArn, Certificates: [{ CertificateArn }] }));
  } catch (error) {
    const code = codeOf(error) ?? '';
    if (NOT_KNOWN_YET.test(code)) {
      throw failure(
        'AwsUnavailable',
        `Elastic Load Balancing does not take the certificate ${CertificateArn} yet (${code}); it is tried again`,
      );
    }
    if (code !== 'TooManyCertificatesException') throw error;
    throw failure(
      'AwsRefused',
      `the load balancer of ${ListenerArn} has as many certificates as its quota allows (${code})`,
      'Remove one that nobody needs, or have the quota raised, then retry',
    );
  }
}

/** Refused where it isn't there any more, or is the default one by now: a look tells which. */
async function remove({ elb }: AwsClients, ListenerArn: string, CertificateArn: string): Promise<void> {
  try {
    await elb.send(new RemoveListenerCertificatesCommand({ ListenerArn, Certificates: [{ CertificateArn }] }));
  } catch (error) {
    if (!isMissing(error) && !codeOf(error)?.startsWith('OperationNotPermitted')) throw error;
  }
}

/** One that somebody has made the default is theirs to replace: it stays, and the failure says so. */
export async function undoServing(request: CertificateMove): Promise<void> {
  const certificates = certificatesOf(request);
  const { clients, wanted } = certificates;
  const { listener } = wanted;
  const own = (await ownCertificates(certificates)).map(({ CertificateArn }) => CertificateArn);
  const ofOurs = (seen: Certificate[] | null): Certificate[] =>
    (seen ?? []).filter(({ CertificateArn }) => own.includes(CertificateArn));
  for (const { CertificateArn, IsDefault } of ofOurs(await certificatesOfListener(clients, listener))) {
    if (IsDefault === true) continue;
    await remove(clients, listener, CertificateArn ?? '');
    await faultPoint('certificate.unserved');
  }
  // A default one may be listed twice, and then can't be taken off.
  const defaults = (seen: Certificate[] | null): (string | undefined)[] =>
    ofOurs(seen).flatMap(({ CertificateArn, IsDefault }) => (IsDefault === true ? [CertificateArn] : []));
  const isGone = (seen: Certificate[] | null): boolean =>
    ofOurs(seen).every(({ CertificateArn }) => defaults(seen).includes(CertificateArn));
  const left = await lookUntil(() => certificatesOfListener(clients, listener), isGone, PATIENCE.readBack);
  if (!isGone(left)) throw failure('AwsUnavailable', `the listener ${listener} still shows the certificate`);
  const byDefault = defaults(left);
  if (byDefault.length === 0) return;
  throw failure(
    'TrafficChanged',
    `somebody made ${byDefault.join(', ')} the default certificate of ${listener}, so it stays`,
  );
}
