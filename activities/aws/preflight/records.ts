/** What would stop or hurt when a record's traffic is moved. Reads only. */
import { ListTagsForResourceCommand, type ResourceRecordSet } from '@aws-sdk/client-route-53';
import type { Found } from '../../preflight/check.js';
import { secondsText } from '../../preflight/evidence.js';
import { ownersIn } from '../owners.js';
import { delegatedServers, membersOf, type RecordMove } from '../route53/change.js';
import { isOwn, lockName, readLock } from '../route53/lock.js';
import { recordName } from '../route53/records.js';
import { readRecords, readZone } from '../route53/zone.js';
import { compareLoadBalancers } from './load-balancers.js';
import { looked, type TrafficId } from './look.js';

type Findings = Found<TrafficId>[];

const LONG_TTL_S = 3_600;

export async function examineRecords(records: RecordMove): Promise<Findings> {
  const { route, clients, move } = records;
  const found: Findings = [];
  const zone = await looked(() => readZone(clients, route.zone), found, { InvalidSpec: 'record-not-found' });
  if (zone === null) return found;
  await looked(() => delegatedServers(route, zone), found, {
    InvalidSpec: 'record-not-movable',
    TrafficMismatch: 'record-delegated-elsewhere',
  });
  const lock = await looked(() => readLock(clients, route), found, {});
  const own = lock !== null && isOwn(lock, move);
  if (lock !== null && !own) {
    const says = (lock.ResourceRecords ?? []).map(({ Value }) => Value).join(' ');
    const evidence = `TXT ${lockName(route)} says ${says}`;
    found.push({
      id: 'record-locked',
      evidence,
      repair: ['Wait for it, or abort it', `Delete TXT ${lockName(route)}`],
    });
  }
  await looked(() => examineOwners(records, found), found, {});
  const all = await looked(() => readRecords(clients, route.zone, route.recordName, route.type), found, {});
  if (all !== null && !own) await examineMembers(records, all, found);
  return found;
}

async function examineMembers({ route, move }: RecordMove, all: ResourceRecordSet[], found: Findings): Promise<void> {
  const members = await looked(() => Promise.resolve().then(() => membersOf(route, all)), found, {
    InvalidSpec: 'record-not-movable',
    TrafficMismatch: 'record-traffic-elsewhere',
  });
  if (members === null) return;
  const aliases = [members.blue, members.green].filter(({ AliasTarget }) => AliasTarget !== undefined);
  if (aliases.length > 0) {
    const evidence = aliases.map((one) => `${one.SetIdentifier ?? ''} leads to ${one.AliasTarget?.DNSName ?? ''}`);
    found.push({ id: 'record-alias', evidence: evidence.join('; '), repair: [] });
    await looked(() => compareLoadBalancers(move, members, found), found, {});
  }
  if (members.ttl >= LONG_TTL_S) {
    const evidence = `the TTL is ${members.ttl} s: ${secondsText(members.ttl)} pass before the first step`;
    found.push({ id: 'record-long-ttl', evidence, repair: ['Lower it the day before'] });
  }
}

/** external-dns marks what is its own by TXT records: of the name itself, or with the type before it. */
async function examineOwners({ route, clients }: RecordMove, found: Findings): Promise<void> {
  const type = route.type.toLowerCase();
  for (const name of [route.recordName, `${type}-${route.recordName}`]) {
    const marks = await readRecords(clients, route.zone, name, 'TXT');
    const values = marks.flatMap(({ ResourceRecords = [] }) => ResourceRecords.map(({ Value = '' }) => Value));
    const mark = values.find((value) => value.includes('heritage=external-dns'));
    if (mark === undefined) continue;
    const evidence = `TXT ${recordName(name)} says ${mark}`;
    found.push({ id: 'record-managed-elsewhere', evidence, repair: ['Exclude the name from external-dns'] });
  }
  const { ResourceTagSet } = await clients.route53.send(
    new ListTagsForResourceCommand({ ResourceType: 'hostedzone', ResourceId: route.zone }),
  );
  const owners = ownersIn(ResourceTagSet?.Tags ?? []);
  if (owners.length === 0) return;
  const evidence = `the zone ${route.zone}: ${owners.join(', ')}`;
  found.push({
    id: 'record-managed-elsewhere',
    evidence,
    repair: ['Let it ignore this record while the traffic moves'],
  });
}
