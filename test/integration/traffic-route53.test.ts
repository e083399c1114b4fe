import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CreateHealthCheckCommand, type ResourceRecordSet } from '@aws-sdk/client-route-53';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { forgetClients } from '../../activities/aws/clients.js';
import { trafficActivities } from '../../activities/aws/traffic.js';
import { injectFaults } from '../../activities/fault.js';
import type { TrafficImage, TrafficMove } from '../../activities/traffic-contract.js';
import type { Fault } from '../../lab/aws/faults.js';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import type { AwsWorld } from '../../lab/aws/world.js';
import { startAws } from '../support/aws.js';
import { underway } from '../support/underway.js';
import { NameServers } from '../support/name-servers.js';
import { retried } from '../support/retried.js';
import { Elsewhere, hurry, newWorld, recordMoveOf, throughHistory, useAccount } from '../support/traffic.js';

const {
  captureTraffic,
  lockTraffic,
  greenHealth,
  blueHealth,
  setTraffic,
  proveTraffic,
  finalizeTraffic,
  undoShift,
  undoTraffic,
} = trafficActivities;

let aws: AwsProxy;
let world: AwsWorld;
let dns: NameServers;
let elsewhere: Elsewhere;
let move: TrafficMove;
/** Of the record of this test, with the dot at its end. */
let name: string;
let tests = 0;
beforeAll(async () => {
  hurry();
  // The stand-in's limit of 5 requests a second would only make the tests long; route53-rate has it.
  aws = await startAws({ rates: {}, route53: { inSyncAfterMs: 10 } });
  world = await newWorld(aws, useAccount());
  dns = await NameServers.start(world.zone.name, world.zone.nameServers);
  elsewhere = new Elsewhere(aws, world);
});
afterAll(async () => {
  await dns.stop();
  await aws.stop();
});
beforeEach(() => {
  tests += 1;
  name = `shop${tests}.${world.zone.name}`;
  move = recordMoveOf(aws, world, { recordName: name.slice(0, -1) });
  dns.delegated = world.zone.nameServers;
  for (const server of dns.servers) Object.assign(server, { silent: false, truncates: false });
});
afterEach(() => {
  injectFaults(null);
  forgetClients();
  aws.heal();
  aws.tell({ pageSize: null });
});

const capture = async (of = move): Promise<TrafficImage> => throughHistory(await captureTraffic(of));
const set = (image: TrafficImage, from: number | null, to: number) => setTraffic({ move, image, from, to });
const record = (values: string[], change: Partial<ResourceRecordSet> = {}): ResourceRecordSet => ({
  Name: name,
  Type: 'A',
  TTL: 300,
  ResourceRecords: values.map((Value) => ({ Value })),
  ...change,
});
const create = (...records: ResourceRecordSet[]): Promise<void> =>
  elsewhere.changeRecords(...records.map((ResourceRecordSet) => ({ Action: 'CREATE' as const, ResourceRecordSet })));
const upsert = (ResourceRecordSet: ResourceRecordSet): Promise<void> =>
  elsewhere.changeRecords({ Action: 'UPSERT', ResourceRecordSet });

/** Records of this test's name, and locks of it. */
const found = async (): Promise<ResourceRecordSet[]> =>
  (await elsewhere.records()).filter(({ Name = '' }) => Name.endsWith(name));
const weights = async (): Promise<Record<string, number>> =>
  Object.fromEntries(
    (await found())
      .filter(({ SetIdentifier }) => SetIdentifier !== undefined)
      .map(({ SetIdentifier = '', Weight = 0 }) => [SetIdentifier, Weight]),
  );

