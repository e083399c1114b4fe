/**
 * Bad days of traffic, each by the real workflow, and an abort in the middle of each: the traffic is back as it was, to the byte, or
 * as far as somebody else's change lets it, and that is said.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Call } from '../../lab/aws/call.js';
import type { Fault } from '../../lab/aws/faults.js';
import type { AwsProxy, LoggedCall } from '../../lab/aws/proxy.js';
import type { AwsWorld } from '../../lab/aws/world.js';
import { NameServers } from '../../lab/dns/name-servers.js';
import { Resolver } from '../../lab/dns/resolver.js';
import type { StatusDocument } from '../../spec/status.js';
import { startAws } from '../support/aws.js';
import { CountedEdge } from '../support/counted-edge.js';
import { Faults } from '../support/faults.js';
import { hurry, newWorld, useAccount } from '../support/traffic.js';
import { ListenerPlace, RecordPlace, type Place } from '../support/traffic-places.js';
import { trafficIn, TrafficRuns, type Run } from '../support/traffic-runs.js';
import { WorkerProcess } from '../support/worker-process.js';

let aws: AwsProxy;
let world: AwsWorld;
let edge: CountedEdge;
let names: NameServers;
let resolver: Resolver;
let runs: TrafficRuns;
const listeners: ListenerPlace[] = [];
const records: RecordPlace[] = [];
beforeAll(async () => {
  hurry({ answer: 2_000, inSync: 3_000 });
  aws = await startAws({ rates: {}, route53: { inSyncAfterMs: 10 } });
  world = await newWorld(aws, useAccount());
  // More than there are tests: one that is tried again takes another.
  while (listeners.length < 20) listeners.push(await ListenerPlace.make(aws, world));
  while (records.length < 8) records.push(await RecordPlace.make(aws, world, records.length));
  edge = await CountedEdge.start(aws, world);
  names = await NameServers.start({ aws: [aws.observer(world)], refreshEveryMs: 300 });
  resolver = await Resolver.listen({ root: names.root });
  process.env['GODWIT_DNS'] = `${resolver.place.address}:${resolver.place.port}`;
  runs = await TrafficRuns.start();
});
afterAll(async () => {
  delete process.env['GODWIT_DNS'];
  await runs?.stop();
  await resolver?.close();
  await names?.stop();
  await edge?.stop();
  await aws?.stop();
});

/** One that nobody else has. */
function taken<P>(places: P[]): P {
  const place = places.pop();
  if (place === undefined) throw new Error('make more places');
  return place;
}

const HELD = [
  { weight: 50, hold: '1h' },
  { weight: 100, hold: '0s' },
];

const begin = (place: Place, steps = HELD, every = '1s'): Promise<Run> =>
  runs.begin({ ...place.document, steps, every });

const failing = (place: Place, operation: string, fault: Fault) =>
  aws.fail({ operation, fault, times: Infinity, when: (call: Call) => place.owns(call) });

const metBy = (given: { met: number }, times: number): Promise<void> =>
  expect.poll(() => given.met, { timeout: 60_000 }).toBeGreaterThanOrEqual(times);

/** As found, to the byte, with status saying so. */
async function isUndone(run: Run, place: Place): Promise<StatusDocument> {
  expect(await run.ended()).toBe('undone');
  expect(await place.image()).toBe(place.before);
  const status = await run.status();
  expect(trafficIn(status)).toMatchObject({ weight: null, wanted: null });
  return status;
}

async function abortUndoes(run: Run, place: Place): Promise<StatusDocument> {
  await run.signal('abort', { by: 'ana' });
  return isUndone(run, place);
}

