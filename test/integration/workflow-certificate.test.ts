/** The workflow `certificate`, started alone: over the strict stand-in of AWS, with name servers that serve its zone. */
import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, onTestFinished, test } from 'vitest';
import { forgetClients } from '../../activities/aws/clients.js';
import { injectFaults } from '../../activities/fault.js';
import { activities } from '../../activities/index.js';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import { DEFAULT_SETTINGS } from '../../lab/aws/settings.js';
import type { AwsWorld } from '../../lab/aws/world.js';
import { NameServers } from '../../lab/dns/name-servers.js';
import { Resolver } from '../../lab/dns/resolver.js';
import { QUERIES } from '../../spec/messages.js';
import type { MigrationDocument } from '../../spec/schema.js';
import type { ServerCertificate, StatusDocument } from '../../spec/status.js';
import { makeLog } from '../../workers/log.js';
import { startWorkers, type Workers } from '../../workers/run.js';
import { startAws } from '../support/aws.js';
import { certificateDocument, CertificateEyes, QUICK_ACM } from '../support/certificates.js';
import { hurry, newWorld, useAccount } from '../support/traffic.js';

const QUEUE = `certificate-${randomUUID().slice(0, 8)}`;

let aws: AwsProxy;
let world: AwsWorld;
let eyes: CertificateEyes;
let listener: string;
let names: NameServers;
let connection: Connection;
let client: Client;
let workers: Workers;
let tests = 0;
let domain: string;

beforeAll(async () => {
  hurry();
  const account = useAccount();
  aws = await startAws({ rates: {}, route53: { inSyncAfterMs: 10 }, acm: QUICK_ACM });
  world = await newWorld(aws, account);
  eyes = new CertificateEyes(aws, world);
  listener = await eyes.listenHttps(443);
  names = await NameServers.start({ aws: [aws.observer(world)], refreshEveryMs: 100 });
  const address = inject('temporalAddress');
  connection = await Connection.connect({ address });
  client = new Client({ connection });
  const log = makeLog(process.env['TEST_LOG'] ?? 'silent');
  workers = await startWorkers({ address, queues: [QUEUE], workflowQueue: QUEUE, activities, log, graceMs: 200 });
});
afterAll(async () => {
  await workers?.stop();
  await connection?.close();
  await names?.stop();
  await aws?.stop();
});
beforeEach(() => {
  tests += 1;
  domain = `shop${tests}.${eyes.domain}`;
});
afterEach(() => {
  injectFaults(null);
  forgetClients();
  aws.heal();
  aws.tell({ staleness: {}, pageSize: null, acm: { ...DEFAULT_SETTINGS.acm, ...QUICK_ACM } });
});

const documentOf = (certificate: object = {}): MigrationDocument =>
  certificateDocument(eyes, QUEUE, { domain, listener, ...certificate });

async function begin(document = documentOf()): Promise<WorkflowHandle> {
  const handle = await client.workflow.start('certificate', {
    workflowId: `certificate-${randomUUID().slice(0, 8)}`,
    taskQueue: QUEUE,
    args: [document],
  });
  onTestFinished(async () => {
    if ((await handle.describe()).status.name === 'RUNNING') await handle.terminate();
  });
  return handle;
}

const statusOf = (handle: WorkflowHandle): Promise<StatusDocument> => handle.query<StatusDocument>(QUERIES.status);
const certificateIn = ({ units }: StatusDocument): ServerCertificate | undefined => units[0]?.traffic?.certificate;

async function reaches(handle: WorkflowHandle, state: ServerCertificate['state']): Promise<void> {
  const seen = async () => certificateIn(await statusOf(handle))?.state;
  await expect.poll(seen, { timeout: 60_000, interval: 50 }).toBe(state);
}

/** What it failed with, once everything was undone. */
async function failureOf(handle: WorkflowHandle): Promise<ApplicationFailure> {
  const error = await handle.result().then(
    () => null,
    (thrown: unknown) => thrown,
  );
  let inner: unknown = error;
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause;
  expect(inner).toBeInstanceOf(ApplicationFailure);
  return inner as ApplicationFailure;
}