describe('a simple record', () => {
  beforeEach(() => create(record(['10.0.0.1', '10.0.0.2'])));

  test('becomes weighted, moves step by step, and back to the byte', async () => {
    const before = await found();
    const image = await capture();
    await lockTraffic({ move, image });
    expect(await set(image, null, 0)).toEqual({ weight: 0, settlesInMs: 330_000 });
    expect(await found()).toMatchObject([
      { SetIdentifier: 'blue', Weight: 100, TTL: 60, ResourceRecords: [{ Value: '10.0.0.1' }, { Value: '10.0.0.2' }] },
      { SetIdentifier: 'green', Weight: 0, TTL: 60, ResourceRecords: [{ Value: '10.0.1.1' }] },
      { Type: 'TXT', Name: `_godwit-lock-a.${name}` },
    ]);
    expect(await set(image, 0, 25)).toEqual({ weight: 25, settlesInMs: 66_000 });
    expect(await weights()).toEqual({ blue: 75, green: 25 });
    await undoTraffic({ move, image });
    expect(await found()).toEqual(before);
  });

  test('is looked at without a write as long as its weight stays', async () => {
    const image = await capture();
    await set(image, null, 25);
    aws.calls.length = 0;
    expect(await set(image, 25, 25)).toEqual({ weight: 25, settlesInMs: 0 });
    expect(aws.calls.map(({ operation }) => operation)).toEqual(['ListResourceRecordSets']);
    await upsert(record(['10.0.1.2'], { SetIdentifier: 'green', Weight: 25, TTL: 60 }));
    await expect(set(image, 25, 25)).rejects.toMatchObject({ type: 'TrafficChanged' });
  });

  test('goes back to blue with green attached, from any weight, and before there was one', async () => {
    const before = await found();
    const image = await capture();
    await undoShift({ move, image });
    expect(await found()).toEqual(before);
    await set(image, null, 60);
    await undoShift({ move, image });
    await undoShift({ move, image });
    expect(await weights()).toEqual({ blue: 100, green: 0 });
  });

  test('ends as a simple record of green, with the TTL that it had', async () => {
    const image = await capture();
    await lockTraffic({ move, image });
    await set(image, null, 100);
    expect(await finalizeTraffic({ move, image })).toEqual({ detached: true, settlesInMs: 0 });
    expect(await finalizeTraffic({ move, image })).toEqual({ detached: true, settlesInMs: 0 });
    expect(await found()).toEqual([record(['10.0.1.1'])]);
  });

  test('is held by one migration, of any number that claim at once', async () => {
    const image = await capture();
    const moves = ['one', 'two', 'three'].map((migration) =>
      recordMoveOf(aws, world, { recordName: name.slice(0, -1) }, migration),
    );
    const claimed = await Promise.allSettled(moves.map((one) => lockTraffic({ move: one, image })));
    const holders = moves.filter((_, index) => claimed[index]?.status === 'fulfilled');
    expect(holders).toHaveLength(1);
    for (const one of claimed) {
      if (one.status === 'rejected') expect(one.reason).toMatchObject({ type: 'ScopeTaken' });
    }
    for (const one of moves) await undoTraffic({ move: one, image });
    expect(await found()).toEqual([record(['10.0.0.1', '10.0.0.2'])]);
  });

  test("that somebody else changes is not written over, and an undo keeps that but for blue and green's weights", async () => {
    const image = await capture();
    await lockTraffic({ move, image });
    await set(image, null, 25);
    await upsert(record(['10.0.0.1', '10.0.0.3'], { SetIdentifier: 'blue', Weight: 75, TTL: 60 }));
    const changed = await found();
    await expect(set(image, 25, 50)).rejects.toMatchObject({
      type: 'TrafficChanged',
      message: expect.stringMatching(
        /expected blue 75 \(10\.0\.0\.1 10\.0\.0\.2, TTL 60\), green 25 .*; found blue 75 \(10\.0\.0\.1 10\.0\.0\.3, TTL 60\)/,
      ) as string,
    });
    expect(await found()).toEqual(changed);
    await expect(undoShift({ move, image })).rejects.toMatchObject({ type: 'TrafficChanged' });
    expect(await weights()).toEqual({ blue: 100, green: 0 });
    expect(await undoShift({ move, image })).toMatchObject({
      different: expect.stringContaining('but: blue 100') as string,
    });
    await expect(undoTraffic({ move, image })).rejects.toMatchObject({ type: 'TrafficChanged' });
    expect(await found()).toEqual([record(['10.0.0.1', '10.0.0.3'])]);
    expect(await undoTraffic({ move, image })).toEqual({
      different: expect.stringMatching(
        /^somebody else changed A shop.* but: a simple record \(10\.0\.0\.1 10\.0\.0\.3/,
      ) as string,
    });
    expect(await found()).toEqual([record(['10.0.0.1', '10.0.0.3'])]);
  });

  test('that another migration holds and moves is not touched by an undo, though it looks like ours', async () => {
    const image = await capture();
    const other = recordMoveOf(aws, world, { recordName: name.slice(0, -1) }, 'other');
    await lockTraffic({ move: other, image });
    await setTraffic({ move: other, image, from: null, to: 25 });
    await expect(lockTraffic({ move, image })).rejects.toMatchObject({ type: 'ScopeTaken' });
    const before = await found();
    const different = expect.stringMatching(/is held by another migration \(TXT .* migration=other"\)/) as string;
    expect(await undoShift({ move, image })).toEqual({ different });
    expect(await undoTraffic({ move, image })).toEqual({ different });
    expect(await found()).toEqual(before);
  });

  test('that somebody else changes between our look and our write is not written over', async () => {
    const image = await capture();
    await set(image, null, 25);
    const theirs = record(['10.0.0.9'], { SetIdentifier: 'blue', Weight: 75, TTL: 60 });
    let there = false;
    const given = aws.fail({
      operation: 'ChangeResourceRecordSets',
      fault: { kind: 'throttled' },
      times: Infinity,
      when: () => !there,
    });
    const setting = underway(set(image, 25, 50));
    await expect.poll(() => given.met, { interval: 5 }).toBeGreaterThan(0);
    await upsert(theirs);
    there = true;
    await expect(setting).rejects.toMatchObject({ type: 'TrafficChanged' });
    expect(await found()).toContainEqual(theirs);
  });

  test('with a member of somebody else stays weighted after an undo, without green', async () => {
    const image = await capture();
    await lockTraffic({ move, image });
    await set(image, null, 25);
    await create(record(['10.0.7.7'], { SetIdentifier: 'canary', Weight: 5, TTL: 60 }));
    await expect(undoTraffic({ move, image })).rejects.toMatchObject({
      type: 'TrafficChanged',
      message: expect.stringContaining('Blue has what blue and green had') as string,
    });
    expect(await weights()).toEqual({ blue: 100, canary: 5 });
  });

  test('that somebody else made simple again is left as it is', async () => {
    const image = await capture();
    await lockTraffic({ move, image });
    await set(image, null, 25);
    const members = (await found()).filter(({ Type }) => Type === 'A');
    const theirs = record(['10.0.8.8']);
    await elsewhere.changeRecords(
      ...members.map((ResourceRecordSet) => ({ Action: 'DELETE' as const, ResourceRecordSet })),
      { Action: 'CREATE', ResourceRecordSet: theirs },
    );
    await expect(undoTraffic({ move, image })).rejects.toMatchObject({
      type: 'TrafficChanged',
      message: expect.stringContaining('Nothing of it was ours') as string,
    });
    expect(await found()).toEqual([theirs]);
  });

  test('is waited for until INSYNC, and told when that never comes', async () => {
    const image = await capture();
    aws.fail({ operation: 'ChangeResourceRecordSets', fault: { kind: 'never in sync' } });
    await expect(set(image, null, 25)).rejects.toMatchObject({
      type: 'AwsUnavailable',
      nonRetryable: false,
      message: expect.stringMatching(/says PENDING, not INSYNC/) as string,
    });
    expect(await weights()).toEqual({ blue: 75, green: 25 });
    aws.heal();
    expect(await set(image, null, 25)).toMatchObject({ weight: 25 });
  });

  const steps: [string, (image: TrafficImage) => Promise<unknown>][] = [
    ['before anything', () => Promise.resolve()],
    ['the lock', (image) => lockTraffic({ move, image })],
    ['attached', (image) => set(image, null, 0)],
    ['half', (image) => set(image, 0, 50)],
    ['all', (image) => set(image, 50, 100)],
    ['finalized', (image) => finalizeTraffic({ move, image })],
  ];

  test.each(steps.map(([title], index) => ({ title, index })))(
    'is as it was when undone after $title',
    async ({ index }) => {
      const before = await found();
      const image = await capture();
      for (const [, step] of steps.slice(0, index + 1)) await step(image);
      await undoTraffic({ move, image });
      expect(await found()).toEqual(before);
      await undoTraffic({ move, image });
      expect(await found()).toEqual(before);
    },
  );

  const FAULTS: Fault[] = [
    { kind: 'lost before' },
    { kind: 'lost after' },
    { kind: 'error', code: 'InternalFailure', status: 500 },
  ];

  test.each(FAULTS)('is as it was when any call is $kind $code, for longer than the SDK tries', async (fault) => {
    const before = await found();
    const image = await capture();
    const walk = async (): Promise<void> => {
      await retried(() => lockTraffic({ move, image }));
      await retried(() => set(image, null, 0));
      await retried(() => set(image, 0, 100));
      await retried(() => undoTraffic({ move, image }));
    };
    aws.calls.length = 0;
    await walk();
    const walked = aws.calls.map(({ operation }) => operation);
    const writes = walked.filter((one) => one === 'ChangeResourceRecordSets').length;
    expect(writes).toBe(5);
    const order = (operation: string, after: number) => ({ operation, after, fault, times: 5 });
    const orders = [
      order('ListResourceRecordSets', 0),
      order('GetChange', 0),
      ...Array.from({ length: writes }, (_, after) => order('ChangeResourceRecordSets', after)),
    ];
    for (const one of orders) {
      const given = aws.fail(one);
      await walk();
      expect(given.met).toBeGreaterThan(0);
      given.stop();
      forgetClients();
      expect(await found()).toEqual(before);
    }
  });

  test('is as it should be when it was throttled for longer than the SDK tries', async () => {
    const image = await capture();
    const given = aws.fail({ operation: 'ChangeResourceRecordSets', fault: { kind: 'throttled' }, times: 5 });
    await retried(() => set(image, null, 25));
    expect(given.met).toBe(5);
    expect(await weights()).toEqual({ blue: 75, green: 25 });
  });

  test('goes on where it was when the worker died right after the write', async () => {
    const image = await capture();
    injectFaults(() => {
      throw new Error('died');
    });
    await expect(set(image, null, 25)).rejects.toThrow('died');
    injectFaults(null);
    expect(await set(image, null, 25)).toEqual({ weight: 25, settlesInMs: 330_000 });
    expect(await weights()).toEqual({ blue: 75, green: 25 });
  });
});

describe('weighted records', () => {
  const blue = () => record(['10.0.0.1'], { SetIdentifier: 'eu', Weight: 40, TTL: 120 });
  const spare = () => record(['10.0.5.5'], { SetIdentifier: 'spare', Weight: 0, TTL: 120 });

  test('keep members without weight, have one TTL meanwhile, and go back to what they were', async () => {
    await create(blue(), spare());
    const image = await capture();
    expect(await set(image, null, 10)).toEqual({ weight: 10, settlesInMs: 132_000 });
    expect((await found()).map(({ SetIdentifier, Weight, TTL }) => [SetIdentifier, Weight, TTL])).toEqual([
      ['eu', 90, 60],
      ['green', 10, 60],
      ['spare', 0, 60],
    ]);
    await undoTraffic({ move, image });
    expect(await found()).toEqual([blue(), spare()]);
  });

  test('end with green in the place of blue', async () => {
    await create(blue(), spare());
    const image = await capture();
    await set(image, null, 100);
    await finalizeTraffic({ move, image });
    expect(await found()).toEqual([record(['10.0.1.1'], { SetIdentifier: 'green', Weight: 40, TTL: 120 }), spare()]);
  });

  test('of which several serve are refused, and so is one that is not blue', async () => {
    await create(blue(), { ...spare(), Weight: 10 });
    await expect(capture()).rejects.toMatchObject({
      type: 'TrafficMismatch',
      message: expect.stringContaining('found: eu 40 (10.0.0.1, TTL 120), spare 10 (10.0.5.5, TTL 120)') as string,
    });
  });

  test('that fill many pages are all found', async () => {
    await create(blue(), ...['a', 'b', 'c', 'd'].map((id) => ({ ...spare(), SetIdentifier: `x${id}` })));
    aws.tell({ pageSize: 2 });
    const image = await capture();
    expect(image.kind === 'route53' ? image.records : []).toHaveLength(5);
    await set(image, null, 10);
    await undoTraffic({ move, image });
    aws.tell({ pageSize: null });
    expect(await found()).toEqual(image.kind === 'route53' ? image.records : []);
  });
});

test('members with a health check are healthy when enough checkers reach them', async () => {
  const server = createServer((_, response) => response.writeHead(state).end());
  let state = 200;
  server.listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const { HealthCheck } = await elsewhere.route53.send(
    new CreateHealthCheckCommand({
      CallerReference: name,
      HealthCheckConfig: {
        Type: 'HTTP',
        IPAddress: '127.0.0.1',
        Port: (server.address() as AddressInfo).port,
        ResourcePath: '/health',
      },
    }),
  );
  const HealthCheckId = HealthCheck?.Id;
  await create(
    record(['10.0.0.1'], { SetIdentifier: 'blue', Weight: 1 }),
    record(['10.0.1.1'], { SetIdentifier: 'green', Weight: 0, HealthCheckId }),
  );
  const image = await capture();
  const all = `16 of 16 checkers of health check ${HealthCheckId ?? ''} of green succeed`;
  expect(await greenHealth({ move, image })).toEqual({ healthy: true, explanation: all });
  expect(await blueHealth({ move, image })).toMatchObject({
    healthy: true,
    explanation: expect.stringContaining('has no health check') as string,
  });
  state = 503;
  const none = { healthy: false, explanation: all.replace('16', '0') };
  expect(await greenHealth({ move, image })).toEqual(none);
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
  expect(await greenHealth({ move, image })).toEqual(none);
});

test('an alias keeps no TTL, and comes back as one', async () => {
  const { dnsName, zoneId } = world.loadBalancer;
  const alias = { DNSName: `${dnsName}.`, HostedZoneId: zoneId, EvaluateTargetHealth: true };
  const simple: ResourceRecordSet = { Name: name, Type: 'A', AliasTarget: alias };
  await create(simple);
  const before = await found();
  const image = await capture();
  expect(await set(image, null, 25)).toEqual({ weight: 25, settlesInMs: 66_000 });
  expect((await found()).map(({ SetIdentifier, TTL }) => [SetIdentifier, TTL])).toEqual([
    ['blue', undefined],
    ['green', 60],
  ]);
  await undoTraffic({ move, image });
  expect(await found()).toEqual(before);
});

describe('what can not be moved is refused before anything is changed', () => {
  const rejects = async (type: string, message: RegExp): Promise<void> => {
    await expect(captureTraffic(move)).rejects.toMatchObject({
      type,
      message: expect.stringMatching(message) as string,
    });
  };

  test('no record at all, and a zone that is not there', async () => {
    await rejects('InvalidSpec', /there is no A shop\d+\./);
    move = recordMoveOf(aws, world, { zone: 'Z0000000000000' });
    await rejects('InvalidSpec', /route53:GetHostedZone: NoSuchHostedZone/);
  });

  test('other routing than simple and weighted', async () => {
    await create(record(['10.0.0.1'], { SetIdentifier: 'eu', Region: 'eu-west-1' }));
    await rejects('InvalidSpec', /has latency routing; only simple and weighted records can be moved/);
  });

  test('a record that is not blue as the specification has it', async () => {
    await create(record(['10.0.0.1']));
    const blue = { setIdentifier: null, target: { values: ['10.0.0.2'] } };
    move = recordMoveOf(aws, world, { recordName: name.slice(0, -1), blue });
    await rejects(
      'TrafficMismatch',
      /should be a simple record \(10\.0\.0\.2, TTL 300\); found: a simple record \(10\.0\.0\.1, TTL 300\)/,
    );
  });

  test('a private zone', async () => {
    move = recordMoveOf(aws, world, { zone: world.privateZone.id });
    await rejects('InvalidSpec', /is private/);
  });

  test('a zone that the parent delegates elsewhere, or to nobody', async () => {
    await create(record(['10.0.0.1']));
    dns.delegated = ['ns1.registrar.example', 'ns2.registrar.example'];
    await rejects(
      'TrafficMismatch',
      /is delegated to ns1\.registrar\.example, ns2\.registrar\.example, and the zone .* is served by ns-/,
    );
    dns.delegated = [];
    await rejects('TrafficMismatch', /is delegated to nobody/);
  });
});

describe('proof by the answers of all name servers', () => {
  let image: TrafficImage;
  const prove = (weight: number) => proveTraffic({ move, image, weight, sinceMs: 0 });
  beforeEach(async () => {
    await create(record(['10.0.0.1', '10.0.0.2']));
    image = await capture();
    await set(image, null, 25);
    dns.serve(await found());
  });

  test('is given when the shares are those of the weights', async () => {
    dns.servers.forEach((server) => (server.truncates = server.name === world.zone.nameServers[0]));
    const proof = await prove(25);
    expect(proof).toMatchObject({ verdict: 'proven', seen: 400 });
    expect(proof.explanation).toMatch(/^answers of 4 name servers for green: \d+ of 400 = .* %; the weight is 25 %$/);
  });

  test('is refuted by another weight, and by one server that lags behind', async () => {
    expect(await prove(75)).toMatchObject({ verdict: 'differs' });
    const [late] = dns.servers;
    if (late !== undefined) late.records = [record(['10.0.0.1', '10.0.0.2'])];
    expect(await prove(25)).toMatchObject({
      verdict: 'differs',
      explanation: expect.stringMatching(/^ns-.* still answers with a TTL of 300 s, not 60 s$/) as string,
    });
    if (late !== undefined) late.records = [record(['10.9.9.9'])];
    expect((await prove(25)).explanation).toMatch(/answers 10\.9\.9\.9, which is neither blue nor green/);
  });

  test('is not to be had from a server that does not answer', async () => {
    for (const server of dns.servers.slice(1)) server.silent = true;
    expect(await prove(25)).toMatchObject({
      verdict: 'insufficient',
      explanation: expect.stringMatching(/did not answer A shop/) as string,
    });
  });
});
