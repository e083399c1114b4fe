/** Who is asked how users fare: `spec.metrics`, by name. The schema as a person writes it, and its normal form. */
import { z } from 'zod';
import { duration, httpUrl, label, NAMED_VALUES, socketUrl } from './fields.js';
import type { Milliseconds, SecretReference } from './normal.js';
import type { SpecProblem } from './problems.js';
import { SecretReferenceSchema } from './secret-reference.js';
import { oneOf } from './spelling.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** Exporters whose metrics are known by name: `activities/metrics/templates.ts` has their queries. */
export const TEMPLATES = ['http', 'istio', 'envoy', 'nginx-ingress', 'traefik'] as const;
export type Template = (typeof TEMPLATES)[number];

/** Labels or dimensions by name, which choose what is asked about. */
export const namedValues = () =>
  z.record(z.string().regex(NAMED_VALUES, { error: 'expected a name of letters, digits and _' }), z.string().min(1));

const timeout = () => duration(50, 5 * MINUTE).prefault('10s');

const Prometheus = z.strictObject({
  url: httpUrl().describe(
    'Where its HTTP API begins, without /api/v1: http://prometheus:9090. Whatever speaks it will do: Thanos, Mimir, VictoriaMetrics.',
  ),
  template: z
    .enum(TEMPLATES)
    .optional()
    .describe(
      'Whose metrics they are, so that gates need no queries. http: http_requests_total and http_request_duration_seconds, as most client libraries have them.',
    ),
  labels: namedValues().prefault({}).describe('Labels that every series must have, such as namespace: shop.'),
  headers: z
    .record(z.string().min(1), SecretReferenceSchema)
    .prefault({})
    .describe('Headers of every request, each the whole value by reference, such as Authorization.'),
  timeout: timeout().describe('Longest wait for one answer.'),
});

const CloudWatch = z.strictObject({
  region: z.string().min(1).optional().describe("Region of the metrics. Default: the worker's."),
  role: z
    .string()
    .regex(/^arn:[^:]+:iam::\d{12}:role\/.+$/, {
      error: 'expected the ARN of a role, such as arn:aws:iam::123456789012:role/godwit',
    })
    .optional()
    .describe('Role to assume. Default: none.'),
  endpoint: httpUrl().optional().describe("Another address of the API. Default: AWS's."),
  delay: duration(0, 15 * MINUTE)
    .prefault('1m')
    .describe('How late figures arrive: the minutes younger than this are left out.'),
  timeout: timeout().describe('Longest wait for one answer.'),
});

const Webhook = z.strictObject({
  url: httpUrl().describe(
    'Gets POST with gate, kind, side, labels, from and to; answers {"verdict": "pass"}, fail, no-data or insufficient, with a reason; or figures: {"value": 0.2} or {"bad": 3, "total": 900}.',
  ),
  token: SecretReferenceSchema.optional().describe(
    'Where to find a token, sent as Authorization: Bearer. Redirects are not followed.',
  ),
  timeout: timeout().describe('Longest wait for one answer.'),
});

const textOrSecret = () => z.union([z.string(), SecretReferenceSchema]).meta({ title: 'text or secret reference' });

const Expectation = z
  .strictObject({
    status: z
      .union([z.int().min(100).max(599), z.array(z.int().min(100).max(599)).min(1)])
      .prefault(200)
      .transform((status) => (typeof status === 'number' ? [status] : status))
      .meta({ title: 'status or list of them' })
      .describe('Status of the answer.'),
    body: z.string().min(1).optional().describe('Text that the answer must contain.'),
    headers: z
      .record(z.string().min(1), z.string())
      .prefault({})
      .describe('Headers that the answer must have, with this text in them.'),
    within: duration(1, 5 * MINUTE)
      .optional()
      .describe("Longest time to the answer's end. Default: timeout."),
  })
  .prefault({});

