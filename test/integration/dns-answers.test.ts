/** What the lab's name servers and its resolver answer, asked by real packets. */
import {
  ChangeResourceRecordSetsCommand,
  CreateHostedZoneCommand,
  Route53Client,
  type Change,
  type ResourceRecordSet,
} from '@aws-sdk/client-route-53';
import { Resolver as SystemResolver } from 'node:dns/promises';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { AwsProxy, ClientConfiguration } from '../../lab/aws/proxy.js';
import { ask, datagram } from '../../lab/dns/ask.js';
import { NameServers, type NameServersOptions } from '../../lab/dns/name-servers.js';
import { codeOf, Resolver } from '../../lab/dns/resolver.js';
import type { RecordType } from '../../lab/dns/zone.js';
import { newAccount, startAws } from '../support/aws.js';

const ZONE = 'example.org';

let aws: AwsProxy;
let account: ClientConfiguration;
let route53: Route53Client;
let zoneId: string;
let servers: NameServers;

beforeAll(async () => {
  aws = await startAws();
});
afterAll(async () => {
  await aws?.stop();
});
beforeEach(async () => {
  account = aws.observer({ account: newAccount() });
  route53 = new Route53Client(account);
  zoneId = await zone(ZONE);
});
afterEach(async () => {
  await servers?.stop();
  route53.destroy();
});

async function zone(name: string): Promise<string> {
  const { HostedZone } = await route53.send(
    new CreateHostedZoneCommand({ Name: name, CallerReference: `${name} ${Date.now()}` }),
  );
  return HostedZone?.Id ?? '';
}

async function change(Action: Change['Action'], ...sets: ResourceRecordSet[]): Promise<void> {
  const Changes = sets.map((ResourceRecordSet) => ({ Action, ResourceRecordSet }));
  await route53.send(new ChangeResourceRecordSetsCommand({ HostedZoneId: zoneId, ChangeBatch: { Changes } }));
}

const record = (
  name: string,
  Type: ResourceRecordSet['Type'],
  values: string[],
  more: Partial<ResourceRecordSet> = {},
): ResourceRecordSet => ({
  Name: `${name}${name === '' ? '' : '.'}${ZONE}`,
  Type,
  TTL: 300,
  ResourceRecords: values.map((Value) => ({ Value })),
  ...more,
});

const weighted = (id: string, value: string, weight: number): ResourceRecordSet =>
  record('shop', 'A', [value], { SetIdentifier: id, Weight: weight });

async function serve(options: Partial<NameServersOptions> = {}): Promise<void> {
  servers = await NameServers.start({ aws: [account], refreshEveryMs: 3_600_000, random: evenly(), ...options });
}

const first = () => {
  const [place] = servers.placesOf(ZONE);
  if (place === undefined) throw new Error('the zone has no name server');
  return place;
};

async function answer(name: string, type: RecordType, place = first()) {
  const packet = await ask(place, { name: `${name}${name === '' ? '' : '.'}${ZONE}`, type });
  return {
    code: codeOf(packet),
    authoritative: packet.flag_aa,
    data: (packet.answers ?? []).map((one) => ('data' in one ? one.data : null)),
    authorities: (packet.authorities ?? []).map(({ type: kind }) => kind),
  };
}

/** Instead of chance: numbers that fill 0 to 1 evenly. */
function evenly(): () => number {
  let at = 0.5;
  return () => (at = (at + 0.618_033_988_75) % 1);
}

async function shares(count: number): Promise<Record<string, number>> {
  const seen: Record<string, number> = {};
  for (let i = 0; i < count; i += 1) {
    const { data } = await answer('shop', 'A');
    expect(data).toHaveLength(1);
    const address = JSON.stringify(data[0]).replaceAll('"', '');
    seen[address] = (seen[address] ?? 0) + 1;
  }
  return seen;
}

