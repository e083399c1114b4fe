/** Calls on ACM: all certificates of the account and region page by page, those of one request, and what one is. */
import {
  DeleteCertificateCommand,
  DescribeCertificateCommand,
  KeyAlgorithm,
  ListTagsForCertificateCommand,
  paginateListCertificates,
  type CertificateDetail,
  type CertificateStatus,
  type CertificateSummary,
} from '@aws-sdk/client-acm';
import type { NormalCertificate } from '../../../spec/normal-traffic.js';
import { failure } from '../../failure.js';
import type { CertificateMove } from '../../traffic-contract.js';
import { clientsOf, type AwsClients } from '../clients.js';
import { isMissing } from '../errors.js';
import { lookUntil, PATIENCE } from '../patience.js';

/** A request under its token, with what reaches ACM. */
export interface Certificates {
  clients: AwsClients;
  wanted: NormalCertificate;
  request: CertificateMove;
}

export function certificatesOf({ move, token }: CertificateMove): Certificates {
  const { route, unit } = move.traffic;
  const wanted = route.kind === 'alb' ? route.certificate : undefined;
  if (wanted === undefined) throw failure('InvalidSpec', `${unit} asks for no certificate: alb.certificate is absent`);
  return { clients: clientsOf(move.traffic), wanted, request: { move, token } };
}

/** Whose request it is. Deleting asks for it, too: the policy of `godwit plan --iam` lets nothing without it be deleted. */
export const REQUEST_TAG = 'godwit:request';
/** For people who meet it in the console. */
export const MIGRATION_TAG = 'godwit:migration';

/** ACM tries no more: https://docs.aws.amazon.com/acm/latest/APIReference/API_CertificateDetail.html */
const DEAD: CertificateStatus[] = ['FAILED', 'VALIDATION_TIMED_OUT', 'EXPIRED', 'REVOKED', 'INACTIVE'];

export const isDead = ({ Status }: { Status?: CertificateStatus | undefined }): boolean =>
  Status !== undefined && DEAD.includes(Status);

/** Of all statuses and keys; without a filter the API leaves out keys that aren't RSA of 1024 or 2048 bits. */
export async function allCertificates({ acm }: AwsClients): Promise<CertificateSummary[]> {
  const all: CertificateSummary[] = [];
  const pages = paginateListCertificates({ client: acm }, { Includes: { keyTypes: Object.values(KeyAlgorithm) } });
  for await (const { CertificateSummaryList = [] } of pages) all.push(...CertificateSummaryList);
  return all;
}

/** Those that were requested under this token: one as a rule, and dead ones that it replaces. The list may lag by seconds. */
export async function ownCertificates({ clients, wanted, request }: Certificates): Promise<CertificateSummary[]> {
  const own: CertificateSummary[] = [];
  for (const one of await allCertificates(clients)) {
    if (one.DomainName !== wanted.names[0]) continue;
    if ((await tokenOf(clients, one.CertificateArn ?? '')) === request.token) own.push(one);
  }
  return own;
}

/** Looks again for as long as the list may lag, since an answer that was lost may have left one. */
export function ownCertificatesOrNone(certificates: Certificates): Promise<CertificateSummary[]> {
  return lookUntil(
    () => ownCertificates(certificates),
    (own) => own.length > 0,
    PATIENCE.listed,
  );
}

/** Null: another's, or gone. */
async function tokenOf({ acm }: AwsClients, CertificateArn: string): Promise<string | null> {
  try {
    const { Tags = [] } = await acm.send(new ListTagsForCertificateCommand({ CertificateArn }));
    return Tags.find(({ Key }) => Key === REQUEST_TAG)?.Value ?? null;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** Null: there is none; for some seconds after its request, too. */
export async function findCertificate({ acm }: AwsClients, arn: string): Promise<CertificateDetail | null> {
  try {
    return (await acm.send(new DescribeCertificateCommand({ CertificateArn: arn }))).Certificate ?? null;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** Once `ready`, or as it is when patience ends. Fails with `CertificateFailed` where it is gone. */
export async function readCertificate(
  clients: AwsClients,
  arn: string,
  ready: (seen: CertificateDetail) => boolean = () => true,
): Promise<CertificateDetail> {
  const good = (seen: CertificateDetail | null): boolean => seen !== null && ready(seen);
  const found = await lookUntil(() => findCertificate(clients, arn), good, PATIENCE.readBack);
  if (found !== null) return found;
  throw failure('CertificateFailed', `the certificate ${arn} is gone: somebody deleted it`, 'A retry requests another');
}

/** Fine when it is gone. */
export async function deleteCertificate({ acm }: AwsClients, arn: string): Promise<void> {
  try {
    await acm.send(new DeleteCertificateCommand({ CertificateArn: arn }));
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}
