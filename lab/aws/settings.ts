/** What the stand-in can be told about how AWS behaves; each default is AWS's own, or quick where AWS takes long. */
import type { Service } from './call.js';
import { AWS_RATES, type Rates } from './rate.js';
import type { Staleness } from './replica.js';

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html */
export interface Quotas {
  listenersOfLoadBalancer: number;
  /** Default rules not counted. */
  rulesOfLoadBalancer: number;
  targetGroupsOfLoadBalancer: number;
  targetGroupsOfAction: number;
  /** Default certificates not counted. */
  certificatesOfLoadBalancer: number;
  /** https://docs.aws.amazon.com/acm/latest/userguide/acm-limits.html */
  namesOfCertificate: number;
  targetsOfTargetGroup: number;
}

export interface Settings {
  /** Where target health is asked: `GET {edge}/target-health?targetGroupArn=…` answers `EdgeHealth[]`. Null: no edge. */
  edge: string | null;
  /** Most entries on a page of any list, so that a few resources already make several. Null: as AWS has it. */
  pageSize: number | null;
  /** Of each service's reads. @default none: reads see writes at once */
  staleness: Partial<Record<Service, Staleness>>;
  /** @default Route 53: 5 a second */
  rates: Rates;
  /** Of an account; AWS changes them on request. */
  quotas: Quotas;
  route53: {
    /** From a change of records to INSYNC; AWS: mostly under 60 s. */
    inSyncAfterMs: number;
    /** While a change of a zone is PENDING, another is refused as `PriorRequestNotComplete`. AWS does so now and then. */
    oneChangeAtATime: boolean;
  };
  acm: {
    /** From when the validation record can be looked up to ISSUED; AWS: minutes. */
    issuedAfterMs: number;
    /** So many times DescribeCertificate doesn't name the validation record yet, as in AWS's first seconds. */
    describedWithoutRecord: number;
    /** From the request until any other call knows the certificate; AWS: several seconds. */
    retrievableAfterMs: number;
    /** From ISSUED until listeners take it; AWS: some seconds now and then. */
    usableAfterMs: number;
    /** From when a listener has lost it until it is no longer in use; AWS: some ten seconds. */
    releasedAfterMs: number;
    /** From the request to VALIDATION_TIMED_OUT. */
    timesOutAfterMs: number;
    /** Names whose certificates fail, with the FailureReason. */
    refused: Record<string, string>;
    /** Of a certificate, from its issue; AWS: 13 months. */
    validDays: number;
  };
  cloudwatch: {
    /** From PutMetricData to when it is found; AWS: up to some minutes. */
    visibleAfterMs: number;
  };
}

export const DEFAULT_SETTINGS: Settings = {
  edge: null,
  pageSize: null,
  staleness: {},
  rates: AWS_RATES,
  quotas: {
    listenersOfLoadBalancer: 50,
    rulesOfLoadBalancer: 100,
    targetGroupsOfLoadBalancer: 100,
    targetGroupsOfAction: 5,
    certificatesOfLoadBalancer: 25,
    namesOfCertificate: 10,
    targetsOfTargetGroup: 1_000,
  },
  route53: { inSyncAfterMs: 300, oneChangeAtATime: false },
  acm: {
    issuedAfterMs: 300,
    describedWithoutRecord: 1,
    retrievableAfterMs: 100,
    usableAfterMs: 100,
    releasedAfterMs: 300,
    timesOutAfterMs: 72 * 3_600_000,
    refused: {},
    validDays: 395,
  },
  cloudwatch: { visibleAfterMs: 0 },
};

/** Some settings, the others as they are. */
export type SettingsChange = Omit<Partial<Settings>, 'quotas' | 'route53' | 'acm' | 'cloudwatch'> & {
  quotas?: Partial<Quotas>;
  route53?: Partial<Settings['route53']>;
  acm?: Partial<Settings['acm']>;
  cloudwatch?: Partial<Settings['cloudwatch']>;
};

export function changed(settings: Settings, change: SettingsChange): Settings {
  return {
    ...settings,
    ...change,
    quotas: { ...settings.quotas, ...change.quotas },
    route53: { ...settings.route53, ...change.route53 },
    acm: { ...settings.acm, ...change.acm },
    cloudwatch: { ...settings.cloudwatch, ...change.cloudwatch },
  };
}
