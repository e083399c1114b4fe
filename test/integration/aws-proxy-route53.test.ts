/**
 * What AWS asks of changes of records:
 * https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html
 */
import {
  ChangeResourceRecordSetsCommand,
  CreateHostedZoneCommand,
  DeleteHostedZoneCommand,
  GetChangeCommand,
  ListHostedZonesByNameCommand,
  ListHostedZonesCommand,
  ListResourceRecordSetsCommand,
  Route53Client,
  type Change,
  type ResourceRecordSet,
} from '@aws-sdk/client-route-53';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AwsProxy } from '../../lab/aws/proxy.js';
import { newAccount, ONCE, startAws } from '../support/aws.js';

let aws: AwsProxy;
let client: Route53Client;
let zone: string;

beforeAll(async () => {
  aws = await startAws({ rates: { route53: null } });
});
afterAll(() => aws.stop());
afterEach(() => {
  aws.heal();
  aws.tell({ pageSize: null, route53: { oneChangeAtATime: false, inSyncAfterMs: 300 } });
});

beforeEach(async () => {
  client = new Route53Client({ ...aws.client({ account: newAccount() }), ...ONCE });
  zone = await newZone('example.com');
});

async function newZone(Name: string): Promise<string> {
  const made = await client.send(new CreateHostedZoneCommand({ Name, CallerReference: `of ${Name}` }));
  return made.HostedZone?.Id ?? '';
}

const change = (...Changes: Change[]) =>
  client.send(new ChangeResourceRecordSetsCommand({ HostedZoneId: zone, ChangeBatch: { Changes } }));
const create = (record: ResourceRecordSet): Change => ({ Action: 'CREATE', ResourceRecordSet: record });
const upsert = (record: ResourceRecordSet): Change => ({ Action: 'UPSERT', ResourceRecordSet: record });
const remove = (record: ResourceRecordSet): Change => ({ Action: 'DELETE', ResourceRecordSet: record });

const simple = (name = 'www.example.com', TTL = 300): ResourceRecordSet => ({
  Name: name,
  Type: 'A',
  TTL,
  ResourceRecords: [{ Value: '192.0.2.1' }],
});
const weighted = (SetIdentifier: string, Weight: number, TTL = 60): ResourceRecordSet => ({
  ...simple('www.example.com', TTL),
  SetIdentifier,
  Weight,
});

/** Without those that every zone has. */
async function records(): Promise<ResourceRecordSet[]> {
  const found = await client.send(new ListResourceRecordSetsCommand({ HostedZoneId: zone }));
  return (found.ResourceRecordSets ?? []).filter((record) => record.Type !== 'NS' && record.Type !== 'SOA');
}

describe('a batch', () => {
  test('half of which is wrong changes nothing', async () => {
    const batch = change(create(simple()), remove(simple('nobody.example.com')));
    await expect(batch).rejects.toMatchObject({
      name: 'InvalidChangeBatch',
      message: "[Tried to delete resource record set [name='nobody.example.com.', type='A'] but it was not found]",
    });
    expect(await records()).toEqual([]);
  });

  test('tells all that is wrong with it', async () => {
    await change(create(simple()));
    const batch = change(create(simple()), create(simple('www.example.org')));
    await expect(batch).rejects.toMatchObject({
      message:
        "[Tried to create resource record set [name='www.example.com.', type='A'] but it already exists, " +
        'RRSet with DNS name www.example.org. is not permitted in zone example.com.]',
    });
  });

  test('turns a simple record into weighted ones, and back', async () => {
    await change(create(simple()));
    await change(remove(simple()), create(weighted('blue', 255)), create(weighted('green', 0)));
    expect((await records()).map((record) => [record.SetIdentifier, record.Weight])).toEqual([
      ['blue', 255],
      ['green', 0],
    ]);
    await change(remove(weighted('blue', 255)), remove(weighted('green', 0)), create(simple()));
    expect(await records()).toEqual([{ ...simple(), Name: 'www.example.com.' }]);
  });

  test('takes one change of a record', async () => {
    await expect(change(upsert(simple()), upsert(simple()))).rejects.toMatchObject({ name: 'InvalidChangeBatch' });
  });

  // https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html#limits-api-requests-changeresourcerecordsets
  test('counts each value of an UPSERT twice, up to 1000', async () => {
    const values = (count: number): ResourceRecordSet => ({
      ...simple(),
      ResourceRecords: Array.from({ length: count }, (_, index) => ({ Value: `192.0.${index >> 8}.${index & 255}` })),
    });
    await expect(change(upsert(values(501)))).rejects.toMatchObject({
      message: expect.stringContaining('Number of records limit of 1000 exceeded.') as string,
    });
    await change(create(values(501)));
  });
});

