/**
 * The API of ACM: a requested certificate is issued when its validation records can really be looked up, where moto issues
 * any after a minute; or it fails, as AWS's do. Imported certificates are moto's alone.
 */
import { createHash } from 'node:crypto';
import { AwsError, jsonAnswer, type Answer } from './answer.js';
import type { Call } from './call.js';
import type { Route53Service } from './route53/service.js';
import { canonical } from './route53/names.js';
import type { Settings } from './settings.js';
import { isBranch, stringsOf, textOf } from './tree.js';
import type { Scope, Upstream } from './upstream.js';

const API = 'CertificateManager';
const DAY_MS = 86_400_000;
const TOKEN_LASTS_MS = 3_600_000;

interface Requested {
  domains: string[];
  at: number;
  /** How often it was described. */
  described: number;
  /** When the records were first found; null: not yet. */
  foundAt: number | null;
  /** Of `FailureReason`; null: it hasn't failed. */
  failed: string | null;
}

/** As moto answers; times are seconds since the epoch. */
interface Certificate {
  CertificateArn?: string;
  DomainName?: string;
  Status?: string;
  KeyAlgorithm?: string;
  SubjectAlternativeNames?: string[];
  [field: string]: unknown;
}

/** What a certificate doesn't have before it is issued. */
const ISSUED_ONLY = ['IssuedAt', 'NotBefore', 'NotAfter', 'Serial', 'SignatureAlgorithm'];

/** https://docs.aws.amazon.com/acm/latest/APIReference/API_RequestCertificate.html */
const NAME = /^(\*\.)?(((?!-)[A-Za-z0-9-]{0,62}[A-Za-z0-9])\.)+((?!-)[A-Za-z0-9-]{1,62}[A-Za-z0-9])$/;
const TOKEN = /^\w{1,32}$/;
const LONGEST_SUBJECT = 64;
/** https://docs.aws.amazon.com/acm/latest/APIReference/API_Filters.html */
const LISTED_KEYS = ['RSA_1024', 'RSA_2048'];
const MOST_LISTED = 1_000;