describe.concurrent('an abort undoes everything', { timeout: 300_000 }, () => {
  test('with weights in the middle, by a step or by hand', async () => {
    const place = taken(listeners);
    const run = await begin(place);
    await run.atWeight(50);
    await run.send('setWeight', { weight: 7, by: 'ana', reason: 'slowly' });
    await run.atWeight(7);
    expect(await place.weight()).toBe(7);
    await abortUndoes(run, place);
  });

  test('while old answers of a record settle', async () => {
    const place = taken(records);
    const run = await runs.begin({
      ...place.document,
      route53: { zone: place.zone, name: place.name, ttl: '10m' },
      steps: HELD,
    });
    await run.until('the wait', ({ reason }) => reason?.includes('until no resolver holds the old records') === true);
    expect(await place.weight()).toBe(0);
    await abortUndoes(run, place);
  });

  test('while green does not become healthy, and says who is not', async () => {
    const place = taken(listeners);
    edge.unhealthy.add(place.green);
    const run = await begin(place);
    const waiting = await run.until('the wait', ({ reason }) => reason?.includes('waits for green: 0 of 1') === true);
    expect(waiting.reason).toMatch(/127\.0\.0\.1:9001 is unhealthy \(Target\.Timeout\)/);
    expect(await place.weight()).toBe(0);
    await abortUndoes(run, place);
  });

  test('while a step is held without evidence: nobody sends requests', async () => {
    const place = taken(listeners);
    // Nothing is counted at target groups of which nobody knows.
    edge.idle.add(place.listener);
    const run = await begin(
      place,
      [
        { weight: 50, hold: '0s' },
        { weight: 100, hold: '0s' },
      ],
      '500ms',
    );
    const held = await run.until('the hold', ({ reason }) => reason?.includes('holds: ') === true);
    expect(held.reason).toMatch(/no whole period of metrics|CloudWatch has counted no request/);
    await run.until('no request', ({ reason }) => reason?.includes('CloudWatch has counted no request') === true);
    expect(trafficIn(await run.status())).toMatchObject({ weight: 50, step: 0 });
    await abortUndoes(run, place);
  });

  test('while AWS throttles for minutes, once it lets the undo through', async () => {
    const place = taken(listeners);
    const run = await begin(place);
    await run.atWeight(50);
    const given = failing(place, 'ModifyListener', { kind: 'throttled' });
    await run.send('setWeight', { weight: 20, by: 'ana' });
    await metBy(given, 5);
    await run.signal('abort', { by: 'ana' });
    await metBy(given, 10);
    expect(trafficIn(await run.status())).toMatchObject({ weight: 50, wanted: 20 });
    expect(await place.weight()).toBe(50);
    given.stop();
    await isUndone(run, place);
  });

  test('when INSYNC never comes, once Route 53 takes changes again', async () => {
    const place = taken(records);
    const given = failing(place, 'ChangeResourceRecordSets', { kind: 'never in sync' });
    const run = await begin(place);
    // The lock is one change; the first weights are the next, made anew at each try.
    await metBy(given, 3);
    expect(await place.weight()).toBe(0);
    given.stop();
    await abortUndoes(run, place);
  });

  test('when credentials have expired in the middle of a step, once they are renewed', async () => {
    const place = taken(listeners);
    const run = await begin(place);
    await run.atWeight(50);
    const given = failing(place, 'ModifyListener', { kind: 'expired credentials' });
    await run.send('setWeight', { weight: 60, by: 'ana' });
    const { units } = await run.needsAttention();
    expect(units[0]?.problem).toMatchObject({ type: 'AuthenticationFailed' });
    expect(units[0]?.problem?.next).toMatch(/^Green has 50 % or 60 % of the traffic/);
    await run.signal('abort', { by: 'ana' });
    expect(await run.ended()).toBe('failed');
    const failed = await run.status();
    expect(failed.reason).toMatch(/ExpiredToken.*By hand: put the actions of arn:.* back as `godwit status/);
    expect(trafficIn(failed)).toMatchObject({ weight: 50 });
    given.stop();
    await isUndone(await run.revive('abort'), place);
  });

  test('after a rollback because of a blue that is not healthy: it says so, and waits for a person', async () => {
    const place = taken(listeners);
    const run = await begin(place);
    await run.atWeight(50);
    edge.unhealthy.add(place.blue);
    await run.signal('rollback', { by: 'ana' });
    const { units } = await run.needsAttention();
    expect(units[0]?.problem).toMatchObject({
      type: 'Blocked',
      message: expect.stringContaining('blue is not healthy, so the traffic stays where it is') as string,
    });
    expect(await place.weight()).toBe(50);
    edge.unhealthy.delete(place.blue);
    await run.signal('retry');
    await run.until('the rollback', ({ state }) => state === 'rolled-back');
    expect(await place.weight()).toBe(0);
    await abortUndoes(run, place);
  });
});

describe.concurrent('a start is refused, and leaves nothing to undo,', { timeout: 300_000 }, () => {
  test('where another migration has the listener, whose weights an abort leaves alone', async () => {
    const place = taken(listeners);
    const first = await begin(place);
    await first.atWeight(50);
    const second = await begin(place);
    const { findings } = await second.needsAttention();
    expect(findings.map(({ id }) => id)).toEqual(expect.arrayContaining(['alb-locked', 'alb-traffic-elsewhere']));
    await second.signal('abort', { by: 'ana' });
    expect(await second.ended()).toBe('undone');
    expect(await place.weight()).toBe(50);
    await abortUndoes(first, place);
  });

  test('where nobody polls the task queue of the unit', async () => {
    const place = taken(listeners);
    const run = await runs.begin({ ...place.document, steps: HELD, taskQueue: `nobody-${place.name}` });
    const { findings } = await run.needsAttention();
    expect(findings).toMatchObject([{ id: 'no-worker', severity: 'error', unit: 'traffic/web' }]);
    await abortUndoes(run, place);
  });
});

describe.concurrent("somebody else's change", { timeout: 300_000 }, () => {
  test('of a listener is kept: the first undo says what differs, and the second ends', async () => {
    const place = taken(listeners);
    const spare = taken(listeners);
    const run = await begin(place);
    await run.atWeight(50);
    await place.forward({ [place.blue]: 30, [place.green]: 60, [spare.blue]: 10 });
    const held = await run.needsAttention();
    expect(held.units[0]?.problem).toMatchObject({ type: 'TrafficChanged' });
    await run.signal('abort', { by: 'ana' });
    expect(await run.ended()).toBe('failed');
    expect((await run.status()).reason).toMatch(/blue has its traffic back as far as it goes: somebody else changed/);
    const again = await run.revive('abort');
    expect(await again.ended()).toBe('undone');
    const { reason, undoLog } = await again.status();
    expect(reason).toMatch(/so it is not as it was \(forward to .*-blue\) but: forward to .*-blue 90, .*-blue 10/);
    expect(undoLog.every(({ state }) => state === 'done')).toBe(true);
    expect(await place.weight()).toBeNull();
    expect(JSON.parse(await place.image())).toMatchObject({ tags: {} });
  });

  test('of a listener is met by a rollback, which gives blue what both have, and goes on after a retry', async () => {
    const place = taken(listeners);
    const run = await begin(place, HELD, '1h');
    await run.atWeight(50);
    await place.forward({ [place.blue]: 20, [place.green]: 80 });
    await place.modify(
      (await place.actions()).map((one) => ({
        ...one,
        ForwardConfig: { ...one.ForwardConfig, TargetGroupStickinessConfig: { Enabled: true, DurationSeconds: 60 } },
      })),
    );
    await run.signal('rollback', { by: 'ana' });
    const { units } = await run.needsAttention();
    expect(units[0]?.problem?.message).toMatch(/blue has its traffic back as far as it goes/);
    expect(await place.weight()).toBe(0);
    await run.signal('retry');
    const back = await run.until('the rollback', ({ state }) => state === 'rolled-back');
    expect(trafficIn(back).log.at(-1)).toMatchObject({
      weight: 0,
      why: expect.stringContaining('sticky for 60 s') as string,
    });
    await run.signal('abort', { by: 'ana' });
    expect(await run.ended()).toBe('failed');
    expect(await (await run.revive('abort')).ended()).toBe('undone');
    expect(await place.weight()).toBeNull();
  });

  test('of a record is kept by the same two steps', async () => {
    const place = taken(records);
    const run = await begin(place);
    await run.atWeight(50);
    const [blue] = await place.elsewhere.recordsOf(place.zone);
    await place.elsewhere.changeZone(place.zone, {
      Action: 'CREATE',
      ResourceRecordSet: {
        ...blue,
        Name: `${place.name}.`,
        Type: 'A',
        SetIdentifier: 'theirs',
        Weight: 5,
        TTL: 1,
        ResourceRecords: [{ Value: '10.7.7.7' }],
      },
    });
    await run.needsAttention();
    await run.signal('abort', { by: 'ana' });
    expect(await run.ended()).toBe('failed');
    const again = await run.revive('abort');
    expect(await again.ended()).toBe('undone');
    expect((await again.status()).reason).toMatch(/but: blue 100 .*theirs 5/);
    expect((await place.elsewhere.recordsOf(place.zone)).map(({ SetIdentifier }) => SetIdentifier)).toEqual([
      'blue',
      'theirs',
    ]);
  });
});

describe('a worker that dies', { timeout: 300_000 }, () => {
  test('between a write and its answer is followed by one that goes on, and an abort undoes', async () => {
    const place = taken(listeners);
    const run = await begin(place);
    await run.atWeight(50);
    // The write takes effect, and the worker that made it never hears of it.
    const given = failing(place, 'ModifyListener', { kind: 'lost after' });
    await run.send('setWeight', { weight: 30, by: 'ana' });
    await expect.poll(() => place.weight(), { timeout: 60_000 }).toBe(30);
    const writes = (): LoggedCall[] => aws.callsOf('ModifyListener').filter((call) => place.owns(call));
    // The weight is there before the call has ended.
    await expect.poll(() => writes().at(-1)?.outcome, { timeout: 60_000 }).toBe('lost');
    await runs.stopWorkers();
    given.stop();
    await runs.startWorkers();
    await run.atWeight(30);
    await abortUndoes(run, place);
  });

  test('by SIGKILL right after a write, there and in the undo, leaves nothing that the next one does not undo', async () => {
    const place = taken(listeners);
    const folder = await mkdtemp(join(tmpdir(), 'godwit-traffic-'));
    const faults = await Faults.make();
    const queue = `killed-${randomUUID().slice(0, 8)}`;
    const options = { folder, address: runs.address, faults: faults.folder, queues: [queue] };
    const workers = [await WorkerProcess.start(options), await WorkerProcess.start(options)];
    try {
      await faults.at('traffic.written', 'kill');
      const run = await runs.begin({ ...place.document, steps: HELD, every: '1h', taskQueue: queue });
      await faults.reached('traffic.written');
      workers.push(await WorkerProcess.start(options));
      await run.atWeight(50);
      await faults.at('traffic.undone', 'kill');
      await run.signal('abort', { by: 'ana' });
      await faults.reached('traffic.undone');
      await isUndone(run, place);
    } finally {
      await Promise.all(workers.map((worker) => worker.kill()));
      await faults.remove();
      await rm(folder, { recursive: true });
    }
  });
});