// https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/ResourceRecordTypes.html
test('records of each kind, whole; CNAMEs are followed within the zone; wildcards stand for what is not there', async () => {
  await change(
    'CREATE',
    record('www', 'CNAME', [`shop.${ZONE}.`]),
    record('shop', 'A', ['192.0.2.1', '192.0.2.2']),
    record('shop', 'AAAA', ['2001:db8::1']),
    record('text', 'TXT', ['"v=1 a" "b"']),
    record('', 'MX', ['10 mail.example.net.']),
    record('*.any', 'A', ['192.0.2.9']),
    record('elsewhere', 'CNAME', ['www.example.net.']),
  );
  await serve();
  expect(await answer('shop', 'A')).toMatchObject({
    code: 'NOERROR',
    authoritative: true,
    data: ['192.0.2.1', '192.0.2.2'],
  });
  expect((await answer('shop', 'AAAA')).data).toEqual(['2001:db8::1']);
  expect((await answer('SHOP', 'A')).data).toHaveLength(2);
  expect((await answer('www', 'A')).data).toEqual([`shop.${ZONE}`, '192.0.2.1', '192.0.2.2']);
  expect((await answer('elsewhere', 'A')).data).toEqual(['www.example.net']);
  expect((await answer('text', 'TXT')).data).toEqual([[Buffer.from('v=1 a'), Buffer.from('b')]]);
  expect((await answer('', 'MX')).data).toEqual([{ preference: 10, exchange: 'mail.example.net' }]);
  expect((await answer('this.any', 'A')).data).toEqual(['192.0.2.9']);
  expect((await answer('', 'SOA')).data).toHaveLength(1);
  expect((await answer('', 'NS')).data).toHaveLength(servers.placesOf(ZONE).length);
});

// https://www.rfc-editor.org/rfc/rfc2308
test('a name that is not there, a type that is not there, and a zone that is not here are three answers', async () => {
  await change('CREATE', record('a.b', 'A', ['192.0.2.1']));
  await serve();
  expect(await answer('none', 'A')).toMatchObject({ code: 'NXDOMAIN', authoritative: true, authorities: ['SOA'] });
  expect(await answer('a.b', 'TXT')).toMatchObject({ code: 'NOERROR', data: [], authorities: ['SOA'] });
  expect(await answer('b', 'A')).toMatchObject({ code: 'NOERROR', data: [], authorities: ['SOA'] });
  expect((await ask(first(), { name: 'example.com', type: 'A' })).flags).toBe(5);
});

// https://www.rfc-editor.org/rfc/rfc1035#section-4.2.1
test('what does not fit into a datagram is cut short, and whole over TCP, or in the larger datagram that the client takes', async () => {
  await change(
    'CREATE',
    record(
      'many',
      'A',
      Array.from({ length: 50 }, (_, i) => `192.0.2.${i + 1}`),
    ),
  );
  await serve();
  const question = { name: `many.${ZONE}`, type: 'A' } as const;
  const short = await datagram(first(), { type: 'query', id: 7, questions: [question] });
  expect(short).toMatchObject({ id: 7, flag_tc: true, answers: [] });
  expect((await ask(first(), question)).answers).toHaveLength(50);
  const larger = await ask(first(), question, { size: 4_096 });
  expect(larger).toMatchObject({ flag_tc: false });
  expect(larger.answers).toHaveLength(50);
});

describe('weighted records', () => {
  // https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy-weighted.html
  test('one of them answers, by its share; weight 0 never', async () => {
    await change(
      'CREATE',
      weighted('blue', '192.0.2.1', 90),
      weighted('green', '192.0.2.2', 10),
      weighted('off', '192.0.2.3', 0),
    );
    await serve();
    const seen = await shares(200);
    expect(Object.keys(seen).sort()).toEqual(['192.0.2.1', '192.0.2.2']);
    expect(Math.abs((seen['192.0.2.2'] ?? 0) - 20)).toBeLessThanOrEqual(3);
  });

  test('if all weights are 0, all answer as often as each other', async () => {
    await change('CREATE', weighted('blue', '192.0.2.1', 0), weighted('green', '192.0.2.2', 0));
    await serve();
    const seen = await shares(100);
    expect(Math.abs((seen['192.0.2.2'] ?? 0) - 50)).toBeLessThanOrEqual(3);
  });

  // https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy-multivalue.html
  test('multivalue answers have up to eight of the records', async () => {
    const sets = Array.from({ length: 10 }, (_, i) =>
      record('shop', 'A', [`192.0.2.${i + 1}`], { SetIdentifier: `${i}`, MultiValueAnswer: true }),
    );
    await change('CREATE', ...sets);
    await serve();
    const { data } = await answer('shop', 'A');
    expect(new Set(data).size).toBe(8);
  });
});

