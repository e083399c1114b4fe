/** moto of one's own, for a lab rather than for tests. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DescribeLoadBalancersCommand, ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { ListHostedZonesCommand, Route53Client } from '@aws-sdk/client-route-53';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MotoServer } from '../../lab/aws/moto.js';
import { AwsProxy } from '../../lab/aws/proxy.js';
import { makeWorld } from '../../lab/aws/world.js';
import { ensureMoto } from '../../lab/components.js';
import { ONCE } from '../support/aws.js';

let folder: string;
let moto: MotoServer;
let aws: AwsProxy;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'godwit-moto-'));
  moto = await MotoServer.start({ python: await ensureMoto(), folder });
  aws = await AwsProxy.start({ moto: moto.url });
});
afterAll(async () => {
  await Promise.all([aws.stop(), moto.stop()]);
  await rm(folder, { recursive: true, force: true });
});

test('forgets everything on reset, and leaves no process when it stops', async () => {
  const options = { account: '111122223333', blue: [9001], green: [9002] };
  const world = await makeWorld(aws, options);
  aws.fail({ fault: { kind: 'throttled' }, times: Infinity });
  await aws.reset();
  expect(aws.calls).toEqual([]);
  const client = new ElasticLoadBalancingV2Client({ ...aws.client(world), ...ONCE });
  expect((await client.send(new DescribeLoadBalancersCommand({}))).LoadBalancers).toEqual([]);
  const dns = new Route53Client({ ...aws.client(world), ...ONCE });
  expect((await dns.send(new ListHostedZonesCommand({}))).HostedZones).toEqual([]);
  expect((await makeWorld(aws, options)).zone.name).toBe('example.com.');
  await moto.stop();
  expect(moto.process.running).toBe(false);
  await expect(moto.answers()).rejects.toThrow();
  await expect(dns.send(new ListHostedZonesCommand({}))).rejects.toMatchObject({
    name: 'InternalFailure',
    message: expect.stringContaining('The stand-in for AWS failed') as string,
  });
});
