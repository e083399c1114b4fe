import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { msToTs } from '@temporalio/common/lib/time.js';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest';
import type { WorkersInput } from '../../activities/contract.js';
import { checkNamespace } from '../../activities/namespace.js';
import { preflightWorkers } from '../../activities/preflight/workers.js';
import type { Finding } from '../../spec/findings.js';

let connection: Connection;
let client: Client;
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  const address = inject('temporalAddress');
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  connection = await Connection.connect({ address });
  client = new Client({ connection });
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});
afterAll(async () => {
  await connection.close();
});

/** Queues of one test alone. */
function input(): WorkersInput {
  const queue = randomUUID();
  const queues = {
    light: `light-${queue}`,
    bulk: `bulk-${queue}`,
    snapshot: `snapshot-${queue}`,
    switch: `switch-${queue}`,
  };
  return { migration: 'orders', unit: 'database/orders', queues };
}

async function startWorker(taskQueue: string, identity: string): Promise<void> {
  // A connection serves one worker a queue: two are as good as two processes.
  const native = await NativeConnection.connect({ address: inject('temporalAddress') });
  const worker = await Worker.create({ connection: native, taskQueue, identity, activities: { nothing: () => null } });
  const ended = worker.run();
  stops.push(async () => {
    worker.shutdown();
    await ended;
    await native.close();
  });
}

/** As a worker runs it, with the worker's own client. */
function asked(workers: WorkersInput, using = client): Promise<Finding[]> {
  const env = new MockActivityEnvironment({}, { client: using });
  return env.run(preflightWorkers, workers);
}

test('queues that nobody polls are errors, a lone worker on the switch queue is a warning, two are enough', async () => {
  const workers = input();
  const { light, bulk, snapshot, switch: switching } = workers.queues;
  expect((await asked(workers)).map(({ id, unit, evidence }) => [id, unit, evidence])).toEqual([
    ['no-worker', 'database/orders', `nobody polls ${light} for activities`],
    ['no-worker', 'database/orders', `nobody polls ${bulk} for activities`],
    ['no-worker', 'database/orders', `nobody polls ${snapshot} for activities`],
    ['no-worker', 'database/orders', `nobody polls ${switching} for activities`],
  ]);

  for (const queue of [light, bulk, snapshot, switching]) await startWorker(queue, 'first');
  await expect
    .poll(() => asked(workers), { timeout: 30_000 })
    .toMatchObject([
      { id: 'lone-worker', severity: 'warning', evidence: expect.stringContaining('first alone polls') as string },
    ]);

  await startWorker(switching, 'second');
  await expect.poll(() => asked(workers), { timeout: 30_000 }).toEqual([]);
});

test('one queue for everything counts once', async () => {
  const queue = randomUUID();
  const workers = { ...input(), queues: { light: queue, bulk: queue, snapshot: queue, switch: queue } };
  expect(await asked(workers)).toMatchObject([{ id: 'no-worker' }]);
});

test('a namespace with the search attributes passes', async () => {
  const env = new MockActivityEnvironment({}, { client });
  await expect(env.run(checkNamespace)).resolves.toBeUndefined();
});

test('a namespace without them fails, and says what to run', async () => {
  const namespace = `bare-${randomUUID().slice(0, 8)}`;
  await connection.workflowService.registerNamespace({
    namespace,
    workflowExecutionRetentionPeriod: msToTs('1 day'),
  });
  const bare = new Client({ connection, namespace });
  const env = new MockActivityEnvironment({}, { client: bare });
  // A new namespace is known to the operator service only after a moment.
  const failure = () =>
    env.run(checkNamespace).then(
      () => null,
      (error: Error & { type?: string }) => [error.type, error.message],
    );
  await expect
    .poll(failure, { timeout: 30_000 })
    .toEqual([
      'SearchAttributesMissing',
      `the namespace ${namespace} has no search attribute GodwitState and GodwitStage. Run: godwit namespace setup --namespace ${namespace}`,
    ]);
});