// https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-values-alias-common.html
test('alias records take the addresses of a load balancer, and leave one without healthy targets out if they are to look', async () => {
  const listeners = [
    { dnsName: 'blue.elb.amazonaws.com', host: '127.0.1.1', healthy: false },
    { dnsName: 'green.elb.amazonaws.com', host: '127.0.1.2', healthy: true },
  ];
  const edge = createServer((_, response) => response.end(JSON.stringify(listeners))).listen(0, '127.0.0.1');
  onTestFinished(() => void edge.close());
  await once(edge, 'listening');
  const alias = (id: string, weight: number, looks: boolean, Type: 'A' | 'AAAA' = 'A'): ResourceRecordSet => ({
    Name: `${looks ? 'careful' : 'shop'}.${ZONE}`,
    Type,
    SetIdentifier: id,
    Weight: weight,
    AliasTarget: {
      HostedZoneId: 'Z215JYRZR1TBD5',
      DNSName: `dualstack.${id}.elb.amazonaws.com.`,
      EvaluateTargetHealth: looks,
    },
  });
  await change(
    'CREATE',
    alias('blue', 99, false),
    alias('green', 1, false),
    alias('blue', 99, true),
    alias('green', 1, true),
  );
  await change('CREATE', {
    Name: `next.${ZONE}`,
    Type: 'A',
    AliasTarget: {
      HostedZoneId: zoneId.replace('/hostedzone/', ''),
      DNSName: `careful.${ZONE}.`,
      EvaluateTargetHealth: false,
    },
  });
  await serve({ edge: `http://127.0.0.1:${(edge.address() as AddressInfo).port}` });
  const seen = await shares(100);
  expect(seen['127.0.1.1']).toBeGreaterThanOrEqual(97);
  for (let i = 0; i < 10; i += 1) expect((await answer('careful', 'A')).data).toEqual(['127.0.1.2']);
  expect((await answer('next', 'A')).data).toEqual(['127.0.1.2']);
  expect(await answer('careful', 'AAAA')).toMatchObject({ code: 'NOERROR', data: [] });
});

