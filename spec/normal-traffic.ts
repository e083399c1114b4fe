/** The normal form of a unit of traffic: see `normal.ts`. */
import type { NormalMetricGate } from './gates.js';
import type { Milliseconds } from './normal.js';
import type { UnitRef } from './units.js';
import type { Subject } from './verdict.js';

export interface NormalTraffic {
  name: string;
  unit: UnitRef;
  dependsOn: UnitRef[];
  route: NormalAlb | NormalRoute53;
  /** As their metrics name them. */
  subject: Subject;
  aws: AwsAccess;
  /** Rising, and the last one is 100. */
  steps: TrafficStep[];
  /** What puts traffic back, or asks, besides the gates; absent in runs that knew none. */
  triggers?: NormalMetricGate[];
  /** Weights of a rollback that nothing presses, falling; absent in runs that knew none. */
  undo?: { steps: number[]; hold: Milliseconds };
  /** Rhythm of looks while the traffic moves. */
  every: Milliseconds;
  /** Longest time without progress. */
  stall: Milliseconds;
  watch: {
    for: Milliseconds;
    every: Milliseconds;
    onFailure: 'undo' | 'hold';
    gates: NormalMetricGate[];
  };
  taskQueue: string;
}

export interface NormalAlb {
  kind: 'alb';
  /** ARN. */
  listener: string;
  /** ARNs; null: the default action of the listener. */
  rules: string[] | null;
  /** ARNs of target groups. */
  blue: string;
  green: string;
  settings: 'compare' | 'apply' | 'ignore';
  /** Of the load balancer's metrics; absent in migrations that began before there was a choice. */
  metricPeriod?: Milliseconds;
  /** Absent: none is asked for. */
  certificate?: NormalCertificate;
}

export interface NormalCertificate {
  /** In small letters; the first is that of its subject. No name twice. */
  names: [string, ...string[]];
  /** Id of the hosted zone of all names, without `/hostedzone/`. */
  zone: string;
  /** ARN. */
  listener: string;
  /** Longest time until it is issued. */
  stall: Milliseconds;
}

export interface NormalRoute53 {
  kind: 'route53';
  /** Id of the hosted zone, without `/hostedzone/`. */
  zone: string;
  /** In small letters, without the dot at its end. */
  recordName: string;
  type: 'A' | 'AAAA' | 'CNAME';
  /** While the traffic moves. */
  ttl: Milliseconds;
  /** Null: the record as it is found. */
  blue: Route53Member | null;
  green: Route53Member;
}

export interface Route53Member {
  /** Null: what the record has, else `blue` or `green`. */
  setIdentifier: string | null;
  target: { values: string[] } | { alias: Route53Alias };
}

export interface Route53Alias {
  dnsName: string;
  zone: string;
  evaluateTargetHealth: boolean;
}

/** How the API is reached; nothing of it is secret. */
export interface AwsAccess {
  /** Null: of the ARN, or the worker's. */
  region: string | null;
  /** ARN; null: the worker's own credentials. */
  role: string | null;
  /** Null: AWS_ENDPOINT_URL, or that of AWS. */
  endpoint: string | null;
}

export interface TrafficStep {
  /** Percent of the traffic that green gets. */
  weight: number;
  hold: Milliseconds;
  /** People that must approve before it. */
  approvals: number;
  gates: NormalMetricGate[];
}
