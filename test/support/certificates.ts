/** What certificates need beside a world: an HTTPS listener with a default one, and eyes for all that a migration may leave. */
import {
  ACMClient,
  DescribeCertificateCommand,
  ListTagsForCertificateCommand,
  paginateListCertificates,
  RequestCertificateCommand,
  type CertificateDetail,
} from '@aws-sdk/client-acm';
import {
  CreateListenerCommand,
  DescribeListenerCertificatesCommand,
  ElasticLoadBalancingV2Client,
  type Certificate,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type { ResourceRecordSet } from '@aws-sdk/client-route-53';
import { vi } from 'vitest';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import type { AwsWorld } from '../../lab/aws/world.js';
import type { MigrationDocument } from '../../spec/schema.js';
import { Elsewhere } from './traffic.js';

/** As quick as the lab can be, and still with each of AWS's delays. */
export const QUICK_ACM = { issuedAfterMs: 50, retrievableAfterMs: 50, usableAfterMs: 50, releasedAfterMs: 200 };

export const SOON = { timeout: 60_000, interval: 20 };

/** Serves a certificate of its own at `listener`; nothing else of the world is to move. */
export function certificateDocument(
  { aws, world }: CertificateEyes,
  taskQueue: string,
  certificate: { domain: string; listener: string } & Record<string, unknown>,
): MigrationDocument {
  return {
    apiVersion: 'godwit.dev/v1alpha1',
    kind: 'Migration',
    metadata: { name: 'shop-certificate' },
    spec: {
      traffic: {
        web: {
          alb: {
            listener: world.listener,
            settings: 'ignore',
            certificate: { zone: world.zone.id, ...certificate },
          },
          blue: { targetGroup: world.blue.arn },
          green: { targetGroup: world.green.arn },
          aws: { endpoint: aws.url },
          every: '200ms',
          taskQueue,
        },
      },
    },
  };
}

/** All that a certificate touches, past faults and logs. */
export class CertificateEyes {
  readonly elsewhere: Elsewhere;
  readonly acm: ACMClient;

  constructor(
    readonly aws: AwsProxy,
    readonly world: AwsWorld,
  ) {
    this.elsewhere = new Elsewhere(aws, world);
    this.acm = new ACMClient(aws.observer(world));
  }

  /** Without the dot at its end. */
  get domain(): string {
    return this.world.zone.name.replace(/\.$/, '');
  }

  async describe(arn: string): Promise<CertificateDetail> {
    return (await this.acm.send(new DescribeCertificateCommand({ CertificateArn: arn }))).Certificate ?? {};
  }

  /** As somebody else would, with console or Terraform. */
  async request(domain: string, ...others: string[]): Promise<string> {
    const { CertificateArn = '' } = await this.acm.send(
      new RequestCertificateCommand({
        DomainName: domain,
        SubjectAlternativeNames: [domain, ...others],
        ValidationMethod: 'DNS',
      }),
    );
    return CertificateArn;
  }

  /** Once ACM names them. */
  async validationOf(arn: string): Promise<ResourceRecordSet[]> {
    const { DomainValidationOptions: options = [] } = await vi.waitFor(async () => {
      const detail = await this.describe(arn);
      if (detail.DomainValidationOptions?.every(({ ResourceRecord }) => ResourceRecord !== undefined) === true)
        return detail;
      throw new Error(`ACM has not named the validation records of ${arn}`);
    }, SOON);
    const records = options.map(({ ResourceRecord: one }): ResourceRecordSet => ({
      Name: one?.Name,
      Type: 'CNAME',
      TTL: 60,
      ResourceRecords: [{ Value: one?.Value }],
    }));
    return [...new Map(records.map((record) => [record.Name, record])).values()];
  }

  async issue(domain: string, ...others: string[]): Promise<string> {
    const arn = await this.request(domain, ...others);
    const records = await this.validationOf(arn);
    await this.elsewhere.changeRecords(
      ...records.map((one) => ({ Action: 'UPSERT' as const, ResourceRecordSet: one })),
    );
    await vi.waitFor(async () => {
      const { Status } = await this.describe(arn);
      if (Status !== 'ISSUED') throw new Error(`${arn} is ${Status ?? 'unknown'}`);
    }, SOON);
    return arn;
  }

  /** Its default certificate is one of `main.DOMAIN`, whose validation record is in the zone. */
  async listenHttps(port: number): Promise<string> {
    const CertificateArn = await this.issue(`main${port}.${this.domain}`);
    const elb = new ElasticLoadBalancingV2Client(this.aws.observer(this.world));
    // Listeners learn of a certificate later than ACM.
    const { Listeners } = await vi.waitFor(
      () =>
        elb.send(
          new CreateListenerCommand({
            LoadBalancerArn: this.world.loadBalancer.arn,
            Protocol: 'HTTPS',
            Port: port,
            Certificates: [{ CertificateArn }],
            DefaultActions: [{ Type: 'forward', TargetGroupArn: this.world.blue.arn }],
          }),
        ),
      SOON,
    );
    return Listeners?.[0]?.ListenerArn ?? '';
  }

  async served(listener: string): Promise<Certificate[]> {
    const command = new DescribeListenerCertificatesCommand({ ListenerArn: listener });
    return (await this.elsewhere.elb.send(command)).Certificates ?? [];
  }

  /** ARNs with the tags that tell whose they are. */
  async certificates(): Promise<{ arn: string; tags: Record<string, string | undefined> }[]> {
    const all: { arn: string; tags: Record<string, string | undefined> }[] = [];
    for await (const { CertificateSummaryList = [] } of paginateListCertificates({ client: this.acm }, {})) {
      for (const { CertificateArn: arn = '' } of CertificateSummaryList) {
        const { Tags = [] } = await this.acm.send(new ListTagsForCertificateCommand({ CertificateArn: arn }));
        all.push({ arn, tags: Object.fromEntries(Tags.map(({ Key = '', Value }) => [Key, Value])) });
      }
    }
    return all;
  }

  async made(): Promise<string[]> {
    return (await this.certificates()).filter(({ tags }) => 'godwit:request' in tags).map(({ arn }) => arn);
  }

  /** Everything, to be compared. */
  async estate(listener: string): Promise<unknown> {
    return {
      listener: await this.elsewhere.listener(),
      served: await this.served(listener),
      records: await this.elsewhere.records(),
      certificates: await this.certificates(),
    };
  }
}