test('is requested, validated by records that name servers answer, issued, and served beside the default one', async () => {
  const before = await eyes.served(listener);
  const handle = await begin(documentOf({ alternativeNames: [`*.${domain}`, `api.${domain}`] }));
  const result = (await handle.result()) as ServerCertificate;
  expect(result).toMatchObject({ names: [domain, `*.${domain}`, `api.${domain}`], state: 'served' });
  const detail = await eyes.describe(result.arn ?? '');
  expect(detail).toMatchObject({ Status: 'ISSUED', InUseBy: [world.loadBalancer.arn] });
  expect(result.notAfter).toBe(detail.NotAfter?.toISOString());
  expect(await eyes.served(listener)).toEqual([...before, { CertificateArn: result.arn, IsDefault: false }]);
  const { tags } = (await eyes.certificates()).find(({ arn }) => arn === result.arn) ?? {};
  expect(tags).toMatchObject({ 'godwit:migration': handle.workflowId });

  await names.refresh();
  const resolver = new Resolver({ root: names.root });
  const records = await eyes.validationOf(result.arn ?? '');
  expect(records).toHaveLength(2);
  for (const { Name = '', ResourceRecords } of records) {
    const { records: answers } = await resolver.resolve(Name, 'CNAME');
    expect(answers.map((answer) => (answer.type === 'CNAME' ? `${answer.data}.` : answer.type))).toEqual(
      ResourceRecords?.map(({ Value }) => Value),
    );
  }
  expect((await statusOf(handle)).undoLog.map(({ activity, state }) => [activity, state])).toEqual([
    ['undoCertificate', 'pending'],
    ['undoValidation', 'pending'],
    ['undoServing', 'pending'],
  ]);
});

/** All tries that the client makes of one call. */
const ALL_TRIES = 4;

/** Also its retries, so that Temporal tries the activity again. */
function loseAnswersOf(...operations: string[]): void {
  for (const operation of operations) aws.fail({ operation, fault: { kind: 'lost after' }, times: ALL_TRIES });
}

test('answers that are lost after their effect, of every call that writes, make no second certificate', async () => {
  const before = await eyes.served(listener);
  const made = await eyes.made();
  loseAnswersOf('RequestCertificate', 'ChangeResourceRecordSets', 'AddListenerCertificates');
  const { arn } = (await (await begin()).result()) as ServerCertificate;
  expect((await eyes.made()).filter((one) => !made.includes(one))).toEqual([arn]);
  expect(await eyes.served(listener)).toEqual([...before, { CertificateArn: arn, IsDefault: false }]);
});

test('an abort at its end leaves nothing behind, also where answers of its undo are lost after their effect', async () => {
  const before = await eyes.estate(listener);
  let handle: WorkflowHandle | null = null;
  injectFaults(async (reached) => {
    if (reached !== 'certificate.served') return;
    loseAnswersOf('RemoveListenerCertificates', 'ChangeResourceRecordSets', 'DeleteCertificate');
    await handle?.signal('abort', { by: 'ana' });
  });
  handle = await begin();
  expect(await failureOf(handle)).toMatchObject({ type: 'Aborted' });
  expect(await statusOf(handle)).toMatchObject({ state: 'undone' });
  expect(await eyes.estate(listener)).toEqual(before);
});

test('reads that lag, short pages and throttles change nothing of it', async () => {
  aws.tell({ pageSize: 1, staleness: { acm: { reads: 1 }, elbv2: { reads: 1 }, route53: { reads: 1 } } });
  aws.fail({ service: 'acm', fault: { kind: 'throttled' }, times: 3 });
  const made = await eyes.made();
  const { arn } = (await (await begin()).result()) as ServerCertificate;
  expect((await eyes.made()).filter((one) => !made.includes(one))).toEqual([arn]);
});

