/** Whole migrations of listeners, and the faults of the AWS stand-in at their calls: traffic-sweep says which, and what is asked of each. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import { startAws } from '../support/aws.js';
import { CountedEdge } from '../support/counted-edge.js';
import { hurry, newWorld, useAccount } from '../support/traffic.js';
import { ListenerPlace } from '../support/traffic-places.js';
import { TrafficRuns } from '../support/traffic-runs.js';
import { casesOf, Sweep, SWEEP_MS, type Walk } from '../support/traffic-sweep.js';

const PLACES = 12;

let aws: AwsProxy;
let edge: CountedEdge;
let runs: TrafficRuns;
let sweep: Sweep;
beforeAll(async () => {
  hurry({ answer: 1_000 });
  aws = await startAws();
  const world = await newWorld(aws, useAccount());
  const places: ListenerPlace[] = [];
  while (places.length < PLACES) places.push(await ListenerPlace.make(aws, world));
  edge = await CountedEdge.start(aws, world);
  runs = await TrafficRuns.start();
  sweep = new Sweep(aws, runs, places);
});
afterAll(async () => {
  await runs?.stop();
  await edge?.stop();
  await aws?.stop();
});

test.each<Walk>(['there', 'back'])(
  'a listener on its way %s meets each fault at each call, and ends migrated or undone, to the byte',
  { timeout: SWEEP_MS },
  async (walk) => {
    const calls = await sweep.walked(walk);
    expect(calls).toContain('ModifyListener');
    expect(await sweep.over(casesOf(walk, calls))).toEqual([]);
  },
);