const HttpRequest = {
  url: httpUrl().describe(
    'Where to. {NAME} stands for the label NAME of the side that is judged: http://{host}/health.',
  ),
  method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']).prefault('GET').describe('Method of the request.'),
  headers: z.record(z.string().min(1), textOrSecret()).prefault({}).describe('Headers to send.'),
  body: textOrSecret().optional().describe('What to send. Default: nothing.'),
  expect: Expectation.describe('What the answer must be. Redirects are answers like others: they are not followed.'),
};

const Http = z.strictObject(HttpRequest);

const WebSocketEcho = z.strictObject({
  url: socketUrl().describe('Where to: ws:// or wss://; {NAME} stands for a label.'),
  headers: z.record(z.string().min(1), textOrSecret()).prefault({}).describe('Headers to send.'),
  send: z.string().min(1).prefault('godwit').describe('What to send once it is open.'),
  expect: z.string().min(1).optional().describe('Text that the first answer must contain. Default: what was sent.'),
  within: duration(1, 5 * MINUTE)
    .optional()
    .describe('Longest time to the answer. Default: timeout.'),
});

const LogIn = z.strictObject({
  steps: z
    .array(Http)
    .min(1)
    .describe('Requests one after the other; cookies that an answer sets go with those that follow.'),
});

const SMOKE_KINDS = { http: Http, webSocket: WebSocketEcho, logIn: LogIn };
export const SMOKE_KIND_NAMES = ['http', 'webSocket', 'logIn'] as const;

const SmokeCheck = z.strictObject({
  name: label().describe('Name in verdicts.'),
  http: SMOKE_KINDS.http.optional().describe('One request and its answer.'),
  webSocket: SMOKE_KINDS.webSocket.optional().describe('A WebSocket that answers what it is sent.'),
  logIn: SMOKE_KINDS.logIn.optional().describe('A log-in: requests that share their cookies.'),
});

const Smoke = z.strictObject({
  checks: z.array(SmokeCheck).min(1).describe('All of them run at each look, side by side.'),
  timeout: timeout().describe('Longest time for one check.'),
});

const PROVIDER_KINDS = { prometheus: Prometheus, cloudWatch: CloudWatch, webhook: Webhook, smoke: Smoke };
export type ProviderKind = keyof typeof PROVIDER_KINDS;
export const PROVIDER_KIND_NAMES = Object.keys(PROVIDER_KINDS) as ProviderKind[];

const Provider = z
  .strictObject({
    prometheus: Prometheus.optional().describe('A Prometheus, or what speaks its HTTP API.'),
    cloudWatch: CloudWatch.optional().describe('Amazon CloudWatch; for ALB its metrics are known.'),
    webhook: Webhook.optional().describe('A call of your own that answers.'),
    smoke: Smoke.optional().describe('Requests that the worker makes itself.'),
  })
  .meta({ minProperties: 1, maxProperties: 1 })
  .describe('Somebody to ask: one of these kinds.');

export const Metrics = z
  .record(label(), Provider)
  .prefault({})
  .describe('Who is asked how users fare, by name; gates ask them.');

export type ParsedMetrics = z.output<typeof Metrics>;

// ── the normal form ──

interface Asked {
  name: string;
  /** Of one call. */
  timeout: Milliseconds;
}

export type NormalProvider = NormalPrometheus | NormalCloudWatch | NormalWebhook | NormalSmoke;

export type NormalPrometheus = Asked & {
  kind: 'prometheus';
  url: string;
  template: Template | null;
  labels: Record<string, string>;
  headers: Record<string, SecretReference>;
};

export type NormalCloudWatch = Asked & {
  kind: 'cloudWatch';
  region: string | null;
  role: string | null;
  endpoint: string | null;
  delay: Milliseconds;
};

export type NormalWebhook = Asked & { kind: 'webhook'; url: string; token: SecretReference | null };

export type NormalSmoke = Asked & { kind: 'smoke'; checks: SmokeTest[] };