export class AcmService {
  /** ARNs of load balancers that use a certificate; Elastic Load Balancing knows. */
  usedBy: (scope: Scope, certificate: string) => Promise<string[]> = () => Promise.resolve([]);
  readonly #requested = new Map<string, Requested>();
  readonly #tokens = new Map<string, { arn: string; until: number }>();
  /** Who used a certificate when it was last asked for, and since when nobody does. */
  readonly #released = new Map<string, { users: string[]; at: number | null }>();

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
      case 'ListTagsForCertificate':
        this.#mustBeRetrievable(call);
        return this.upstream.pass(call);
      case 'DeleteCertificate':
        return this.#delete(call);
      default:
        return this.upstream.pass(call);
    }
  }

  /** What a listener asks of a certificate: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_AddListenerCertificates.html */
  async checkUsable(scope: Scope, arn: string): Promise<void> {
    const notFound = new AwsError('CertificateNotFound', `Certificate '${arn}' not found`);
    const found = await this.#moto(scope, arn).catch((error: unknown) => {
      throw error instanceof AwsError ? notFound : error;
    });
    if ((await this.#status(scope, arn, found)) !== 'ISSUED') {
      const message = `The certificate '${arn}' must have a fully-qualified domain name, a supported signature, and a supported key size.`;
      throw new AwsError('UnsupportedCertificate', message);
    }
    const requested = this.#requested.get(arn);
    const issuedAt = requested === undefined ? null : this.#issuedAt(requested);
    if (issuedAt !== null && issuedAt + this.settings().acm.usableAfterMs > Date.now()) throw notFound;
  }

  reset(): void {
    this.#requested.clear();
    this.#tokens.clear();
    this.#released.clear();
  }

  async #request(call: Call): Promise<Answer> {
    const { parameters } = call;
    const domains = this.#checkedNames(call);
    const token = textOf(parameters['IdempotencyToken']);
    if (token !== undefined && !TOKEN.test(token)) throw constraint('idempotencyToken', '\\w+, of at most 32');
    const key = `${call.account} ${call.region} ${token ?? ''}`;
    const before = token === undefined ? undefined : this.#tokens.get(key);
    if (before !== undefined && before.until > Date.now()) return jsonAnswer({ CertificateArn: before.arn });
    const answer = await this.upstream.pass(call);
    if (answer.status >= 400) return answer;
    const { CertificateArn: arn = '' } = JSON.parse(answer.body.toString('utf8')) as Certificate;
    if (token !== undefined) this.#tokens.set(key, { arn, until: Date.now() + TOKEN_LASTS_MS });
    if (parameters['ValidationMethod'] !== 'DNS') return answer;
    this.#requested.set(arn, { domains, at: Date.now(), described: 0, foundAt: null, failed: null });
    return answer;
  }

  #checkedNames({ parameters }: Call): string[] {
    const first = textOf(parameters['DomainName']) ?? '';
    const names = [...new Set([first, ...stringsOf(parameters['SubjectAlternativeNames'])])];
    const wrong = names.find((name) => !NAME.test(name) || name.length > 253);
    if (wrong !== undefined || first.length > LONGEST_SUBJECT) throw constraint('domainName', 'a domain name');
    const most = this.settings().quotas.namesOfCertificate;
    if (names.length <= most) return names;
    throw new AwsError('LimitExceededException', `The maximum number of domain names in a certificate is ${most}`);
  }

  /** https://docs.aws.amazon.com/acm/latest/APIReference/API_CertificateDetail.html */
  async #describe(call: Call): Promise<Certificate> {
    const arn = this.#mustBeRetrievable(call);
    const found = await this.#moto(call, arn);
    const users = await this.#users(call, arn);
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
      ...(status === 'FAILED' ? { FailureReason: requested.failed } : {}),
      ...(issuedAt === null ? {} : validityFrom(issuedAt, this.settings().acm.validDays)),
      DomainValidationOptions: requested.domains.map((domain) => ({
        DomainName: domain,
        ValidationDomain: domain,
        ValidationMethod: 'DNS',
        ValidationStatus: status === 'ISSUED' ? 'SUCCESS' : status === 'PENDING_VALIDATION' ? status : 'FAILED',
        ...(named ? { ResourceRecord: recordOf(call.account, domain) } : {}),
      })),
    };
  }

  /** moto would filter by a status that isn't ours, and has no pages. */
  async #list(call: Call): Promise<Answer> {
    const { parameters } = call;
    const all = (await this.upstream.json(call, 'acm', `${API}.ListCertificates`, {})) as {
      CertificateSummaryList?: Certificate[];
    };
    const retrievable = (all.CertificateSummaryList ?? []).filter((one) => this.#isRetrievable(one.CertificateArn));
    const certificates = await Promise.all(
      retrievable.map(async (one) => ({
        ...one,
        SubjectAlternativeNameSummaries: one.SubjectAlternativeNames ?? [],
        Status: await this.#status(call, one.CertificateArn ?? '', one),
      })),
    );
    const statuses = stringsOf(parameters['CertificateStatuses']);
    const includes = isBranch(parameters['Includes']) ? stringsOf(parameters['Includes']['keyTypes']) : [];
    const keys = includes.length === 0 ? LISTED_KEYS : includes;
    const kept = certificates.filter(
      ({ Status, KeyAlgorithm = '' }) =>
        (statuses.length === 0 || statuses.includes(Status)) && keys.includes(KeyAlgorithm.replace('-', '_')),
    );
    const from = Number(textOf(parameters['NextToken']) ?? 0);
    const size = Math.min(Number(parameters['MaxItems'] ?? MOST_LISTED), this.settings().pageSize ?? MOST_LISTED);
    const more = from + size < kept.length ? { NextToken: String(from + size) } : {};
    return jsonAnswer({ CertificateSummaryList: kept.slice(from, from + size), ...more });
  }

  /** https://docs.aws.amazon.com/acm/latest/APIReference/API_DeleteCertificate.html */
  async #delete(call: Call): Promise<Answer> {
    const arn = this.#mustBeRetrievable(call);
    if ((await this.#users(call, arn)).length > 0) {
      throw new AwsError('ResourceInUseException', `Certificate ${arn} in account ${call.account} is in use.`);
    }
    this.#requested.delete(arn);
    return this.upstream.pass(call);
  }

  /** A load balancer that no longer has it is counted for a while: https://github.com/aws/aws-cdk/issues/4179 */
  async #users(scope: Scope, arn: string): Promise<string[]> {
    const users = await this.usedBy(scope, arn);
    const before = this.#released.get(arn) ?? { users: [], at: null };
    if (users.length > 0) {
      this.#released.set(arn, { users, at: null });
      return users;
    }
    const at = before.at ?? Date.now();
    this.#released.set(arn, { users: before.users, at });
    return at + this.settings().acm.releasedAfterMs > Date.now() ? before.users : [];
  }

  #isRetrievable(arn: string | undefined): boolean {
    const at = this.#requested.get(arn ?? '')?.at ?? 0;
    return at + this.settings().acm.retrievableAfterMs <= Date.now();
  }

  #mustBeRetrievable(call: Call): string {
    const arn = textOf(call.parameters['CertificateArn']) ?? '';
    if (this.#isRetrievable(arn)) return arn;
    const message = `Certificate with arn ${arn} not found in account ${call.account}`;
    throw new AwsError('ResourceNotFoundException', message);
  }

  async #status(scope: Scope, arn: string, found: Certificate): Promise<string> {
    const requested = this.#requested.get(arn);
    if (requested === undefined) return found.Status ?? '';
    const { refused, timesOutAfterMs } = this.settings().acm;
    const reason = requested.domains.map((domain) => refused[domain]).find((one) => one !== undefined);
    requested.failed ??= reason ?? null;
    if (requested.failed !== null) return 'FAILED';
    if (requested.foundAt === null && (await this.#recordsFound(scope, requested))) {
      requested.failed = (await this.#forbidden(scope, requested)) ? 'CAA_ERROR' : null;
      requested.foundAt = Date.now();
      if (requested.failed !== null) return 'FAILED';
    }
    if (this.#issuedAt(requested) !== null) return 'ISSUED';
    const late = requested.foundAt === null && requested.at + timesOutAfterMs <= Date.now();
    return late ? 'VALIDATION_TIMED_OUT' : 'PENDING_VALIDATION';
  }

  #issuedAt(requested: Requested): number | null {
    const at = requested.foundAt === null ? Infinity : requested.foundAt + this.settings().acm.issuedAfterMs;
    return at <= Date.now() && requested.failed === null ? at : null;
  }

  async #recordsFound(scope: Scope, requested: Requested): Promise<boolean> {
    for (const domain of requested.domains) {
      const record = recordOf(scope.account, domain);
      const values = await this.route53.publicValues(scope, record.Name, record.Type);
      if (!values.some((value) => canonical(value) === canonical(record.Value))) return false;
    }
    return true;
  }

  /** By the nearest CAA records: https://docs.aws.amazon.com/acm/latest/userguide/setup-caa.html */
  async #forbidden(scope: Scope, { domains }: Requested): Promise<boolean> {
    for (const domain of domains) {
      const labels = domain.replace(/^\*\./, '').split('.');
      for (let skip = 0; skip < labels.length - 1; skip += 1) {
        const values = await this.route53.publicValues(scope, labels.slice(skip).join('.'), 'CAA');
        if (values.length === 0) continue;
        const wild = values.filter((value) => value.includes(' issuewild '));
        const count =
          domain.startsWith('*') && wild.length > 0 ? wild : values.filter((one) => one.includes(' issue '));
        if (count.length > 0 && !count.some((value) => /"(amazon|amazontrust|awstrust|amazonaws)\.com"/.test(value))) {
          return true;
        }
        break;
      }
    }
    return false;
  }

  async #moto(scope: Scope, arn: string): Promise<Certificate> {
    const result = await this.upstream.json(scope, 'acm', `${API}.DescribeCertificate`, { CertificateArn: arn });
    return (result as { Certificate?: Certificate }).Certificate ?? {};
  }
}

const constraint = (field: string, wanted: string): AwsError =>
  new AwsError(
    'ValidationException',
    `1 validation error detected: Value at '${field}' failed to satisfy constraint: Member must be ${wanted}`,
  );

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