describe('DELETE', () => {
  test.each<[string, ResourceRecordSet]>([
    ['TTL', simple('www.example.com', 60)],
    ['value', { ...simple(), ResourceRecords: [{ Value: '192.0.2.2' }] }],
  ])('of a simple record with another %s is refused', async (_, record) => {
    await change(create(simple()));
    await expect(change(remove(record))).rejects.toMatchObject({
      name: 'InvalidChangeBatch',
      message:
        "[Tried to delete resource record set [name='www.example.com.', type='A'] " +
        'but the values provided do not match the current values]',
    });
  });

  test('of a weighted record with another weight is refused, and leaves its siblings alone otherwise', async () => {
    await change(create(weighted('blue', 200)), create(weighted('green', 55)));
    await expect(change(remove(weighted('green', 56)))).rejects.toMatchObject({
      message:
        "[Tried to delete resource record set [name='www.example.com.', type='A', set identifier='green'] " +
        'but the values provided do not match the current values]',
    });
    await change(remove(weighted('green', 55)));
    expect((await records()).map((record) => record.SetIdentifier)).toEqual(['blue']);
  });

  test('of what every zone needs is refused', async () => {
    const all = await client.send(new ListResourceRecordSetsCommand({ HostedZoneId: zone }));
    for (const record of all.ResourceRecordSets ?? []) {
      await expect(change(remove(record))).rejects.toMatchObject({ name: 'InvalidChangeBatch' });
    }
  });
});

// https://docs.aws.amazon.com/Route53/latest/APIReference/API_ResourceRecordSet.html
describe('a record set', () => {
  test('is simple or weighted, not both under one name and type', async () => {
    await change(create(simple()));
    await expect(change(create(weighted('blue', 1)))).rejects.toMatchObject({
      name: 'InvalidChangeBatch',
      message:
        '[RRSet with DNS name www.example.com., type A, SetIdentifier blue cannot be created ' +
        'as a non-weighted set exists with the same name and type.]',
    });
    await change(remove(simple()), create(weighted('blue', 1)));
    await expect(change(upsert(simple()))).rejects.toMatchObject({
      message:
        '[RRSet with DNS name www.example.com., type A cannot be created as other RRSets exist with the same name and type.]',
    });
  });

  test('with a weight has an identifier', async () => {
    await expect(change(create({ ...simple(), Weight: 1 }))).rejects.toMatchObject({
      name: 'InvalidInput',
      message:
        "Invalid request: Missing field 'SetIdentifier' in Change with " +
        '[Action=CREATE, Name=www.example.com., Type=A, SetIdentifier=null]',
    });
    await expect(change(create({ ...simple(), SetIdentifier: 'blue' }))).rejects.toMatchObject({
      name: 'InvalidInput',
    });
  });

  test.each([-1, 256])('of weight %d is refused', async (weight) => {
    await expect(change(create(weighted('blue', weight)))).rejects.toMatchObject({ name: 'InvalidInput' });
  });

  // https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-values-weighted.html
  test('of a weighted group gives its TTL to all of them', async () => {
    await change(create(weighted('blue', 1, 300)), create(weighted('green', 1, 60)));
    expect((await records()).map((record) => record.TTL)).toEqual([60, 60]);
  });

  test('has a TTL and values, or is an alias, not both', async () => {
    const AliasTarget = { HostedZoneId: 'Z32O12XQLNTSW2', DNSName: 'lb.example.net', EvaluateTargetHealth: true };
    const alias: ResourceRecordSet = { Name: 'www.example.com', Type: 'A', AliasTarget };
    for (const record of [
      { ...alias, TTL: 60 },
      { ...simple(), AliasTarget },
      { ...simple(), ResourceRecords: [] },
    ]) {
      await expect(change(create(record))).rejects.toMatchObject({ name: 'InvalidInput' });
    }
    await change(create(alias));
    expect(await records()).toEqual([
      { Name: 'www.example.com.', Type: 'A', AliasTarget: { ...AliasTarget, DNSName: 'lb.example.net.' } },
    ]);
    await change(remove(alias));
  });

  test('that is an alias within its zone leads to a record of its type that is there', async () => {
    const HostedZoneId = zone.replace('/hostedzone/', '');
    const alias = (DNSName: string): ResourceRecordSet => ({
      Name: 'example.com',
      Type: 'A',
      AliasTarget: { HostedZoneId, DNSName, EvaluateTargetHealth: false },
    });
    await expect(change(create(alias('www.example.com')))).rejects.toMatchObject({
      message: expect.stringContaining('but that target was not found') as string,
    });
    await expect(change(create(alias('www.example.org')))).rejects.toMatchObject({
      message: expect.stringContaining('does not lie within the target zone') as string,
    });
    await change(create(simple()), create(alias('www.example.com')));
  });

  test('that is a CNAME has its name for itself, and never the zone’s', async () => {
    const cname = { ...simple(), Type: 'CNAME', ResourceRecords: [{ Value: 'lb.example.net' }] } as const;
    await change(create(simple()));
    await expect(change(create({ ...cname, ResourceRecords: [...cname.ResourceRecords] }))).rejects.toMatchObject({
      message: expect.stringContaining('conflicts with other records with the same DNS name') as string,
    });
    const apex = { ...cname, Name: 'example.com', ResourceRecords: [...cname.ResourceRecords] };
    await expect(change(create(apex))).rejects.toMatchObject({
      message: '[RRSet of type CNAME with DNS name example.com. is not permitted at apex in zone example.com.]',
    });
  });

  test('has values of its type', async () => {
    const record = { ...simple(), ResourceRecords: [{ Value: 'lb.example.net' }] };
    await expect(change(create(record))).rejects.toMatchObject({
      message: expect.stringContaining('Value is not a valid IPv4 address') as string,
    });
  });
});

