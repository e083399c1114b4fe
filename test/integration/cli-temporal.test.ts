import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { heartbeat } from '../../activities/activity-context.js';
import { registerSearchAttributes } from '../../clients/search-attributes.js';
import { connect } from '../../clients/connection.js';
import type { Progress } from '../../spec/status.js';
import { underway } from '../support/underway.js';
import { CliWorld } from '../support/cli-world.js';

const PROGRESS: Progress = {
  unit: 'database/orders',
  phase: 'initialSync',
  what: 'rows',
  done: 25,
  total: 100,
  bytesDone: 250_000_000,
  bytesTotal: 1_000_000_000,
  bytesPerSecond: 50_000_000,
  detail: 'public.orders',
};

let world: CliWorld;
let finishCopy: () => void = () => undefined;

beforeAll(async () => {
  const mayEnd = new Promise<void>((resolve) => (finishCopy = resolve));
  world = await CliWorld.start({
    copyRanges: async (input) => {
      let ended = false;
      void mayEnd.then(() => (ended = true));
      while (!ended) {
        heartbeat(PROGRESS);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      return world.model.activities.copyRanges(input);
    },
  });
});

afterAll(async () => {
  finishCopy();
  await world.stop();
});

describe('status', () => {
  test('draws what the running copy of a child workflow reports with its heartbeats', async () => {
    const { id, file } = await world.specification();
    await world.cli(['start', file, '--task-queue', world.queues.light]);
    await expect
      .poll(async () => (await world.cli(['status', id])).stdout, { timeout: 60_000 })
      .toContain('25 %  25 of 100 rows  250 MB of 1 GB  50 MB/s  ETA 15s  public.orders');
    const document: unknown = JSON.parse((await world.cli(['status', id, '-o', 'json'])).stdout);
    expect(document).toMatchObject({
      migration: id,
      pending: [
        { activity: 'holdSnapshot', progress: null },
        { activity: 'copyRanges', progress: PROGRESS },
      ],
    });

    finishCopy();
    expect((await world.cli(['abort', id, '--yes', '--wait'])).exitCode).toBe(0);
  });

  test('a message that this kind of workflow does not take is refused in its words', async () => {
    const id = `alien-${randomUUID()}`;
    await world.client.workflow.start('plan', {
      workflowId: id,
      taskQueue: world.queues.light,
      args: [{}],
    });
    const answer = await world.cli(['retry', id]);
    expect(answer.exitCode).toBe(1);
    expect(answer.stderr).toMatch(/^error: refused: a single phase doesn't take retry/);
  });

  test('without a worker says how to start one, and a start does, too', async () => {
    const { id, file } = await world.specification();
    const nobodys = `nobody-${randomUUID()}`;
    const started = await world.cli(['start', file, '--task-queue', nobodys]);
    expect(started.exitCode).toBe(0);
    expect(started.stderr).toContain(`No worker polls \`${nobodys}\` yet`);
    const status = await world.cli(['status', id]);
    expect(status.exitCode).toBe(1);
    expect(status.stderr).toContain(`no worker polls the task queue \`${nobodys}\``);
    expect(status.stderr).toContain('godwit worker');
    await world.client.workflow.getHandle(id).terminate();
  });
});

describe('worker', () => {
  test('serves the queues it is told to, and stops when asked', async () => {
    const stop = new AbortController();
    const queue = `worker-${randomUUID()}`;
    const running = underway(
      world.cli(['worker', '--queues', queue, '--log-level', 'error'], { interrupt: stop.signal }),
    );
    const temporal = await connect({ address: world.address }, {});
    try {
      await expect
        .poll(
          async () => {
            const answer = await temporal.connection.workflowService.describeTaskQueue({
              namespace: 'default',
              taskQueue: { name: queue },
              taskQueueType: 2,
            });
            return answer.pollers?.length ?? 0;
          },
          { timeout: 60_000 },
        )
        .toBeGreaterThan(0);
    } finally {
      stop.abort();
      await temporal.connection.close();
    }
    expect((await running).exitCode).toBe(0);
  });
});

describe('a namespace that was not set up', () => {
  test('is told how, is set up once, and then filters by state', async () => {
    const namespace = `cli-${randomUUID().slice(0, 8)}`;
    const temporal = await connect({ address: world.address, namespace }, {});
    await temporal.connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: { seconds: 86_400 as unknown as never },
    });
    await temporal.connection.close();
    await expect
      .poll(async () => (await world.cli(['list', '--namespace', namespace])).exitCode, { timeout: 60_000 })
      .toBe(0);

    const lost = await world.cli(['list', '--state', 'paused', '--namespace', namespace]);
    expect(lost.exitCode).toBe(1);
    expect(lost.stderr).toContain('`godwit namespace setup` registers them');

    const first = await world.cli(['namespace', 'setup', '--namespace', namespace]);
    expect(first.stdout).toMatch(/registered +GodwitState \(Keyword\)/);
    const second = await world.cli(['namespace', 'setup', '--namespace', namespace]);
    expect(second.stdout).toMatch(/was there +GodwitState \(Keyword\)/);

    await expect
      .poll(async () => (await world.cli(['list', '--state', 'paused', '--namespace', namespace])).exitCode, {
        timeout: 60_000,
      })
      .toBe(0);
  });

  test('a missing namespace is named', async () => {
    const answer = await world.cli(['list', '--namespace', 'nowhere']);
    expect(answer.exitCode).toBe(1);
    expect(answer.stderr).toContain('has no namespace `nowhere`');
  });

  test('setting up the same attributes twice at once is fine', async () => {
    const temporal = await connect({ address: world.address }, {});
    try {
      const done = await registerSearchAttributes(temporal, ['GodwitState', 'GodwitStage']);
      expect(done.every(({ was }) => was === 'registered')).toBe(true);
    } finally {
      await temporal.connection.close();
    }
  });
});
