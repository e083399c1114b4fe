/**
 * What workflows may call to move traffic. As everywhere, each activity finds out before it acts. What it writes follows from the
 * before-image and a weight alone, so that after a lost answer it is known what may be there: what was there before, or this.
 */
import type { Action, TargetGroup } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { ResourceRecordSet } from '@aws-sdk/client-route-53';
import type { Finding } from '../spec/findings.js';
import type { TrafficFacts } from '../spec/plan.js';
import type { PlanPart } from './contract.js';
import type { NormalTraffic } from '../spec/normal-traffic.js';

/** What every activity on one unit of traffic gets. */
export interface TrafficMove {
  /** Workflow id of the migration. */
  migration: string;
  /** Of this unit of this migration, as `scopeKey` makes it: owner of the locks. */
  key: string;
  traffic: NormalTraffic;
}

/** Everything that the steps will change, whole and as it was found; JSON of a few kB. */
export type TrafficImage = AlbImage | Route53Image;

export interface AlbImage {
  kind: 'alb';
  /** ARNs, of what the listener belongs to. */
  loadBalancer: string;
  /** The default action or the rules, each with its whole list of actions as the API showed it. */
  places: AlbPlace[];
  /** What `settings: apply` changes of green's target group, before and after; null: it stays as it is. */
  settings: { before: TargetGroupSettings; wanted: TargetGroupSettings } | null;
}

/** Of a target group, those alone in which green differed from blue. */
export interface TargetGroupSettings {
  attributes: Record<string, string>;
  healthCheck: HealthCheck;
}

export type HealthCheck = Pick<
  TargetGroup,
  | 'HealthCheckEnabled'
  | 'HealthCheckProtocol'
  | 'HealthCheckPort'
  | 'HealthCheckPath'
  | 'HealthCheckIntervalSeconds'
  | 'HealthCheckTimeoutSeconds'
  | 'HealthyThresholdCount'
  | 'UnhealthyThresholdCount'
  | 'Matcher'
>;

export interface AlbPlace {
  /** ARN of the rule; null: the listener's default action. */
  rule: string | null;
  /** Action list, as the API showed it; secrets of an identity provider are never in it, since the API keeps those. */
  actions: Action[];
}

export interface Route53Image {
  kind: 'route53';
  /** All record sets of this name and type, as the API takes them back. */
  records: ResourceRecordSet[];
  /** What resolvers may have cached, seconds: the longest of the members'. */
  ttl: number;
  /** Members as they will be: what `blue` and `green` stand for. */
  blue: ResourceRecordSet;
  green: ResourceRecordSet;
  /** Authoritative name servers of the zone, as its parent delegates to them. */
  nameServers: string[];
}

export interface TrafficChange {
  move: TrafficMove;
  image: TrafficImage;
  /** Percent for green, 0 to 100, that was written last; null: nothing yet, the image itself is there. */
  from: number | null;
  /** Percent for green that is wanted. */
  to: number;
}

/** How far a change has come. */
export interface TrafficSet {
  weight: number;
  /** Route 53: until caches can't hold what was before, milliseconds from now; a durable timer of the workflow waits for it. */
  settlesInMs: number;
}

/** Not `detached`: nothing was done, since some clients may still stick to blue; call again in `settlesInMs`. */
export interface FinalTraffic {
  detached: boolean;
  /** Detached: until the requests that blue still answers have ended, so that it may be torn down; milliseconds from now. */
  settlesInMs: number;
}

/** What the data plane shows, since a configuration that was read back proves nothing about traffic. */
export interface TrafficProof {
  /** `insufficient`: too little was seen to say. */
  verdict: 'proven' | 'differs' | 'insufficient';
  /** Requests or answers seen, and those of them for green. */
  seen: number;
  green: number;
  /** In words and figures, for people. */
  explanation: string;
}

/** What an undo has left as somebody else has made it, in words; null: it is as it was. */
export interface TrafficPutBack {
  different: string | null;
}

export interface GreenHealth {
  healthy: boolean;
  /** `3 of 4 targets are healthy; 10.0.0.7:8080 is initial (Elb.RegistrationInProgress)`. */
  explanation: string;
}

/** What tells the certificate of one request from all others. */
export interface CertificateMove {
  move: TrafficMove;
  /** Of this request alone: the certificate has it as a tag. */
  token: string;
}

/** A certificate that was requested. */
export interface CertificateRef extends CertificateMove {
  arn: string;
}

/** A CNAME record by which ACM sees that the names are ours. */
export interface ValidationRecord {
  /** Without the dot at its end, as the value. */
  name: string;
  value: string;
  /** It was there before, so it isn't ours, and an undo leaves it. */
  there: boolean;
}