export type SmokeTest = { name: string } & (
  | { kind: 'http'; steps: SmokeRequest[] }
  | { kind: 'logIn'; steps: SmokeRequest[] }
  | {
      kind: 'webSocket';
      url: string;
      headers: Record<string, string | SecretReference>;
      send: string;
      expect: string;
      within: Milliseconds | null;
    }
);

export interface SmokeRequest {
  url: string;
  method: string;
  headers: Record<string, string | SecretReference>;
  body: string | SecretReference | null;
  expect: { status: number[]; body: string | null; headers: Record<string, string>; within: Milliseconds | null };
}

/** `checkMetrics` has seen to it that each is of exactly one kind. */
export function normalProviders(metrics: ParsedMetrics): NormalProvider[] {
  return Object.entries(metrics).flatMap(([name, { prometheus, cloudWatch, webhook, smoke }]): NormalProvider[] => {
    if (prometheus !== undefined)
      return [{ kind: 'prometheus', name, ...prometheus, template: prometheus.template ?? null }];
    if (cloudWatch !== undefined) {
      const { region = null, role = null, endpoint = null, delay, timeout } = cloudWatch;
      return [{ kind: 'cloudWatch', name, region, role, endpoint, delay, timeout }];
    }
    if (webhook !== undefined) return [{ kind: 'webhook', name, ...webhook, token: webhook.token ?? null }];
    if (smoke !== undefined) {
      return [{ kind: 'smoke', name, timeout: smoke.timeout, checks: smoke.checks.flatMap(normalCheck) }];
    }
    return [];
  });
}

function normalCheck({ name, http, webSocket, logIn }: z.output<typeof SmokeCheck>): SmokeTest[] {
  if (http !== undefined) return [{ name, kind: 'http', steps: [normalRequest(http)] }];
  if (logIn !== undefined) return [{ name, kind: 'logIn', steps: logIn.steps.map(normalRequest) }];
  if (webSocket === undefined) return [];
  const { url, headers, send, expect = send, within = null } = webSocket;
  return [{ name, kind: 'webSocket', url, headers, send, expect, within }];
}

function normalRequest({ url, method, headers, body, expect }: z.output<typeof Http>): SmokeRequest {
  const { status, headers: wanted } = expect;
  return {
    url,
    method,
    headers,
    body: body ?? null,
    expect: { status, body: expect.body ?? null, headers: wanted, within: expect.within ?? null },
  };
}

/** What the schema can't say of `spec.metrics`. */
export function checkMetrics(metrics: ParsedMetrics): SpecProblem[] {
  return Object.entries(metrics).flatMap(([name, provider]): SpecProblem[] => {
    const path = ['spec', 'metrics', name];
    const [kind, ...others] = PROVIDER_KIND_NAMES.filter((one) => provider[one] !== undefined);
    if (kind === undefined || others.length > 0) {
      const found = kind === undefined ? 'none' : [kind, ...others].join(' and ');
      const message = `expected one kind of provider, ${oneOf(PROVIDER_KIND_NAMES)}, found ${found}; give each a name of its own`;
      return [{ path, about: 'value', message }];
    }
    return (provider.smoke?.checks ?? []).flatMap((check, index): SpecProblem[] => {
      const here = [...path, 'smoke', 'checks', index];
      const kinds = SMOKE_KIND_NAMES.filter((one) => check[one] !== undefined);
      if (kinds.length !== 1) {
        const message = `expected one kind of check, ${oneOf(SMOKE_KIND_NAMES)}, found ${kinds.join(' and ') || 'none'}`;
        return [{ path: here, about: 'value', message }];
      }
      const first = provider.smoke?.checks.findIndex((other) => other.name === check.name);
      if (first === index) return [];
      return [
        { path: [...here, 'name'], about: 'value', message: `expected a name of its own, found ${check.name} twice` },
      ];
    });
  });
}
