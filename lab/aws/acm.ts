/**
 * The API of ACM: a requested certificate is issued when its validation records can really be looked up, where moto issues
 * any after a minute. Imported certificates are moto's alone.
 */
import { createHash } from 'node:crypto';
import { AwsError, jsonAnswer, type Answer } from './answer.js';
import type { Call } from './call.js';
import type { Route53Service } from './route53/service.js';
import { canonical } from './route53/names.js';
import type { Settings } from './settings.js';
import { textOf } from './tree.js';
import type { Scope, Upstream } from './upstream.js';

const API = 'CertificateManager';
const DAY_MS = 86_400_000;

interface Requested {
  domains: string[];
  /** How often it was described. */
  described: number;
  /** When the records were first found; null: not yet. */
  foundAt: number | null;
}

/** As moto answers; times are seconds since the epoch. */
interface Certificate {
  CertificateArn?: string;
  DomainName?: string;
  Status?: string;
  [field: string]: unknown;
}

/** What a certificate doesn't have before it is issued. */
const ISSUED_ONLY = ['IssuedAt', 'NotBefore', 'NotAfter', 'Serial', 'SignatureAlgorithm'];

export class AcmService {
  /** ARNs of load balancers that use a certificate; Elastic Load Balancing knows. */
  usedBy: (scope: Scope, certificate: string) => Promise<string[]> = () => Promise.resolve([]);
  readonly #requested = new Map<string, Requested>();

  constructor(
    readonly upstream: Upstream,
    readonly settings: () => Settings,
    readonly route53: Route53Service,
  ) {}

  async answer(call: Call): Promise<Answer> {
    switch (call.operation) {
      case 'RequestCertificate':
        return this.#request(call);
      case 'DescribeCertificate':
        return jsonAnswer({ Certificate: await this.#describe(call) });
      case 'ListCertificates':
        return this.#list(call);
      case 'DeleteCertificate':
        return this.#delete(call);
      default:
        return this.upstream.pass(call);
    }
  }

  /** What a listener asks of a certificate: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_AddListenerCertificates.html */
  async checkUsable(scope: Scope, arn: string): Promise<void> {
    const found = await this.#moto(scope, arn).catch((error: unknown) => {
      if (error instanceof AwsError) throw new AwsError('CertificateNotFound', `Certificate '${arn}' not found`);
      throw error;
    });
    if ((await this.#status(scope, arn, found)) === 'ISSUED') return;
    const message = `The certificate '${arn}' must have a fully-qualified domain name, a supported signature, and a supported key size.`;
    throw new AwsError('UnsupportedCertificate', message);
  }

  reset(): void {
    this.#requested.clear();
  }

  async #request(call: Call): Promise<Answer> {
    const answer = await this.upstream.pass(call);
    if (answer.status >= 400 || call.parameters['ValidationMethod'] !== 'DNS') return answer;
    const { CertificateArn: arn = '' } = JSON.parse(answer.body.toString('utf8')) as Certificate;
    if (this.#requested.has(arn)) return answer;
    const others = call.parameters['SubjectAlternativeNames'];
    const domains = [textOf(call.parameters['DomainName']) ?? '', ...(Array.isArray(others) ? others : [])];
    this.#requested.set(arn, { domains: [...new Set(domains.map(String))], described: 0, foundAt: null });
    return answer;
  }

  /** https://docs.aws.amazon.com/acm/latest/APIReference/API_CertificateDetail.html */
  async #describe(call: Call): Promise<Certificate> {
    const arn = textOf(call.parameters['CertificateArn']) ?? '';
    const found = await this.#moto(call, arn);
    const users = await this.usedBy(call, arn);
    const requested = this.#requested.get(arn);
    if (requested === undefined) return { ...found, InUseBy: users };
    const status = await this.#status(call, arn, found);
    const named = requested.described >= this.settings().acm.describedWithoutRecord;
    requested.described += 1;
    const issuedAt = this.#issuedAt(requested);
    const others = Object.entries(found).filter(([field]) => status === 'ISSUED' || !ISSUED_ONLY.includes(field));
    return {
      ...Object.fromEntries(others),
      Status: status,
      InUseBy: users,
      ...(issuedAt === null ? {} : validityFrom(issuedAt, this.settings().acm.validDays)),
      DomainValidationOptions: requested.domains.map((domain) => ({
        DomainName: domain,
        ValidationDomain: domain,
        ValidationMethod: 'DNS',
        ValidationStatus: status === 'ISSUED' ? 'SUCCESS' : 'PENDING_VALIDATION',
        ...(named ? { ResourceRecord: recordOf(call.account, domain) } : {}),
      })),
    };
  }

  /** moto would filter by a status that isn't ours. */
  async #list(call: Call): Promise<Answer> {
    const { CertificateStatuses, ...others } = call.parameters;
    const result = (await this.upstream.json(call, 'acm', `${API}.ListCertificates`, others)) as {
      CertificateSummaryList?: Certificate[];
    };
    const certificates = await Promise.all(
      (result.CertificateSummaryList ?? []).map(async (one) => ({
        ...one,
        Status: await this.#status(call, one.CertificateArn ?? '', one),
      })),
    );
    const wanted = Array.isArray(CertificateStatuses) ? CertificateStatuses : null;
    const kept = certificates.filter((one) => wanted === null || wanted.includes(one.Status));
    return jsonAnswer({ ...result, CertificateSummaryList: kept });
  }

