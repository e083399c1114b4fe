/** Certificates: https://docs.aws.amazon.com/acm/latest/APIReference/API_DescribeCertificate.html */
import {
  ACMClient,
  DeleteCertificateCommand,
  DescribeCertificateCommand,
  ListCertificatesCommand,
  RequestCertificateCommand,
  type CertificateDetail,
} from '@aws-sdk/client-acm';
import {
  AddListenerCertificatesCommand,
  CreateListenerCommand,
  DescribeListenerCertificatesCommand,
  DescribeListenersCommand,
  ElasticLoadBalancingV2Client,
  RemoveListenerCertificatesCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { ChangeResourceRecordSetsCommand, Route53Client } from '@aws-sdk/client-route-53';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import { DEFAULT_SETTINGS } from '../../lab/aws/settings.js';
import { makeWorld, type AwsWorld } from '../../lab/aws/world.js';
import { newAccount, ONCE, startAws } from '../support/aws.js';

let aws: AwsProxy;
let world: AwsWorld;
let acm: ACMClient;
let balancing: ElasticLoadBalancingV2Client;

beforeAll(async () => {
  aws = await startAws({ rates: { route53: null }, acm: { issuedAfterMs: 0 }, route53: { inSyncAfterMs: 0 } });
  world = await makeWorld(aws, { account: newAccount(), blue: [9001], green: [9002] });
  acm = new ACMClient({ ...aws.client(world), ...ONCE });
  balancing = new ElasticLoadBalancingV2Client({ ...aws.client(world), ...ONCE });
});
afterAll(() => aws.stop());

async function request(DomainName: string, others: string[] = []): Promise<string> {
  const SubjectAlternativeNames = [DomainName, ...others];
  const command = new RequestCertificateCommand({ DomainName, SubjectAlternativeNames, ValidationMethod: 'DNS' });
  return (await acm.send(command)).CertificateArn ?? '';
}

async function describeCertificate(CertificateArn: string): Promise<CertificateDetail> {
  return (await acm.send(new DescribeCertificateCommand({ CertificateArn }))).Certificate ?? {};
}

async function validate(arn: string): Promise<void> {
  const options = (await describeCertificate(arn)).DomainValidationOptions ?? [];
  const named = options.flatMap(({ ResourceRecord: record }) => (record === undefined ? [] : [record]));
  const Changes = named.map(({ Name, Value }) => ({
    Action: 'UPSERT' as const,
    ResourceRecordSet: { Name, Type: 'CNAME' as const, TTL: 60, ResourceRecords: [{ Value }] },
  }));
  const command = new ChangeResourceRecordSetsCommand({ HostedZoneId: world.zone.id, ChangeBatch: { Changes } });
  await new Route53Client(aws.client(world)).send(command);
}

// https://docs.aws.amazon.com/acm/latest/userguide/dns-validation.html
test('a certificate is issued when its record can be looked up, and not before', async () => {
  const arn = await request('www.example.com');
  const early = await describeCertificate(arn);
  expect(early.DomainValidationOptions?.[0]?.ResourceRecord).toBeUndefined();
  const pending = await describeCertificate(arn);
  expect(pending).toMatchObject({ Status: 'PENDING_VALIDATION' });
  expect(pending.NotAfter).toBeUndefined();
  expect(pending.DomainValidationOptions?.[0]?.ResourceRecord).toMatchObject({ Type: 'CNAME' });
  const listed = await acm.send(new ListCertificatesCommand({ CertificateStatuses: ['PENDING_VALIDATION'] }));
  expect(listed.CertificateSummaryList?.map((one) => one.CertificateArn)).toEqual([arn]);
  await validate(arn);
  const issued = await describeCertificate(arn);
  expect(issued).toMatchObject({ Status: 'ISSUED', DomainValidationOptions: [{ ValidationStatus: 'SUCCESS' }] });
  const days = ((issued.NotAfter?.getTime() ?? 0) - (issued.NotBefore?.getTime() ?? 0)) / 86_400_000;
  expect(days).toBe(395);
  await acm.send(new DeleteCertificateCommand({ CertificateArn: arn }));
});

test('a wildcard and its domain have one record; the same domain has it again', async () => {
  const arn = await request('example.com', ['*.example.com']);
  await describeCertificate(arn);
  const record = (detail: CertificateDetail) => detail.DomainValidationOptions?.map((one) => one.ResourceRecord?.Name);
  const [one, other] = record(await describeCertificate(arn)) ?? [];
  expect(one).toBeDefined();
  expect(one).toBe(other);
  const again = await request('example.com');
  await describeCertificate(again);
  expect(record(await describeCertificate(again))).toEqual([one]);
});

test('a record whose change is PENDING issues nothing yet', async () => {
  const arn = await request('slow.example.com');
  await describeCertificate(arn);
  aws.fail({ operation: 'ChangeResourceRecordSets', fault: { kind: 'never in sync' } });
  await validate(arn);
  expect((await describeCertificate(arn)).Status).toBe('PENDING_VALIDATION');
  aws.heal();
  expect((await describeCertificate(arn)).Status).toBe('ISSUED');
});

// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_AddListenerCertificates.html
test('a listener takes issued certificates only, and one in use is not deleted', async () => {
  const listen = (CertificateArn: string) =>
    balancing.send(
      new CreateListenerCommand({
        LoadBalancerArn: world.loadBalancer.arn,
        Protocol: 'HTTPS',
        Port: 443,
        Certificates: [{ CertificateArn }],
        DefaultActions: [{ Type: 'forward', TargetGroupArn: world.blue.arn }],
      }),
    );
  const [main, extra] = [await request('shop.example.com'), await request('api.example.com')];
  await expect(listen(main)).rejects.toMatchObject({ name: 'UnsupportedCertificate' });
  await expect(listen(`${main}0`)).rejects.toMatchObject({ name: 'CertificateNotFoundException' });
  for (const arn of [main, extra]) {
    await describeCertificate(arn);
    await validate(arn);
  }
  const ListenerArn = (await listen(main)).Listeners?.[0]?.ListenerArn;
  const add = new AddListenerCertificatesCommand({ ListenerArn, Certificates: [{ CertificateArn: extra }] });
  aws.tell({ quotas: { certificatesOfListener: 0 } });
  await expect(balancing.send(add)).rejects.toMatchObject({ name: 'TooManyCertificatesException' });
  aws.tell({ quotas: DEFAULT_SETTINGS.quotas });
  await balancing.send(add);
  await balancing.send(add);
  const certificates = await balancing.send(new DescribeListenerCertificatesCommand({ ListenerArn }));
  expect(certificates.Certificates).toEqual([
    { CertificateArn: main, IsDefault: true },
    { CertificateArn: extra, IsDefault: false },
  ]);
  const { Listeners } = await balancing.send(new DescribeListenersCommand({ ListenerArns: [ListenerArn ?? ''] }));
  expect(Listeners?.[0]?.Certificates).toEqual([{ CertificateArn: main }]);
  expect((await describeCertificate(extra)).InUseBy).toEqual([world.loadBalancer.arn]);
  const remove = (CertificateArn: string) =>
    balancing.send(new RemoveListenerCertificatesCommand({ ListenerArn, Certificates: [{ CertificateArn }] }));
  await expect(remove(main)).rejects.toMatchObject({ name: 'OperationNotPermittedException' });
  const drop = new DeleteCertificateCommand({ CertificateArn: extra });
  await expect(acm.send(drop)).rejects.toMatchObject({ name: 'ResourceInUseException' });
  await remove(extra);
  await acm.send(drop);
});