// https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-configuring.html
describe('the servers of a zone', () => {
  test('get changes at different times: until then some of them answer as before', async () => {
    await change('CREATE', record('shop', 'A', ['192.0.2.1']));
    await serve();
    const places = servers.placesOf(ZONE);
    expect(new Set(places.map(({ address }) => address)).size).toBe(4);
    servers.hold(1, true);
    await change('UPSERT', record('shop', 'A', ['192.0.2.2']));
    await servers.refresh();
    const seen = await Promise.all(places.map(async (place) => (await answer('shop', 'A', place)).data[0]));
    expect([...seen].sort()).toEqual(['192.0.2.1', '192.0.2.2', '192.0.2.2', '192.0.2.2']);
    servers.hold(1, false);
    await servers.refresh();
    for (const place of places) expect((await answer('shop', 'A', place)).data).toEqual(['192.0.2.2']);
  });

  test('can be set to lag by so many milliseconds each', async () => {
    await serve({ delaysMs: [0, 50, 100, 150] });
    for (const place of servers.placesOf(ZONE)) {
      await expect.poll(async () => (await answer('', 'SOA', place)).code, { timeout: 30_000 }).toBe('NOERROR');
    }
  });

  test('are found from the root by their names and addresses, and below a zone from that zone', async () => {
    const child = await zone(`eu.${ZONE}`);
    expect(child).not.toBe('');
    await serve();
    const names = ['ns1', 'ns2'].map((one) => `${one}.eu-servers.test`);
    const referral = await ask(servers.root, { name: `shop.${ZONE}`, type: 'A' });
    expect(referral).toMatchObject({ flag_aa: false, answers: [] });
    expect(referral.authorities?.every(({ type, name }) => type === 'NS' && name === ZONE)).toBe(true);
    expect(referral.additionals?.map((one) => ('data' in one ? one.data : null)).sort()).toEqual(
      servers
        .placesOf(ZONE)
        .map(({ address }) => address)
        .sort(),
    );
    await change(
      'CREATE',
      record(
        'asia',
        'NS',
        names.map((one) => `${one}.`),
      ),
    );
    await servers.refresh();
    expect(await answer('shop.asia', 'A')).toMatchObject({ authoritative: false, data: [], authorities: ['NS', 'NS'] });
  });

  test('a parent that delegates to others is seen as such', async () => {
    await change('CREATE', record('shop', 'A', ['192.0.2.1']));
    await serve();
    servers.delegate(ZONE, ['ns.old-provider.test']);
    const { authorities } = await ask(servers.root, { name: ZONE, type: 'NS' });
    expect(authorities).toMatchObject([{ type: 'NS', data: 'ns.old-provider.test' }]);
    servers.delegate(ZONE, null);
    expect((await ask(servers.root, { name: ZONE, type: 'NS' })).authorities).toHaveLength(4);
  });
});

describe('the resolver', () => {
  let resolver: Resolver;
  afterEach(async () => {
    await resolver?.close();
  });

  test("keeps an answer for its TTL, whatever the servers say meanwhile, and is a server that the system's own client can ask", async () => {
    await change(
      'CREATE',
      record('shop', 'A', ['192.0.2.1'], { TTL: 3_600 }),
      record('quick', 'A', ['192.0.2.1'], { TTL: 1 }),
    );
    await serve();
    resolver = await Resolver.listen({ root: servers.root, secondMs: 100 });
    const client = new SystemResolver();
    client.setServers([`${resolver.place.address}:${resolver.place.port}`]);
    expect(await client.resolve4(`shop.${ZONE}`)).toEqual(['192.0.2.1']);
    expect(await client.resolve4(`quick.${ZONE}`)).toEqual(['192.0.2.1']);
    await change(
      'UPSERT',
      record('shop', 'A', ['192.0.2.2'], { TTL: 3_600 }),
      record('quick', 'A', ['192.0.2.2'], { TTL: 1 }),
    );
    await servers.refresh();
    expect(await client.resolve4(`shop.${ZONE}`)).toEqual(['192.0.2.1']);
    await expect.poll(() => client.resolve4(`quick.${ZONE}`), { timeout: 60_000 }).toEqual(['192.0.2.2']);
    await expect(client.resolve4(`none.${ZONE}`)).rejects.toMatchObject({ code: 'ENOTFOUND' });
    expect(await client.resolveNs('.')).toEqual(['root.name-servers.lab']);
    expect(await client.resolve4('root.name-servers.lab')).toEqual([servers.root.address]);
  });

  test('follows a delegation from one hosted zone to another, and an alias from one to the other', async () => {
    await serve();
    const parent = zoneId;
    const child = await zone(`eu.${ZONE}`);
    await servers.refresh();
    const names = servers.namesOf(`eu.${ZONE}`);
    await change(
      'CREATE',
      record(
        'eu',
        'NS',
        names.map((one) => `${one}.`),
      ),
      record('shop', 'CNAME', [`shop.eu.${ZONE}.`]),
    );
    zoneId = child;
    await change('CREATE', record('shop.eu', 'A', ['192.0.2.7']));
    zoneId = parent;
    await servers.refresh();
    resolver = new Resolver({ root: servers.root });
    expect(await resolver.addresses(`shop.${ZONE}`)).toEqual(['192.0.2.7']);
    expect((await resolver.resolve(`none.eu.${ZONE}`, 'A')).code).toBe('NXDOMAIN');
  });
});
