/**
 * What the edge serves: listeners, rules and target groups as the API tells them, in the form that requests are answered by.
 * `read.ts` makes it; nothing here is optional, so that a default of AWS is decided in one place.
 */
import type { RuleCondition } from '@aws-sdk/client-elastic-load-balancing-v2';

/** Seconds as the API counts them; how long one lasts in the lab, `EdgeOptions.secondMs` says. */
export type ApiSeconds = number;

export interface EdgeConfiguration {
  listeners: ListenerConfiguration[];
  targetGroups: TargetGroupConfiguration[];
}

export interface LoadBalancer {
  arn: string;
  /** What an alias record names. */
  dnsName: string;
  /** `app/shop/50dc6c495c0c9188`: how CloudWatch names it. */
  dimension: string;
  /** Real milliseconds, whatever a second of the lab is: it guards against requests that hang. */
  idleTimeoutMs: number;
}

export interface ListenerConfiguration {
  arn: string;
  loadBalancer: LoadBalancer;
  protocol: 'HTTP' | 'HTTPS';
  /** As the API has it, such as 443; the edge listens elsewhere. */
  port: number;
  /** In the order of their priorities, the default rule last. */
  rules: Rule[];
}

export interface Rule {
  arn: string;
  /** All of them must hold. */
  conditions: RuleCondition[];
  action: Action;
}

export type Action = Forward | FixedResponse | Redirect;

export interface Forward {
  type: 'forward';
  /** Weights are relative to each other. */
  groups: WeightedGroup[];
  /** How long users stay with their group; null: each request is weighed. */
  stickyFor: ApiSeconds | null;
}

export interface WeightedGroup {
  arn: string;
  weight: number;
}

export interface FixedResponse {
  type: 'fixed-response';
  status: number;
  contentType: string;
  body: string;
}

/** Parts may name those of the request: `#{host}`, `#{path}`, `#{port}`, `#{protocol}`, `#{query}`. */
export interface Redirect {
  type: 'redirect';
  status: 301 | 302;
  protocol: string;
  host: string;
  port: string;
  path: string;
  query: string;
}

export interface TargetGroupConfiguration {
  arn: string;
  /** `targetgroup/shop-green/73e2d6bc24d8a067`: how CloudWatch names it. */
  dimension: string;
  protocol: 'HTTP' | 'HTTPS';
  /** Registered ones; those that drain are not among them. */
  targets: TargetAddress[];
  healthCheck: HealthCheck;
  deregistrationDelay: ApiSeconds;
  /** 0: none. */
  slowStart: ApiSeconds;
  algorithm: 'round_robin' | 'least_outstanding_requests' | 'weighted_random';
  /** Null: each request may go to another target. */
  stickiness: TargetStickiness | null;
}

export interface TargetAddress {
  /** Instance id or address, as it was registered. */
  id: string;
  port: number;
}

export interface HealthCheck {
  protocol: 'HTTP' | 'HTTPS';
  path: string;
  port: number | 'traffic-port';
  interval: ApiSeconds;
  /** Real milliseconds: a check is a real request. */
  timeoutMs: number;
  healthyThreshold: number;
  unhealthyThreshold: number;
  /** `200`, `200,202`, `200-299`. */
  matcher: string;
}

export interface TargetStickiness {
  kind: 'lb_cookie' | 'app_cookie';
  /** Of the application's own cookie; empty for `lb_cookie`. */
  cookie: string;
  duration: ApiSeconds;
}

/** `200-299,301` → whether a status is a success. https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Matcher.html */
export function matches(matcher: string, status: number): boolean {
  return matcher.split(',').some((part) => {
    const [from = NaN, to = from] = part.split('-').map(Number);
    return status >= from && status <= to;
  });
}
