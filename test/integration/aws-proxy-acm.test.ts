/** Certificates: https://docs.aws.amazon.com/acm/latest/APIReference/API_DescribeCertificate.html */
import {
  ACMClient,
  DeleteCertificateCommand,
  DescribeCertificateCommand,
  ListCertificatesCommand,
  ListTagsForCertificateCommand,
  paginateListCertificates,
  RequestCertificateCommand,
  type CertificateDetail,
} from '@aws-sdk/client-acm';
import {
  AddListenerCertificatesCommand,
  CreateListenerCommand,
  DescribeListenerCertificatesCommand,
  DeleteListenerCommand,
  DescribeListenersCommand,
  ElasticLoadBalancingV2Client,
  RemoveListenerCertificatesCommand,
  type Certificate,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { ChangeResourceRecordSetsCommand, Route53Client } from '@aws-sdk/client-route-53';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import { DEFAULT_SETTINGS } from '../../lab/aws/settings.js';
import { makeWorld, type AwsWorld } from '../../lab/aws/world.js';
import { newAccount, ONCE, startAws } from '../support/aws.js';

const AT_ONCE = { issuedAfterMs: 0, retrievableAfterMs: 0, usableAfterMs: 0, releasedAfterMs: 0 };

let aws: AwsProxy;
let world: AwsWorld;
let acm: ACMClient;
let balancing: ElasticLoadBalancingV2Client;

beforeAll(async () => {
  aws = await startAws({ rates: { route53: null }, acm: AT_ONCE, route53: { inSyncAfterMs: 0 } });
  world = await makeWorld(aws, { account: newAccount(), blue: [9001], green: [9002] });
  acm = new ACMClient({ ...aws.client(world), ...ONCE });
  balancing = new ElasticLoadBalancingV2Client({ ...aws.client(world), ...ONCE });
});
afterAll(() => aws.stop());
afterEach(() => {
  aws.heal();
  aws.tell({ pageSize: null, quotas: DEFAULT_SETTINGS.quotas, acm: { ...DEFAULT_SETTINGS.acm, ...AT_ONCE } });
});

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
  aws.tell({ quotas: { certificatesOfLoadBalancer: 0 } });
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

// https://docs.aws.amazon.com/acm/latest/APIReference/API_RequestCertificate.html
test('a token makes one certificate for an hour, deleted or not; names and tokens of another form are refused', async () => {
  const input = { DomainName: 'token.example.com', ValidationMethod: 'DNS' as const, IdempotencyToken: 'one' };
  const ask = (change: Partial<typeof input> & { SubjectAlternativeNames?: string[] } = {}) =>
    acm.send(new RequestCertificateCommand({ ...input, ...change }));
  const { CertificateArn } = await ask();
  expect((await ask()).CertificateArn).toBe(CertificateArn);
  expect((await ask({ IdempotencyToken: 'two' })).CertificateArn).not.toBe(CertificateArn);
  await acm.send(new DeleteCertificateCommand({ CertificateArn }));
  expect((await ask()).CertificateArn).toBe(CertificateArn);
  await expect(ask({ IdempotencyToken: 'with-hyphen' })).rejects.toMatchObject({ name: 'ValidationException' });
  await expect(ask({ DomainName: 'under_score.example.com' })).rejects.toMatchObject({ name: 'ValidationException' });
  const long = `${'a'.repeat(60)}.example.com`;
  await expect(ask({ DomainName: long })).rejects.toMatchObject({ name: 'ValidationException' });
  const many = Array.from({ length: 10 }, (_, index) => `n${index}.example.com`);
  await expect(ask({ IdempotencyToken: 'three', SubjectAlternativeNames: many })).rejects.toMatchObject({
    name: 'LimitExceededException',
  });
});

// "there is a delay of several seconds before you can retrieve information about the new certificate", ibid.
test('a certificate is not known to other calls at once', async () => {
  aws.tell({ acm: { retrievableAfterMs: 60_000 } });
  const CertificateArn = await request('soon.example.com');
  await expect(describeCertificate(CertificateArn)).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  const tags = acm.send(new ListTagsForCertificateCommand({ CertificateArn }));
  await expect(tags).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  const list = async () =>
    (await acm.send(new ListCertificatesCommand({}))).CertificateSummaryList?.map((one) => one.CertificateArn);
  expect(await list()).not.toContain(CertificateArn);
  aws.tell({ acm: { retrievableAfterMs: 0 } });
  expect(await list()).toContain(CertificateArn);
});

// https://docs.aws.amazon.com/acm/latest/APIReference/API_ListCertificates.html
test('a list has pages, and keys that were not asked for are not in it', async () => {
  const arns = [await request('one.page.example.com'), await request('two.page.example.com')];
  aws.tell({ pageSize: 1 });
  const first = await acm.send(new ListCertificatesCommand({}));
  expect(first.CertificateSummaryList).toHaveLength(1);
  const found: (string | undefined)[] = [];
  for await (const page of paginateListCertificates({ client: acm }, {})) {
    found.push(...(page.CertificateSummaryList ?? []).map((one) => one.CertificateArn));
  }
  expect(found).toEqual(expect.arrayContaining(arns));
  expect(new Set(found).size).toBe(found.length);
  const other = await acm.send(new ListCertificatesCommand({ Includes: { keyTypes: ['EC_prime256v1'] } }));
  expect(other.CertificateSummaryList).toEqual([]);
});

// https://docs.aws.amazon.com/acm/latest/userguide/troubleshooting-failed.html and setup-caa.html
test('a certificate fails for a CAA record, a refused name, and too long a wait', async () => {
  const caa = (Value: string, Action: 'CREATE' | 'DELETE') =>
    new Route53Client(aws.client(world)).send(
      new ChangeResourceRecordSetsCommand({
        HostedZoneId: world.zone.id,
        ChangeBatch: {
          Changes: [
            {
              Action,
              ResourceRecordSet: { Name: 'ca.example.com', Type: 'CAA', TTL: 60, ResourceRecords: [{ Value }] },
            },
          ],
        },
      }),
    );
  await caa('0 issue "other.example"', 'CREATE');
  const forbidden = await request('shop.ca.example.com');
  await describeCertificate(forbidden);
  await validate(forbidden);
  expect(await describeCertificate(forbidden)).toMatchObject({ Status: 'FAILED', FailureReason: 'CAA_ERROR' });
  await caa('0 issue "other.example"', 'DELETE');
  await caa('0 issue "amazon.com"', 'CREATE');
  const allowed = await request('other.ca.example.com');
  await describeCertificate(allowed);
  await validate(allowed);
  expect(await describeCertificate(allowed)).toMatchObject({ Status: 'ISSUED' });

  aws.tell({ acm: { refused: { 'bad.example.com': 'DOMAIN_NOT_ALLOWED' } } });
  const bad = await describeCertificate(await request('bad.example.com'));
  expect(bad).toMatchObject({ Status: 'FAILED', FailureReason: 'DOMAIN_NOT_ALLOWED' });
  aws.tell({ acm: { timesOutAfterMs: 0 } });
  const late = await describeCertificate(await request('late.example.com'));
  expect(late).toMatchObject({ Status: 'VALIDATION_TIMED_OUT' });
});

// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_AddListenerCertificates.html
test('only HTTPS listeners have certificates, and one call adds or removes one', async () => {
  const CertificateArn = await request('https.example.com');
  await describeCertificate(CertificateArn);
  await validate(CertificateArn);
  const add = (ListenerArn: string, Certificates: Certificate[]) =>
    balancing.send(new AddListenerCertificatesCommand({ ListenerArn, Certificates }));
  await expect(add(world.listener, [{ CertificateArn }])).rejects.toMatchObject({ name: 'ValidationError' });
  const made = await balancing.send(
    new CreateListenerCommand({
      LoadBalancerArn: world.loadBalancer.arn,
      Protocol: 'HTTPS',
      Port: 8443,
      Certificates: [{ CertificateArn }],
      DefaultActions: [{ Type: 'forward', TargetGroupArn: world.blue.arn }],
    }),
  );
  const listener = made.Listeners?.[0]?.ListenerArn ?? '';
  const two = [{ CertificateArn }, { CertificateArn }];
  await expect(add(listener, two)).rejects.toMatchObject({ name: 'ValidationError' });
  await expect(add(listener, [{ CertificateArn, IsDefault: false }])).rejects.toMatchObject({
    name: 'ValidationError',
  });
  const remove = new RemoveListenerCertificatesCommand({ ListenerArn: listener, Certificates: two });
  await expect(balancing.send(remove)).rejects.toMatchObject({ name: 'ValidationError' });
});

// https://github.com/hashicorp/terraform-provider-aws/issues/10510 and https://github.com/aws/aws-cdk/issues/4179
test('a listener knows a certificate later than ACM, and ACM counts a listener that has lost it for a while', async () => {
  aws.tell({ acm: { usableAfterMs: 60_000, releasedAfterMs: 60_000 } });
  const CertificateArn = await request('slowly.example.com');
  await describeCertificate(CertificateArn);
  await validate(CertificateArn);
  expect(await describeCertificate(CertificateArn)).toMatchObject({ Status: 'ISSUED' });
  const listener = new CreateListenerCommand({
    LoadBalancerArn: world.loadBalancer.arn,
    Protocol: 'HTTPS',
    Port: 9443,
    Certificates: [{ CertificateArn }],
    DefaultActions: [{ Type: 'forward', TargetGroupArn: world.blue.arn }],
  });
  await expect(balancing.send(listener)).rejects.toMatchObject({ name: 'CertificateNotFoundException' });
  aws.tell({ acm: { usableAfterMs: 0 } });
  const { Listeners } = await balancing.send(listener);
  expect((await describeCertificate(CertificateArn)).InUseBy).toEqual([world.loadBalancer.arn]);
  await balancing.send(new DeleteListenerCommand({ ListenerArn: Listeners?.[0]?.ListenerArn }));
  const drop = new DeleteCertificateCommand({ CertificateArn });
  await expect(acm.send(drop)).rejects.toMatchObject({ name: 'ResourceInUseException' });
  aws.tell({ acm: { releasedAfterMs: 0 } });
  await acm.send(drop);
});
