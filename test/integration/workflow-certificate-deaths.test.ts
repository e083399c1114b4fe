/** Workers that die, as processes do, right after each call that changes something: forward, and in the undo. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import type { AwsWorld } from '../../lab/aws/world.js';
import { QUERIES } from '../../spec/messages.js';
import type { StatusDocument } from '../../spec/status.js';
import { startAws } from '../support/aws.js';
import { underway } from '../support/underway.js';
import { certificateDocument, CertificateEyes, QUICK_ACM } from '../support/certificates.js';
import { Faults } from '../support/faults.js';
import { newWorld, useAccount } from '../support/traffic.js';
import { WorkerProcess } from '../support/worker-process.js';

const QUEUE = `certificate-${randomUUID().slice(0, 8)}`;

let aws: AwsProxy;
let world: AwsWorld;
let eyes: CertificateEyes;
let listener: string;
let folder: string;
let faults: Faults;
let connection: Connection;
const workers: WorkerProcess[] = [];

beforeAll(async () => {
  const account = useAccount();
  aws = await startAws({ rates: {}, route53: { inSyncAfterMs: 10 }, acm: QUICK_ACM });
  world = await newWorld(aws, account);
  eyes = new CertificateEyes(aws, world);
  listener = await eyes.listenHttps(443);
  folder = await mkdtemp(join(tmpdir(), 'godwit-certificate-'));
  faults = await Faults.make();
  connection = await Connection.connect({ address: inject('temporalAddress') });
});
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.kill()));
  await connection?.close();
  await faults?.remove();
  await aws?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** From the environment it has the account, as a worker has. */
async function addWorker(): Promise<void> {
  const address = inject('temporalAddress');
  workers.push(await WorkerProcess.start({ folder, address, faults: faults.folder, queues: [QUEUE] }));
}

/** Right after these took effect; each kills the worker that comes there, and another one goes on. */
const FORWARD = ['certificate.requested', 'certificate.validation', 'certificate.served'];
const BACK = ['certificate.unserved', 'certificate.unvalidated', 'certificate.deleted'];

/** Each death is found out by Temporal, and another worker begins. */
const DEATHS_MS = 400_000;

const PROMISE =
  'a worker that dies after each of the calls that change something leaves one certificate, and an undo leaves none';
test(PROMISE, { timeout: DEATHS_MS }, async () => {
  while (workers.filter(({ alive }) => alive).length < 2) await addWorker();
  const before = await eyes.estate(listener);
  for (const point of [...FORWARD, ...BACK]) await faults.at(point, 'kill');
  const client = new Client({ connection });
  const handle = await client.workflow.start('certificate', {
    workflowId: `certificate-${randomUUID().slice(0, 8)}`,
    taskQueue: QUEUE,
    args: [certificateDocument(eyes, QUEUE, { domain: `shop.${eyes.domain}`, listener })],
  });
  onTestFinished(async () => {
    await faults.clear();
    if ((await handle.describe()).status.name === 'RUNNING') await handle.terminate();
  });
  const ended = handle.result().then(
    () => 'served',
    () => 'failed',
  );
  const more: Promise<void>[] = [];
  for (const point of [...FORWARD, ...BACK]) {
    await faults.reached(point);
    more.push(underway(addWorker()));
    // ACM's list lags.
    if (FORWARD.includes(point)) await expect.poll(() => eyes.made(), { timeout: 60_000 }).toHaveLength(1);
    if (point !== 'certificate.served') continue;
    expect(await eyes.served(listener)).toHaveLength(2);
    await handle.signal('abort', { by: 'ana' });
  }
  await Promise.all(more);
  expect(await ended).toBe('failed');
  const status = await handle.query<StatusDocument>(QUERIES.status);
  expect(status).toMatchObject({ state: 'undone', undoLog: [{ state: 'done' }, { state: 'done' }, { state: 'done' }] });
  expect(await eyes.estate(listener)).toEqual(before);
});