test('an abort in the middle of the validation leaves nothing behind', async () => {
  const before = await eyes.estate(listener);
  aws.tell({ acm: { issuedAfterMs: 3_600_000 } });
  const handle = await begin();
  await reaches(handle, 'pending');
  await expect
    .poll(async () => (await statusOf(handle)).reason, { timeout: 60_000 })
    .toMatch(/waits for its certificate: 0 of 1 names are validated; waits for shop\d+\..* \(CNAME _/);
  await handle.signal('abort', { by: 'ana' });
  expect(await failureOf(handle)).toMatchObject({ type: 'Aborted' });
  expect(await eyes.estate(listener)).toEqual(before);
});

test.each(['certificate.requested', 'certificate.validation'])(
  'an abort at %s leaves nothing behind',
  async (point) => {
    const before = await eyes.estate(listener);
    let handle: WorkflowHandle | null = null;
    injectFaults(async (reached) => {
      if (reached === point) await handle?.signal('abort', { by: 'ana' });
    });
    handle = await begin();
    expect(await failureOf(handle)).toMatchObject({ type: 'Aborted' });
    expect(await eyes.estate(listener)).toEqual(before);
  },
);

test('one that ACM refuses fails with its reason in words, and leaves nothing behind', async () => {
  const before = await eyes.estate(listener);
  aws.tell({ acm: { refused: { [domain]: 'DOMAIN_NOT_ALLOWED' } } });
  expect(await failureOf(await begin())).toMatchObject({
    type: 'CertificateFailed',
    message: expect.stringMatching(
      /will not be issued: Amazon issues nothing for one of the names.*DOMAIN_NOT_ALLOWED/,
    ) as string,
  });
  expect(await eyes.estate(listener)).toEqual(before);
});

test('one that is not issued in time is given up as Blocked, saying what it waits for', async () => {
  aws.tell({ acm: { issuedAfterMs: 3_600_000 } });
  const before = await eyes.estate(listener);
  expect(await failureOf(await begin(documentOf({ stall: '1s' })))).toMatchObject({
    type: 'Blocked',
    message: expect.stringMatching(
      /was not issued for [1-9][\d.]* s: 0 of 1 names are validated; waits for shop/,
    ) as string,
  });
  expect(await eyes.estate(listener)).toEqual(before);
});

test("somebody else's record of the same name is not written over", async () => {
  const twin = await eyes.request(domain);
  const [record] = await eyes.validationOf(twin);
  const theirs = {
    ...record,
    Name: record?.Name,
    Type: 'CNAME' as const,
    ResourceRecords: [{ Value: 'other.example.net' }],
  };
  await eyes.elsewhere.changeRecords({ Action: 'CREATE', ResourceRecordSet: theirs });
  const before = await eyes.estate(listener);
  expect(await failureOf(await begin())).toMatchObject({
    type: 'CertificateFailed',
    message: expect.stringMatching(
      /should lead to _.*acm-validations\.aws, and somebody has made it .*other\.example\.net/,
    ) as string,
  });
  expect(await eyes.estate(listener)).toEqual(before);
});

test('a record that was there, and one that another certificate needs by then, are left', async () => {
  const there = await eyes.issue(`old.${domain}`);
  const kept = await eyes.validationOf(there);
  let other = '';
  let handle: WorkflowHandle | null = null;
  injectFaults(async (reached) => {
    if (reached !== 'certificate.served') return;
    other = await eyes.request(domain);
    await eyes.validationOf(other);
    await handle?.signal('abort', { by: 'ana' });
  });
  handle = await begin(documentOf({ alternativeNames: [`old.${domain}`] }));
  const { message } = await failureOf(handle);
  expect(message).toMatch(/1 of the undo steps failed/);
  expect(message).toContain(`stays, since ACM renews ${other} by it, too`);
  const records = await eyes.elsewhere.records();
  const needed = [...kept, ...(await eyes.validationOf(other))].map(({ Name }) => Name);
  expect(records.map(({ Name }) => Name)).toEqual(expect.arrayContaining(needed));
  expect(records.filter(({ Name }) => Name?.includes(domain))).toHaveLength(needed.length);
});

test('a unit that asks for none is refused, before anything is done', async () => {
  const document = documentOf();
  delete document.spec.traffic?.['web']?.alb?.certificate;
  expect(await failureOf(await begin(document))).toMatchObject({
    type: 'InvalidSpec',
    message: 'traffic/web asks for no certificate: expected alb.certificate',
  });
});
