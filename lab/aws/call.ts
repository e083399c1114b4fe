/** One call of an API as it came over the wire: whose it is, which service and operation it means, with which parameters. */
import type { IncomingHttpHeaders } from 'node:http';
import { routeOf } from './route53/routes.js';
import { parseQuery, parseXml, textOf, type Branch } from './tree.js';

/** As the SDK's clients are named. Others than these are passed on to moto as they are. */
export type Service = 'elbv2' | 'route53' | 'acm' | 'cloudwatch' | 'secretsmanager' | 'sts' | 'ec2' | 'iam' | 'other';

export interface Call {
  service: Service;
  operation: string;
  account: string;
  region: string;
  parameters: Branch;
  request: HttpRequest;
}

export interface HttpRequest {
  method: string;
  /** With its query. */
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** moto's own, which any access key belongs to that names no other. */
export const DEFAULT_ACCOUNT = '123456789012';

/** Names in a signature's credential scope. */
const SIGNED_AS: Record<string, Service> = {
  elasticloadbalancing: 'elbv2',
  route53: 'route53',
  acm: 'acm',
  monitoring: 'cloudwatch',
  secretsmanager: 'secretsmanager',
  sts: 'sts',
  ec2: 'ec2',
  iam: 'iam',
};

const CREDENTIAL = /Credential=(?<key>[^/]+)\/\d{8}\/(?<region>[^/]+)\/(?<service>[^/]+)\/aws4_request/;

/** Null: it isn't signed, so nobody can say what it is. */
export function readCall(request: HttpRequest, accountOf: (accessKey: string) => string): Call | null {
  const { key = '', region = '', service = '' } = CREDENTIAL.exec(request.headers.authorization ?? '')?.groups ?? {};
  if (key === '') return null;
  const known = SIGNED_AS[service] ?? 'other';
  return { service: known, account: accountOf(key), region, request, ...meaningOf(known, request) };
}

function meaningOf(service: Service, request: HttpRequest): Pick<Call, 'operation' | 'parameters'> {
  const text = request.body.toString('utf8');
  const target = request.headers['x-amz-target'];
  if (typeof target === 'string') {
    return { operation: target.split('.').at(-1) ?? '', parameters: text === '' ? {} : (JSON.parse(text) as Branch) };
  }
  if (service === 'route53') {
    const route = routeOf(request.method, request.path);
    const body = Object.values(text === '' ? {} : parseXml(text))[0];
    return { operation: route.operation, parameters: { ...(body as Branch | undefined), ...route.parameters } };
  }
  const query = parseQuery(text);
  const parameters = Object.fromEntries(Object.entries(query).filter(([key]) => key !== 'Action' && key !== 'Version'));
  return { operation: textOf(query['Action']) ?? '', parameters };
}
