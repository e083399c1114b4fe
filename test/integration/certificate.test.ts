/** Activities on certificates over the strict stand-in of AWS: what they refuse, replace and leave, and what preflight finds. */
import { DeleteCertificateCommand } from '@aws-sdk/client-acm';
import {
  AddListenerCertificatesCommand,
  DeleteListenerCommand,
  ModifyListenerCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type { ResourceRecordSet } from '@aws-sdk/client-route-53';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { forgetClients } from '../../activities/aws/clients.js';
import { preflightTraffic } from '../../activities/aws/preflight/preflight.js';
import { trafficActivities } from '../../activities/aws/traffic.js';
import { planTraffic } from '../../activities/plan/traffic.js';
import type { CertificateMove, CertificateRef, ValidationRecord } from '../../activities/traffic-contract.js';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import { DEFAULT_SETTINGS } from '../../lab/aws/settings.js';
import type { AwsWorld } from '../../lab/aws/world.js';
import type { NormalCertificate } from '../../spec/normal-traffic.js';
import { startAws } from '../support/aws.js';
import { CertificateEyes, QUICK_ACM, SOON } from '../support/certificates.js';
import { NameServers } from '../support/name-servers.js';
import { retried } from '../support/retried.js';
import { albMoveOf, hurry, newWorld, useAccount } from '../support/traffic.js';

const {
  requestCertificate,
  readValidation,
  writeValidation,
  lookAtCertificate,
  serveCertificate,
  undoServing,
  undoValidation,
  undoCertificate,
} = trafficActivities;

let aws: AwsProxy;
let account: string;
let world: AwsWorld;
let eyes: CertificateEyes;
let listener: string;
let tests = 0;
let port = 443;
let domain: string;
let request: CertificateMove;
beforeAll(async () => {
  // No test waits for the end of this; a busy machine may need it.
  hurry({ readBack: 10_000, inSync: 20_000 });
  account = useAccount();
  aws = await startAws({ rates: {}, route53: { inSyncAfterMs: 10 }, acm: QUICK_ACM });
  world = await newWorld(aws, account);
  eyes = new CertificateEyes(aws, world);
  listener = await eyes.listenHttps(port);
});
afterAll(() => aws.stop());
beforeEach(() => {
  tests += 1;
  domain = `shop${tests}.${eyes.domain}`;
  request = requestOf();
});
afterEach(() => {
  forgetClients();
  aws.heal();
  aws.tell({ pageSize: null, quotas: DEFAULT_SETTINGS.quotas, acm: { ...DEFAULT_SETTINGS.acm, ...QUICK_ACM } });
});

/** Another listener, at a port that none has had. */
const anotherListener = (): Promise<string> => eyes.listenHttps((port += 1));

const like = (text: RegExp): string => expect.stringMatching(text) as string;

function requestOf(change: Partial<NormalCertificate> = {}, settings = {}): CertificateMove {
  const names: NormalCertificate['names'] = [domain];
  const certificate: NormalCertificate = { names, zone: world.zone.id, listener, stall: 60_000, ...change };
  return { move: albMoveOf(aws, world, { certificate, ...settings }), token: `token-${tests}` };
}

async function requested(): Promise<CertificateRef> {
  return { ...request, ...(await requestCertificate(request)) };
}

async function validated(ref: CertificateRef): Promise<ValidationRecord[]> {
  const records = await retried(() => readValidation({ ...ref, known: null }));
  await writeValidation({ ...ref, records });
  return records;
}

async function served(): Promise<{ ref: CertificateRef; records: ValidationRecord[] }> {
  const ref = await requested();
  const records = await validated(ref);
  await expect.poll(async () => (await lookAtCertificate(ref)).issued, SOON).toBe(true);
  await retried(() => serveCertificate(ref));
  return { ref, records };
}

async function undoAll(records: ValidationRecord[] = []): Promise<void> {
  await retried(() => undoServing(request));
  await retried(() => undoValidation({ ...request, records }));
  await retried(() => undoCertificate(request));
}

describe('a request', () => {
  test('is found again by its tag, however often and late it is made', async () => {
    const { arn } = await requested();
    await expect.poll(() => eyes.made(), SOON).toContain(arn);
    const before = aws.callsOf('RequestCertificate', account).length;
    expect(await requestCertificate(request)).toEqual({ arn });
    expect(aws.callsOf('RequestCertificate', account)).toHaveLength(before);
    expect((await requestCertificate({ ...request, token: `${request.token}-other` })).arn).not.toBe(arn);
  });

  test('replaces a certificate that has failed by another, once its cause is mended', async () => {
    aws.tell({ acm: { refused: { [domain]: 'CAA_ERROR' } } });
    const ref = await requested();
    await expect(lookAtCertificate(ref)).rejects.toMatchObject({
      type: 'CertificateFailed',
      nonRetryable: true,
      message: like(
        /a CAA record keeps Amazon from issuing; add one that allows amazon\.com \(CAA_ERROR\)\. Nothing uses it/,
      ),
    });
    aws.tell({ acm: { refused: {} } });
    const { arn } = await requestCertificate(request);
    expect(arn).not.toBe(ref.arn);
    await expect.poll(() => eyes.made(), SOON).toContain(arn);
    expect(await eyes.made()).not.toContain(ref.arn);
    await undoAll();
    expect(await eyes.made()).not.toContain(arn);
  });

  test('that ACM gave up after 72 hours, or that somebody deleted, says so', async () => {
    aws.tell({ acm: { timesOutAfterMs: 0 } });
    const ref = await requested();
    await expect(lookAtCertificate(ref)).rejects.toMatchObject({
      type: 'CertificateFailed',
      message: like(/did not find all validation records within 72 hours/),
    });
    await eyes.acm.send(new DeleteCertificateCommand({ CertificateArn: ref.arn }));
    await expect(lookAtCertificate(ref)).rejects.toMatchObject({
      type: 'CertificateFailed',
      message: like(/is gone: somebody deleted it\. A retry requests another/),
    });
    await undoAll();
  });

  test('over the quota of names is refused, and not taken for a throttle', async () => {
    aws.tell({ quotas: { namesOfCertificate: 1 } });
    request = requestOf({ names: [domain, `api.${domain}`] });
    await expect(requestCertificate(request)).rejects.toMatchObject({
      type: 'AwsRefused',
      message: like(/acm:RequestCertificate: LimitExceededException: The maximum number of domain names/),
    });
  });
});

describe('validation', () => {
  test('writes only what is not there, and takes only that away', async () => {
    const old = await eyes.issue(`old.${domain}`);
    request = requestOf({ names: [domain, `old.${domain}`, `*.${domain}`] });
    const ref = await requested();
    const records = await validated(ref);
    expect(records.map(({ there }) => there)).toEqual([false, true]);
    await writeValidation({ ...ref, records });
    expect(await readValidation({ ...ref, known: records })).toEqual(records);
    await undoAll(records);
    await undoAll(records);
    const left = (await eyes.elsewhere.records()).filter(({ Name }) => Name?.includes(domain));
    expect(left.map(({ Name }) => Name)).toEqual((await eyes.validationOf(old)).map(({ Name }) => Name));
  });

  test('holds where a record that was there has gone, and leaves one that was changed', async () => {
    const old = await eyes.issue(`old.${domain}`);
    const [theirs] = await eyes.validationOf(old);
    request = requestOf({ names: [domain, `old.${domain}`] });
    const ref = await requested();
    const records = await validated(ref);
    await eyes.elsewhere.changeRecords({ Action: 'DELETE', ResourceRecordSet: theirs });
    await expect(writeValidation({ ...ref, records })).rejects.toMatchObject({
      type: 'CertificateFailed',
      message: like(/was there when it was looked at first, and somebody has removed it.*Make it again, leading to _/),
    });
    const [ours] = records;
    const changed: ResourceRecordSet = {
      Name: ours?.name,
      Type: 'CNAME',
      TTL: 60,
      ResourceRecords: [{ Value: 'other.example.net' }],
    };
    await eyes.elsewhere.changeRecords({ Action: 'UPSERT', ResourceRecordSet: changed });
    await expect(undoValidation({ ...request, records })).rejects.toMatchObject({
      type: 'TrafficChanged',
      message: like(/somebody changed CNAME _.* to .*other\.example\.net.*so it stays/),
    });
    await undoCertificate(request);
  });
});

describe('a listener', () => {
  test('without room says that its quota is reached', async () => {
    aws.tell({ quotas: { certificatesOfLoadBalancer: 0 } });
    const ref = await requested();
    const records = await validated(ref);
    await expect.poll(async () => (await lookAtCertificate(ref)).issued, SOON).toBe(true);
    await expect(retried(() => serveCertificate(ref))).rejects.toMatchObject({
      type: 'AwsRefused',
      message: like(/has as many certificates as its quota allows/),
    });
    await undoAll(records);
  });

  test('that is gone by then leaves nothing to be taken off', async () => {
    const passing = await anotherListener();
    request = requestOf({ listener: passing });
    const { ref, records } = await served();
    await eyes.elsewhere.elb.send(new DeleteListenerCommand({ ListenerArn: passing }));
    await undoAll(records);
    expect(await eyes.made()).not.toContain(ref.arn);
  });

  test('of somebody else that has it too keeps the certificate, and the undo says whose it is', async () => {
    const other = await anotherListener();
    const { ref, records } = await served();
    const Certificates = [{ CertificateArn: ref.arn }];
    await eyes.elsewhere.elb.send(new AddListenerCertificatesCommand({ ListenerArn: other, Certificates }));
    await undoServing(request);
    await expect(undoCertificate(request)).rejects.toMatchObject({
      type: 'TrafficChanged',
      message: `the certificate ${ref.arn} is used by ${other}, which isn't Godwit's doing, so it stays`,
    });
    expect(await eyes.made()).toContain(ref.arn);
    await eyes.elsewhere.elb.send(new DeleteListenerCommand({ ListenerArn: other }));
    await undoAll(records);
    expect(await eyes.made()).not.toContain(ref.arn);
  });

  test('whose default certificate it was made keeps it, and the undo says so', async () => {
    const { ref } = await served();
    const [main] = await eyes.served(listener);
    const setDefault = (CertificateArn: string | undefined) =>
      eyes.elsewhere.elb.send(new ModifyListenerCommand({ ListenerArn: listener, Certificates: [{ CertificateArn }] }));
    await setDefault(ref.arn);
    await expect(retried(() => undoServing(request))).rejects.toMatchObject({
      type: 'TrafficChanged',
      message: like(/somebody made arn:.* the default certificate of .*, so it stays/),
    });
    await setDefault(main?.CertificateArn);
    await undoAll();
    expect(await eyes.served(listener)).toEqual([main]);
  });
});

describe('preflight', () => {
  let dns: NameServers;
  beforeAll(async () => {
    dns = await NameServers.start(world.zone.name, world.zone.nameServers);
  });
  afterAll(() => dns.stop());
  afterEach(async () => {
    dns.delegated = world.zone.nameServers;
    // What a test that failed has left would be found by the others.
    const left = (await eyes.elsewhere.records()).filter(({ Type }) => Type === 'CAA');
    if (left.length === 0) return;
    await eyes.elsewhere.changeRecords(...left.map((one) => ({ Action: 'DELETE' as const, ResourceRecordSet: one })));
  });

  const found = async (change: Partial<NormalCertificate> = {}, settings = {}): Promise<[string, string][]> =>
    (await preflightTraffic(requestOf(change, settings).move)).map(({ id, evidence }) => [id, evidence]);
  const caa = (Action: 'CREATE' | 'DELETE', Name: string, ...values: string[]) =>
    eyes.elsewhere.changeRecords({
      Action,
      ResourceRecordSet: { Name, Type: 'CAA', TTL: 60, ResourceRecords: values.map((Value) => ({ Value })) },
    });

  test('finds nothing where all is as it should be, and the plan names what is touched', async () => {
    expect(await found()).toEqual([]);
    const { steps, findings } = await planTraffic(request.move);
    expect(findings).toEqual([]);
    expect(steps[0]).toMatchObject({
      stage: 'prepare',
      title: `Request a certificate for ${domain}, validate it by DNS, and give it to the listener`,
      undo: like(/delete it$/),
    });
    expect(steps[0]?.touches.join('\n')).toContain(`zone ${world.zone.id}`);
    expect(steps[0]?.touches.join('\n')).toContain(listener);
  });

  test('finds zones that do not answer for the names', async () => {
    expect(await found({ names: ['shop.elsewhere.org', domain] })).toEqual([
      ['certificate-zone', like(/^shop\.elsewhere\.org is not within the zone Z?\w+, shop\d+\.example\.com$/)],
    ]);
    expect((await found({ zone: world.privateZone.id }))[0]).toEqual(['certificate-zone', like(/is private/)]);
    expect(await found({ zone: 'Z0000000000000' })).toEqual([['certificate-zone', like(/NoSuchHostedZone/)]]);
    dns.delegated = ['ns1.registrar.example'];
    expect(await found()).toEqual([['certificate-zone-delegated-elsewhere', like(/nobody asks this zone/)]]);
    dns.delegated = world.zone.nameServers;
    const ResourceRecordSet = {
      Name: domain,
      Type: 'NS' as const,
      TTL: 60,
      ResourceRecords: [{ Value: 'ns.other.net.' }],
    };
    await eyes.elsewhere.changeRecords({ Action: 'CREATE', ResourceRecordSet });
    expect(await found({ names: [`api.${domain}`] })).toEqual([
      ['certificate-zone', like(/delegates shop\d+\..* to ns\.other\.net, which answer for api\.shop/)],
    ]);
    await eyes.elsewhere.changeRecords({ Action: 'DELETE', ResourceRecordSet });
  });

  test('finds CAA records that keep Amazon from issuing, the nearest alone', async () => {
    await caa('CREATE', eyes.domain, '0 issue "other.example"');
    expect(await found()).toEqual([
      ['certificate-caa', like(/^CAA shop\d+\.example\.com says 0 issue "other\.example"/)],
    ]);
    await caa('CREATE', domain, '0 issue "amazon.com"', '0 issuewild "other.example"');
    expect(await found()).toEqual([]);
    expect(await found({ names: [`*.${domain}`] })).toEqual([['certificate-caa', like(/says 0 issuewild/)]]);
    await caa('DELETE', domain, '0 issue "amazon.com"', '0 issuewild "other.example"');
    await caa('DELETE', eyes.domain, '0 issue "other.example"');
  });

  test('finds a listener without HTTPS, one that is not there, and a load balancer without room', async () => {
    expect(await found({ listener: world.listener })).toEqual([['certificate-listener', like(/speaks HTTP$/)]]);
    expect(await found({ listener: `${listener.slice(0, -4)}0000` })).toEqual([
      ['alb-not-found', like(/ListenerNotFound/)],
    ]);
    aws.tell({ quotas: { certificatesOfLoadBalancer: 100 } });
    const names = Array.from({ length: 9 }, (_, index) => `n${index}.${domain}`);
    const arns = await Promise.all(names.map((name) => eyes.issue(name)));
    const listeners = [await anotherListener(), await anotherListener(), await anotherListener()];
    onTestFinished(async () => {
      for (const ListenerArn of listeners) await eyes.elsewhere.elb.send(new DeleteListenerCommand({ ListenerArn }));
    });
    for (const ListenerArn of listeners) {
      for (const CertificateArn of arns) {
        const add = new AddListenerCertificatesCommand({ ListenerArn, Certificates: [{ CertificateArn }] });
        await eyes.elsewhere.elb.send(add);
      }
    }
    expect(await found()).toEqual([['certificate-no-room', like(/has 27 beside default ones; AWS allows 25/)]]);
  });

  test('finds certificates that end soon, asked for or not, and says where it can not know', async () => {
    aws.tell({ acm: { validDays: 20 } });
    const ends = await anotherListener();
    aws.tell({ acm: { validDays: 395 } });
    const without = { listener: ends, certificate: undefined };
    const soon = [
      'listener-certificate-ends',
      like(/has arn:.* for main\d+\..*, which ends \d{4}-\d\d-\d\d, in 19 days/),
    ];
    aws.tell({ acm: { validDays: 20 } });
    expect((await found({}, without)).filter(([id]) => id.startsWith('listener-'))).toEqual([soon]);
    const denied = { kind: 'error', code: 'AccessDeniedException', status: 400, message: 'no policy' } as const;
    aws.fail({ operation: 'DescribeCertificate', fault: denied, times: Infinity });
    expect((await found({}, without)).filter(([id]) => !id.startsWith('green'))).toEqual([
      ['listener-certificate-unknown', like(/may not acm:DescribeCertificate/)],
    ]);
    aws.heal();
    aws.fail({ operation: 'ListCertificates', fault: denied, times: Infinity });
    expect((await found()).map(([id]) => id)).toContain('aws-permission');
  });
});
