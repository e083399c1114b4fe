/** Whole migrations of records, and the faults of the AWS stand-in at their calls: traffic-sweep says which, and what is asked of each. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import { NameServers } from '../../lab/dns/name-servers.js';
import { Resolver } from '../../lab/dns/resolver.js';
import { startAws } from '../support/aws.js';
import { hurry, newWorld, useAccount } from '../support/traffic.js';
import { RecordPlace } from '../support/traffic-places.js';
import { TrafficRuns } from '../support/traffic-runs.js';
import { casesOf, Sweep, SWEEP_MS, type Walk } from '../support/traffic-sweep.js';

const PLACES = 12;

let aws: AwsProxy;
let names: NameServers;
let resolver: Resolver;
let runs: TrafficRuns;
let sweep: Sweep;
beforeAll(async () => {
  hurry({ answer: 1_000 });
  // The stand-in's limit of 5 requests a second of an account would make one wait for the other.
  aws = await startAws({ rates: {}, route53: { inSyncAfterMs: 10 } });
  const world = await newWorld(aws, useAccount());
  const places: RecordPlace[] = [];
  while (places.length < PLACES) places.push(await RecordPlace.make(aws, world, places.length));
  names = await NameServers.start({ aws: [aws.observer(world)], refreshEveryMs: 300 });
  resolver = await Resolver.listen({ root: names.root });
  process.env['GODWIT_DNS'] = `${resolver.place.address}:${resolver.place.port}`;
  runs = await TrafficRuns.start();
  sweep = new Sweep(aws, runs, places);
});
afterAll(async () => {
  delete process.env['GODWIT_DNS'];
  await runs?.stop();
  await resolver?.close();
  await names?.stop();
  await aws?.stop();
});

test.each<Walk>(['there', 'back'])(
  'a record on its way %s meets each fault at each call, and ends migrated or undone, to the byte',
  { timeout: SWEEP_MS },
  async (walk) => {
    const calls = await sweep.walked(walk);
    expect(calls).toContain('ChangeResourceRecordSets');
    expect(await sweep.over(casesOf(walk, calls))).toEqual([]);
  },
);