// https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetChange.html
describe('a change', () => {
  test('is PENDING first, and INSYNC later', async () => {
    aws.tell({ route53: { inSyncAfterMs: 600_000 } });
    const { ChangeInfo } = await change(create(simple()));
    expect(ChangeInfo?.Status).toBe('PENDING');
    const status = async () => (await client.send(new GetChangeCommand({ Id: ChangeInfo?.Id }))).ChangeInfo?.Status;
    expect(await status()).toBe('PENDING');
    aws.tell({ route53: { inSyncAfterMs: 300 } });
    aws.heal();
    expect(await status()).toBe('INSYNC');
  });

  test('that nobody made is an error', async () => {
    await expect(client.send(new GetChangeCommand({ Id: 'C0123456789' }))).rejects.toMatchObject({
      name: 'NoSuchChange',
    });
  });

  test('is refused while another of the zone is PENDING, where AWS is told to be slow', async () => {
    // The zone itself is a change.
    aws.heal();
    aws.tell({ route53: { oneChangeAtATime: true, inSyncAfterMs: 600_000 } });
    await change(create(simple()));
    await expect(change(create(simple('api.example.com')))).rejects.toMatchObject({ name: 'PriorRequestNotComplete' });
  });
});

describe('lists', () => {
  // https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListResourceRecordSets.html
  test('of records go on at a name, a type and an identifier', async () => {
    await change(
      create(simple('b.a.example.com')),
      create(weighted('blue', 1)),
      create(weighted('green', 2)),
      create({ ...simple('*.example.com'), Type: 'TXT', ResourceRecords: [{ Value: '"any"' }] }),
    );
    aws.tell({ pageSize: 2 });
    const seen: (string | undefined)[][] = [];
    let at: { StartRecordName?: string; StartRecordType?: ResourceRecordSet['Type']; StartRecordIdentifier?: string } =
      {};
    for (let pages = 0; pages < 10; pages += 1) {
      const page = await client.send(new ListResourceRecordSetsCommand({ HostedZoneId: zone, ...at }));
      seen.push(...(page.ResourceRecordSets ?? []).map(({ Name, Type, SetIdentifier }) => [Name, Type, SetIdentifier]));
      if (page.IsTruncated !== true) break;
      at = {
        ...(page.NextRecordName === undefined ? {} : { StartRecordName: page.NextRecordName }),
        ...(page.NextRecordType === undefined ? {} : { StartRecordType: page.NextRecordType }),
        ...(page.NextRecordIdentifier === undefined ? {} : { StartRecordIdentifier: page.NextRecordIdentifier }),
      };
    }
    expect(seen).toEqual([
      ['example.com.', 'NS', undefined],
      ['example.com.', 'SOA', undefined],
      ['\\052.example.com.', 'TXT', undefined],
      ['b.a.example.com.', 'A', undefined],
      ['www.example.com.', 'A', 'blue'],
      ['www.example.com.', 'A', 'green'],
    ]);
  });

  // https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListHostedZonesByName.html
  test('of zones by name begin at the name, whether or not it has a zone', async () => {
    await newZone('example.net');
    const found = await client.send(new ListHostedZonesByNameCommand({ DNSName: 'example.info' }));
    expect(found.HostedZones?.map((one) => one.Name)).toEqual(['example.net.']);
  });

  // https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListHostedZones.html
  test('of zones have pages', async () => {
    await newZone('example.net');
    const one = await client.send(new ListHostedZonesCommand({ MaxItems: 1 }));
    expect(one.HostedZones).toHaveLength(1);
    expect(one.IsTruncated).toBe(true);
    const rest = await client.send(new ListHostedZonesCommand({ Marker: one.NextMarker }));
    expect([...(one.HostedZones ?? []), ...(rest.HostedZones ?? [])].map((each) => each.Name).sort()).toEqual([
      'example.com.',
      'example.net.',
    ]);
  });
});

describe('a zone', () => {
  // https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateHostedZone.html, HostedZoneAlreadyExists
  test('is made once for a reference', async () => {
    await expect(newZone('example.com')).rejects.toMatchObject({ name: 'HostedZoneAlreadyExists' });
  });

  // https://docs.aws.amazon.com/Route53/latest/APIReference/API_DeleteHostedZone.html, HostedZoneNotEmpty
  test('is deleted only when it is empty', async () => {
    await change(create(simple()));
    await expect(client.send(new DeleteHostedZoneCommand({ Id: zone }))).rejects.toMatchObject({
      name: 'HostedZoneNotEmpty',
    });
    await change(remove(simple()));
    await client.send(new DeleteHostedZoneCommand({ Id: zone }));
    await expect(records()).rejects.toMatchObject({ name: 'NoSuchHostedZone' });
  });
});
