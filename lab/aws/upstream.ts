/** Calls of moto: those passed on as they came, and the proxy's own questions. */
import type { Answer } from './answer.js';
import { AwsError } from './answer.js';
import type { Call } from './call.js';
import { buildQuery, isBranch, parseXml, textOf, type Branch } from './tree.js';

/** Whose and where a question is. */
export type Scope = Pick<Call, 'account' | 'region'>;

const QUERY_APIS = {
  elasticloadbalancing: '2015-12-01',
  ec2: '2016-11-15',
  iam: '2010-05-08',
} as const;

/** Ours to set anew; `expect` and the like would be wrong for a second hop. */
const HOP_HEADERS = ['host', 'connection', 'content-length', 'transfer-encoding', 'expect', 'keep-alive'];

export class Upstream {
  constructor(readonly url: string) {}

  /** The call as it came, for its account. */
  async pass(call: Call): Promise<Answer> {
    const { method, path, headers, body } = call.request;
    const kept = Object.entries(headers).flatMap(([name, value]): [string, string][] =>
      HOP_HEADERS.includes(name) || value === undefined ? [] : [[name, String(value)]],
    );
    return this.#fetch(method, path, { ...Object.fromEntries(kept), 'x-moto-account-id': call.account }, body);
  }

  /** The result of an operation of a query API, without its envelope. Throws what moto refuses as `AwsError`. */
  async query(scope: Scope, api: keyof typeof QUERY_APIS, action: string, parameters: Branch = {}): Promise<Branch> {
    const headers = { ...signed(scope, api), 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' };
    const body = buildQuery({ Action: action, Version: QUERY_APIS[api], ...parameters });
    const response = inner(await this.#fetch('POST', '/', headers, Buffer.from(body)));
    const result = response[`${action}Result`];
    return isBranch(result) ? result : response;
  }

  /** The result of a REST-XML operation, without its envelope. */
  async rest(scope: Scope, method: string, path: string): Promise<Branch> {
    return inner(await this.#fetch(method, path, signed(scope, 'route53'), null));
  }

  /** The result of an operation of a JSON API. @param target `CertificateManager.DescribeCertificate` */
  async json(scope: Scope, api: string, target: string, parameters: unknown): Promise<unknown> {
    const headers = { ...signed(scope, api), 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': target };
    const answer = await this.#fetch('POST', '/', headers, Buffer.from(JSON.stringify(parameters)));
    const result = JSON.parse(answer.body.toString('utf8')) as { __type?: string; message?: string };
    if (answer.status >= 400) throw new AwsError(result.__type ?? '', result.message ?? '', answer.status);
    return result;
  }

  async #fetch(method: string, path: string, headers: Record<string, string>, body: Buffer | null): Promise<Answer> {
    const response = await fetch(this.url + path, {
      method,
      headers,
      ...(body === null || body.length === 0 ? {} : { body: new Uint8Array(body) }),
    });
    const type = response.headers.get('content-type') ?? 'text/xml';
    return {
      status: response.status,
      headers: { 'content-type': type },
      body: Buffer.from(await response.arrayBuffer()),
    };
  }
}

/** moto tells services apart by the signature, and doesn't check it. */
function signed(scope: Scope, api: string): Record<string, string> {
  const credential = `${scope.account}/20200101/${scope.region}/${api}/aws4_request`;
  return {
    authorization: `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=host, Signature=0`,
    'x-moto-account-id': scope.account,
  };
}

function inner(answer: Answer): Branch {
  const parsed = Object.values(parseXml(answer.body.toString('utf8'))).find(isBranch) ?? {};
  if (answer.status < 400) return parsed;
  const error = isBranch(parsed['Error']) ? parsed['Error'] : firstError(parsed);
  throw new AwsError(textOf(error['Code']) ?? 'Unknown', textOf(error['Message']) ?? '', answer.status);
}

/** EC2's errors are a list, `Errors.Error`. */
function firstError(parsed: Branch): Branch {
  const errors = parsed['Errors'];
  const first = Array.isArray(errors) ? errors[0] : isBranch(errors) ? errors['Error'] : undefined;
  return isBranch(first) ? first : {};
}