  /** https://docs.aws.amazon.com/acm/latest/APIReference/API_DeleteCertificate.html */
  async #delete(call: Call): Promise<Answer> {
    const arn = textOf(call.parameters['CertificateArn']) ?? '';
    if ((await this.usedBy(call, arn)).length > 0) {
      throw new AwsError('ResourceInUseException', `Certificate ${arn} in account ${call.account} is in use.`);
    }
    this.#requested.delete(arn);
    return this.upstream.pass(call);
  }

  async #status(scope: Scope, arn: string, found: Certificate): Promise<string> {
    const requested = this.#requested.get(arn);
    if (requested === undefined) return found.Status ?? '';
    requested.foundAt ??= (await this.#recordsFound(scope, requested)) ? Date.now() : null;
    return this.#issuedAt(requested) === null ? 'PENDING_VALIDATION' : 'ISSUED';
  }

  #issuedAt(requested: Requested): number | null {
    const at = requested.foundAt === null ? Infinity : requested.foundAt + this.settings().acm.issuedAfterMs;
    return at <= Date.now() ? at : null;
  }

  async #recordsFound(scope: Scope, requested: Requested): Promise<boolean> {
    for (const domain of requested.domains) {
      const record = recordOf(scope.account, domain);
      const values = await this.route53.publicValues(scope, record.Name, record.Type);
      if (!values.some((value) => canonical(value) === canonical(record.Value))) return false;
    }
    return true;
  }

  async #moto(scope: Scope, arn: string): Promise<Certificate> {
    const result = await this.upstream.json(scope, 'acm', `${API}.DescribeCertificate`, { CertificateArn: arn });
    return (result as { Certificate?: Certificate }).Certificate ?? {};
  }
}

/**
 * The same for every certificate of an account and domain, and for a wildcard and its domain:
 * https://docs.aws.amazon.com/acm/latest/userguide/dns-validation.html
 */
function recordOf(account: string, domain: string): { Name: string; Type: 'CNAME'; Value: string } {
  const base = domain.replace(/^\*\./, '').toLowerCase();
  const mark = (of: string): string => createHash('md5').update(`${of} ${account} ${base}`).digest('hex');
  return {
    Name: `_${mark('name')}.${base}.`,
    Type: 'CNAME',
    Value: `_${mark('value')}.${mark('zone').slice(0, 10)}.acm-validations.aws.`,
  };
}

const inSeconds = (ms: number): number => Math.floor(ms / 1_000);

function validityFrom(issuedAt: number, days: number): Certificate {
  return {
    IssuedAt: inSeconds(issuedAt),
    NotBefore: inSeconds(issuedAt),
    NotAfter: inSeconds(issuedAt + days * DAY_MS),
    RenewalEligibility: 'ELIGIBLE',
  };
}
