/** Reads zones from the Route 53 API as name servers need them: every page, escapes undone, private zones left out. */
import {
  GetHostedZoneCommand,
  ListResourceRecordSetsCommand,
  paginateListHostedZones,
  type ResourceRecordSet,
  type Route53Client,
} from '@aws-sdk/client-route-53';
import { lower, type RecordSet, type ResourceRecord, type Zone } from './zone.js';

export interface HostedZone extends Zone {
  /** Names of the servers that AWS gave it. */
  nameServers: string[];
}

export async function readZones(client: Route53Client): Promise<HostedZone[]> {
  const zones: HostedZone[] = [];
  for await (const { HostedZones } of paginateListHostedZones({ client }, {})) {
    for (const { Id, Name, Config } of HostedZones ?? []) {
      if (Id === undefined || Name === undefined || Config?.PrivateZone) continue;
      const { DelegationSet } = await client.send(new GetHostedZoneCommand({ Id }));
      zones.push({
        name: lower(unescaped(Name)),
        nameServers: (DelegationSet?.NameServers ?? []).map(lower),
        sets: await setsOf(client, Id),
      });
    }
  }
  return zones;
}

/** The SDK has no paginator for this list: three fields say where the next page begins. */
async function setsOf(client: Route53Client, zone: string): Promise<RecordSet[]> {
  const sets: RecordSet[] = [];
  let from = {};
  for (;;) {
    const page = await client.send(new ListResourceRecordSetsCommand({ HostedZoneId: zone, ...from }));
    sets.push(...(page.ResourceRecordSets ?? []).map(recordSetOf).filter((set) => set !== null));
    if (!page.IsTruncated) return sets;
    from = {
      StartRecordName: page.NextRecordName,
      StartRecordType: page.NextRecordType,
      StartRecordIdentifier: page.NextRecordIdentifier,
    };
  }
}

/** Null: of a type that the lab's name servers don't know. */
function recordSetOf(found: ResourceRecordSet): RecordSet | null {
  const { Name = '', Type = '', TTL = 0, ResourceRecords = [], AliasTarget, Weight, MultiValueAnswer } = found;
  const type = TYPES.find((one) => one === Type);
  if (type === undefined) return null;
  const name = lower(unescaped(Name));
  return {
    name,
    type,
    content: AliasTarget
      ? {
          kind: 'alias',
          // Load balancers have this second name for clients of both versions of IP.
          to: lower(AliasTarget.DNSName ?? '').replace(/^dualstack\./, ''),
          evaluateHealth: AliasTarget.EvaluateTargetHealth ?? false,
        }
      : { kind: 'records', records: ResourceRecords.map(({ Value = '' }) => recordOf(name, type, TTL, Value)) },
    routing:
      Weight === undefined
        ? { kind: MultiValueAnswer ? 'multivalue' : 'simple' }
        : { kind: 'weighted', weight: Weight },
  };
}

const TYPES = ['A', 'AAAA', 'CNAME', 'NS', 'PTR', 'TXT', 'MX', 'SRV', 'CAA', 'SOA'] as const;

/** https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/ResourceRecordTypes.html */
function recordOf(name: string, type: (typeof TYPES)[number], ttl: number, value: string): ResourceRecord {
  const words = value.trim().split(/\s+/);
  const [first = '', second = '', third = '', fourth = ''] = words;
  const about = { name, ttl, class: 'IN' } as const;
  switch (type) {
    case 'A':
    case 'AAAA':
      return { ...about, type, data: value };
    case 'CNAME':
    case 'NS':
    case 'PTR':
      return { ...about, type, data: lower(value) };
    case 'TXT':
      return { ...about, type, data: quoted(value) };
    case 'MX':
      return { ...about, type, data: { preference: Number(first), exchange: lower(second) } };
    case 'SRV': {
      const data = { priority: Number(first), weight: Number(second), port: Number(third), target: lower(fourth) };
      return { ...about, type, data };
    }
    case 'CAA': {
      const tag = second === 'iodef' || second === 'issuewild' ? second : 'issue';
      return { ...about, type, data: { flags: Number(first), tag, value: quoted(value).join('') } };
    }
    case 'SOA': {
      const [serial = 1, refresh = 7_200, retry = 900, expire = 1_209_600, minimum = 86_400] = words
        .slice(2)
        .map(Number);
      const data = { mname: lower(first), rname: lower(second), serial, refresh, retry, expire, minimum };
      return { ...about, type, data };
    }
  }
}

/** `"a" "b"` → a, b */
const quoted = (text: string): string[] =>
  [...text.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, part = '']) => unescaped(part.replace(/\\(["\\])/g, '$1')));

/** `\052` is `*`: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html */
const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
