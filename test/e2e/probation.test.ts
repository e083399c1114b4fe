/** A switch on trial: a real metric of a real Prometheus goes bad after it, and the writes go back by themselves. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { switchWindows } from '../../lab/check.js';
import { ensurePrometheus } from '../../lab/components.js';
import { Prometheus } from '../../lab/prometheus.js';
import { underway } from '../support/underway.js';
import { MeteredApp } from '../support/metered-app.js';
import { say } from '../support/progress.js';
import { NOTHING_LOST, RealWorld } from '../support/real-world.js';

let world: RealWorld;
let prometheus: Prometheus;
let app: MeteredApp;
let serving = true;
/** What the service answers. */
let code = 200;
let served: Promise<void>;

beforeAll(async () => {
  const binary = await ensurePrometheus({ onProgress: say });
  world = await RealWorld.start({ built: 2 });
  app = await MeteredApp.start();
  prometheus = await Prometheus.start({
    folder: join(world.folder, 'prometheus'),
    binary,
    jobs: { shop: [{ address: app.address }] },
  });
  served = underway(serve());
});
afterAll(async () => {
  serving = false;
  await served;
  await prometheus?.stop();
  await app?.stop();
  await world?.stop();
});

beforeEach(() => {
  code = 200;
});

/** Users of a service before the database, 200 a second. */
async function serve(): Promise<void> {
  while (serving) {
    app.serve(20, code);
    await sleep(100);
  }
}

test('a breach after the switch moves the writes back without loss, and a healthy second one passes', async () => {
  const gates = [{ errorRatio: { absolute: '1%' }, minSamples: 50, window: '5s', sustained: '1s' }];
  const shop = await world.shop();
  const database = {
    ...shop.database,
    cutover: { ...shop.database.cutover, probation: { for: '8s', every: '250ms', gates } },
  };
  const metrics = { prom: { prometheus: { url: prometheus.url, template: 'http' as const } } };
  const { id, file } = await world.specification({ [shop.name]: database }, { switch: { approvals: 0 } }, metrics);
  const load = await world.load(shop);

  await world.must(['start', file]);
  await world.until(id, 'the trial', (_, unit) => unit.phase === 'probation');
  code = 500;
  const back = await world.until(id, 'the way back', ({ state }) => state === 'rolled-back');
  expect(back).toMatchObject({ primary: 'source', switches: [{ direction: 'forward' }, { direction: 'back' }] });
  const { messages } = await world.status(id);
  expect(messages.at(-1)).toMatchObject({ name: 'rollback', by: 'cutover.probation' });
  expect(messages.at(-1)?.reason).toMatch(
    /^error-ratio: now [\d,]+ of [\d,]+ = \d.* %, 95 % interval .*, limit 1 %: fails/,
  );
  expect((await world.must(['analyze', file], 1)).stdout).toMatch(
    /^fail .*cutover\.probation\n {2}✗ error-ratio: now/s,
  );

  code = 200;
  await world.fact('a healthy service', async () => (await world.godwit(['analyze', file])).exitCode === 0);
  await world.must(['switch', id]);
  const passed = await world.until(id, 'the watch', ({ stage }) => stage === 'watch');
  expect(passed.verdicts).toMatchObject([{ verdict: 'pass', decision: 'pass' }]);
  expect((await world.must(['status', id])).stdout).toMatch(/✓ error-ratio: ([▁▂▃▄▅▆▇█·]+ )?now 0 of/);
  const { switches } = await world.switched(id, 'target', 3);
  const verdict = await world.verdict(shop, load, 'target', switchWindows(switches));
  expect(verdict).toMatchObject({ ...NOTHING_LOST, ok: true, handovers: 3, requests: { failed: 0, unknown: 0 } });

  await world.must(['abort', id, '--yes', '--wait']);
  expect((await world.status(id)).state).toBe('undone');
});
