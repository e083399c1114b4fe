/** Answers and errors in the format of each service's protocol, so that the SDK's typed exceptions come out. */
import { randomUUID } from 'node:crypto';
import type { Service } from './call.js';
import { buildXml, type Branch } from './tree.js';

export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

/** What AWS refuses; thrown by the services, written by `errorAnswer`. */
export class AwsError extends Error {
  override readonly name = 'AwsError';

  constructor(
    /** As it is on the wire: "TargetGroupNotFound", where the SDK's exception is TargetGroupNotFoundException. */
    readonly code: string,
    message: string,
    readonly status = 400,
  ) {
    super(message);
  }
}

/** Most checks that AWS makes of a single value end as this one. */
export const invalid = (message: string): AwsError => new AwsError('ValidationError', message);

const ELBV2_NAMESPACE = 'http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/';
const ROUTE53_NAMESPACE = 'https://route53.amazonaws.com/doc/2013-04-01/';

const inMember = (): string => 'member';
/** `HostedZones` → `HostedZone` */
const singular = (list: string): string => list.replace(/s$/, '');

export function elbv2Answer(operation: string, result: Branch): Answer {
  const inner = buildXml({ [`${operation}Result`]: result, ResponseMetadata: { RequestId: randomUUID() } }, inMember);
  return xml(200, `<${operation}Response xmlns="${ELBV2_NAMESPACE}">${inner}</${operation}Response>`);
}

export function route53Answer(operation: string, result: Branch, status = 200): Answer {
  const inner = buildXml(result, singular);
  return xml(status, `<${operation}Response xmlns="${ROUTE53_NAMESPACE}">${inner}</${operation}Response>`);
}

export function jsonAnswer(result: unknown, status = 200): Answer {
  const headers = { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-requestid': randomUUID() };
  return { status, headers, body: Buffer.from(JSON.stringify(result)) };
}

export function errorAnswer(service: Service, error: AwsError): Answer {
  switch (service) {
    case 'acm':
    case 'cloudwatch':
    case 'secretsmanager':
      return jsonAnswer({ __type: error.code, message: error.message }, error.status);
    case 'route53':
      return wrapped(error, ROUTE53_NAMESPACE);
    case 'elbv2':
      return wrapped(error, ELBV2_NAMESPACE);
    case 'sts':
    case 'iam':
    case 'other':
      return wrapped(error, `https://${service}.amazonaws.com/doc/2011-06-15/`);
    case 'ec2': {
      const errors = { Errors: { Error: { Code: error.code, Message: error.message } }, RequestID: randomUUID() };
      return xml(error.status, buildXml({ Response: errors }, inMember));
    }
  }
}

function wrapped(error: AwsError, namespace: string): Answer {
  const type = error.status < 500 ? 'Sender' : 'Receiver';
  const fields = { Error: { Type: type, Code: error.code, Message: error.message }, RequestId: randomUUID() };
  return xml(error.status, `<ErrorResponse xmlns="${namespace}">${buildXml(fields, inMember)}</ErrorResponse>`);
}

function xml(status: number, text: string): Answer {
  const headers = { 'content-type': 'text/xml', 'x-amzn-requestid': randomUUID() };
  return { status, headers, body: Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n${text}`) };
}
