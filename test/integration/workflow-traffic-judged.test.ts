/** What moves users back, or asks, without a gate of their own; and what `analyze` says of them: by a real Prometheus. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Analysis } from '../../spec/analysis.js';
import type { MigrationDocument } from '../../spec/schema.js';
import type { StatusDocument } from '../../spec/status.js';
import { MovedShop, trafficOf, until } from '../support/moved-shop.js';

let shop: MovedShop;
beforeAll(async () => {
  shop = await MovedShop.start();
});
afterAll(async () => {
  await shop?.stop();
});

const analyze = (document: MigrationDocument, more: object): Promise<Analysis> =>
  shop.client.workflow.execute('analyze', {
    workflowId: `analyze-${randomUUID().slice(0, 8)}`,
    taskQueue: shop.queue,
    args: [{ document, ...more }],
  });

const STEPS = [
  { weight: 50, hold: '1h' },
  { weight: 100, hold: '0s' },
];

test('a green that answers much later than blue did asks a person, though no gate was written; analyze tells why', async () => {
  const load = await shop.load();
  // What was before the shift is what green is compared with.
  await expect.poll(async () => (await load.snapshot()).sent, { timeout: 60_000 }).toBeGreaterThan(600);
  const document = shop.document({ steps: STEPS, triggers: { latency: { for: '1s', onFailure: 'hold' } } });
  const handle = await shop.begin(document);
  await until(handle, (status) => trafficOf(status)?.weight === 50);
  const { quick } = await shop.slowGreen({ median: 300, p99: 900 });
  const asked = await until(handle, ({ state }) => state === 'needs-attention');
  expect(asked.units[0]?.problem).toMatchObject({
    type: 'TrafficBreached',
    message: expect.stringMatching(
      /^green p95 [\d,]+ ms of [\d,]+ requests, .* \(2 × baseline [\d.,]+ ms\): fails, for /,
    ) as string,
  });
  expect(trafficOf(asked)?.weight).toBe(50);

  const since = Date.parse(trafficOf(asked)?.log.at(-1)?.at ?? '');
  const analysis = await analyze(document, { unit: 'traffic/web', step: 50, since });
  expect(analysis).toMatchObject({ overall: 'fail', places: [{ unit: 'traffic/web', place: 'triggers' }] });
  expect(analysis.places[0]?.verdicts).toMatchObject([
    { gate: 'trigger-availability', verdict: 'pass', explanation: 'green 1 of 1 = 100 %, least 95 %: passes' },
    { gate: 'trigger-latency', verdict: 'fail' },
  ]);
  await expect(analyze(document, { step: 30 })).rejects.toMatchObject({
    cause: { message: 'there is no step of 30 %; traffic/web has 50, 100 %' },
  });

  await quick();
  await handle.signal('abort', {});
  expect(await handle.result()).toMatchObject({ state: 'undone' });
  await load.stop();
});

test('triggers without evidence hold nothing', async () => {
  const load = await shop.load();
  const document = shop.document({ triggers: { latency: { for: '0s', onFailure: 'undo' } } });
  // Nobody knows such series.
  const { traffic } = document.spec;
  if (traffic?.['web'] !== undefined) {
    traffic['web'].blue = { ...traffic['web'].blue, labels: { version: 'teal' } };
    traffic['web'].green = { ...traffic['web'].green, labels: { version: 'lime' } };
  }
  const handle = await shop.begin(document);
  const second = await until(handle, (status) => trafficOf(status)?.step === 1 && trafficOf(status)?.weight === 100);
  expect(trafficOf(second)?.log.map(({ weight }) => weight)).toEqual([0, 50, 100]);
  const looked = await until(handle, (status) => (trafficOf(status)?.verdicts.length ?? 0) > 1);
  expect(trafficOf(looked)?.verdicts.join('\n')).toMatch(/trigger-latency: green: .*knows no such series/);
  await handle.signal('abort', {});
  expect(await handle.result()).toMatchObject({ state: 'undone' });
  await load.stop();
});

/** All users are at green, for long. */
const watched = (latency: { for?: string; onFailure: 'undo' | 'none' }): MigrationDocument =>
  shop.document({
    steps: [{ weight: 100, hold: '0s' }],
    triggers: { latency },
    undo: { steps: [60, 30], hold: '1s' },
    watch: { for: '1h', every: '500ms' },
  });

const weights = (status: StatusDocument) => trafficOf(status)?.log.map(({ weight }) => weight);

test("a person's rollback goes back in steps, so that blue can warm up", async () => {
  const load = await shop.load();
  const handle = await shop.begin(watched({ onFailure: 'none' }));
  await until(handle, ({ stage }) => stage === 'watch');
  await handle.signal('rollback', { by: 'ana' });
  const calm = await until(handle, ({ state }) => state === 'rolled-back');
  expect(weights(calm)).toEqual([0, 100, 60, 30, 0]);
  expect(
    trafficOf(calm)
      ?.log.map(({ why }) => why)
      .slice(2),
  ).toEqual(['rolled back, step 1 of 2', 'rolled back, step 2 of 2', 'rolled back']);
  await handle.signal('abort', {});
  expect(await handle.result()).toMatchObject({ state: 'undone' });
  await load.stop();
});

test('a breach in the watch goes back at once, whatever the steps back', async () => {
  const load = await shop.load();
  await expect.poll(async () => (await load.snapshot()).sent, { timeout: 60_000 }).toBeGreaterThan(600);
  const handle = await shop.begin(watched({ for: '1s', onFailure: 'undo' }));
  await until(handle, ({ stage }) => stage === 'watch');
  const { quick } = await shop.slowGreen({ median: 300, p99: 900 });
  const pressed = await until(handle, ({ state }) => state === 'rolled-back');
  await quick();
  expect(weights(pressed)).toEqual([0, 100, 0]);
  expect(pressed.messages.at(-1)).toMatchObject({ name: 'rollback', by: 'the gates of traffic/web' });
  await handle.signal('abort', {});
  expect(await handle.result()).toMatchObject({ state: 'undone' });
  await load.stop();
});