/** One look at a certificate. */
export interface CertificateLook {
  issued: boolean;
  /** `2 of 3 names are validated; waits for shop.example.org (CNAME _3f….shop.example.org)`. */
  explanation: string;
  /** When it ends, ISO; null: not issued yet. */
  notAfter: string | null;
}

export interface TrafficActivities {
  /** Reads only: what would stop or hurt. */
  preflightTraffic(move: TrafficMove): Promise<Finding[]>;
  /** Reads only. Findings included, so that a plan is complete. */
  planTraffic(move: TrafficMove): Promise<PlanPart<TrafficFacts>>;
  /** Reads only. Fails with `TrafficMismatch` where blue isn't where the traffic goes, and `InvalidSpec` for what isn't there. */
  captureTraffic(move: TrafficMove): Promise<TrafficImage>;
  /** Takes the listener or the record for this migration; `ScopeTaken` names who has it. */
  lockTraffic(change: { move: TrafficMove; image: TrafficImage }): Promise<void>;
  /**
   * Requests the unit's certificate, or finds what was requested under this token before; one that has failed is replaced.
   * Not used by anybody yet.
   */
  requestCertificate(request: CertificateMove): Promise<{ arn: string }>;
  /**
   * Reads only: the records that ACM wants, and whether they are there. Fails with `CertificateFailed` where another record
   * has such a name. `known` is what an earlier look has found; what was there then is kept.
   */
  readValidation(certificate: CertificateRef & { known: ValidationRecord[] | null }): Promise<ValidationRecord[]>;
  /** Creates those that aren't there; none is written over. */
  writeValidation(certificate: CertificateRef & { records: ValidationRecord[] }): Promise<void>;
  /** One look, so that the waiting is the workflow's. Fails with `CertificateFailed`, saying why, where it won't be issued. */
  lookAtCertificate(certificate: CertificateRef): Promise<CertificateLook>;
  /** Adds it to the listener beside the default one, and reads it back. */
  serveCertificate(certificate: CertificateRef): Promise<void>;
  /** `settings: apply`, nothing else. */
  prepareGreen(change: { move: TrafficMove; image: TrafficImage }): Promise<void>;
  /** One look, so that the waiting is the workflow's. Green gets no traffic before it is healthy. */
  greenHealth(change: { move: TrafficMove; image: TrafficImage }): Promise<GreenHealth>;
  /** As `greenHealth`, for blue: before traffic goes back to it. */
  blueHealth(change: { move: TrafficMove; image: TrafficImage }): Promise<GreenHealth>;
  /**
   * Writes the weight, and reads it back. Weight 0 attaches green. Fails with `TrafficChanged` where neither what was written
   * last nor what is wanted is there: somebody else has changed it; the message says what was expected, what was found, and
   * the tags that tell an owner. Nothing is written then.
   */
  setTraffic(change: TrafficChange): Promise<TrafficSet>;
  /**
   * Looks whether the traffic follows: requests at green, answers of every authoritative name server.
   * `sinceMs` is how long ago the weight was set, milliseconds. One look; metrics of a load balancer come by the minute.
   */
  proveTraffic(change: {
    move: TrafficMove;
    image: TrafficImage;
    weight: number;
    sinceMs: number;
  }): Promise<TrafficProof>;
  /**
   * Detaches blue, restores the TTL and gives the locks up, once stickiness is over. No way back. `sinceMs` is how long ago
   * green got all traffic, milliseconds; absent: longer than any stickiness.
   */
  finalizeTraffic(change: { move: TrafficMove; image: TrafficImage; sinceMs?: number }): Promise<FinalTraffic>;

  /** Gives all traffic back to blue, whatever weight was written last; green stays attached. As `undoTraffic` with what somebody else changed. */
  undoShift(change: { move: TrafficMove; image: TrafficImage }): Promise<TrafficPutBack>;
  /**
   * Puts the before-image back whole, whatever weight was written last, and gives the locks up. Where somebody else has changed
   * something, only blue and green are put back within it, and the failure `TrafficChanged` says what is left different: once. Whoever
   * runs it again, when nothing of this migration is there any more, accepts that, and gets it as the answer. What another migration
   * holds is not touched.
   */
  undoTraffic(change: { move: TrafficMove; image: TrafficImage }): Promise<TrafficPutBack>;
  /** Takes it off the listener. Where somebody has made it the default one it stays, and the failure says so; as with the two below. */
  undoServing(request: CertificateMove): Promise<void>;
  /** Deletes the records that weren't there before. One that was changed since, or that another certificate needs, stays. */
  undoValidation(request: CertificateMove & { records: ValidationRecord[] }): Promise<void>;
  /** Deletes the certificate, whatever became of it. One that something else uses stays. */
  undoCertificate(request: CertificateMove): Promise<void>;
}
