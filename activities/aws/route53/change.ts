/** The records' traffic: captured, moved, finalized and put back. */
import { GetHealthCheckStatusCommand, type Change, type ResourceRecordSet } from '@aws-sdk/client-route-53';
import type { NormalRoute53, Route53Member } from '../../../spec/normal-traffic.js';
import { delegation } from '../../dns/delegation.js';
import { failure } from '../../failure.js';
import { faultPoint } from '../../fault.js';
import type { GreenHealth, Route53Image, TrafficMove, TrafficPutBack } from '../../traffic-contract.js';
import { clientsOf, type AwsClients } from '../clients.js';
import { codeOf, mayHaveHappened } from '../errors.js';
import { lookUntil, PATIENCE } from '../patience.js';
import { isOwn, lockName, lockRecord, lockText, readLock, unlockRecord } from './lock.js';
import {
  affirmation,
  batch,
  describeRecords,
  finalRecords,
  isWeighted,
  otherRouting,
  recordsAt,
  recordsPutBack,
  sameRecords,
  sameTarget,
  targetOf,
  ttlOf,
} from './records.js';
import { inSync, readRecords, readZone, submit, type Zone } from './zone.js';

/** The records of one name and type, with what reaches them. */
export interface RecordMove {
  move: TrafficMove;
  route: NormalRoute53;
  clients: AwsClients;
}

export function recordMove(move: TrafficMove, route: NormalRoute53): RecordMove {
  return { move, route, clients: clientsOf(move.traffic) };
}

const WHOLE = 100;

export async function captureRecords({ route, clients }: RecordMove): Promise<Route53Image> {
  const zone = await readZone(clients, route.zone);
  const nameServers = await delegatedServers(route, zone);
  const records = await readRecords(clients, route.zone, route.recordName, route.type);
  return { kind: 'route53', records, ...membersOf(route, records), nameServers };
}

/** Fails where nobody outside would see a change of this zone. */
export async function delegatedServers(route: Pick<NormalRoute53, 'zone'>, zone: Zone): Promise<string[]> {
  if (zone.private) {
    throw failure(
      'InvalidSpec',
      `the zone ${route.zone} (${zone.name}) is private: its answers can't be checked from outside of its networks`,
    );
  }
  const delegated = await delegation(zone.name);
  if (delegated.some((name) => zone.nameServers.includes(name))) return delegated;
  throw failure(
    'TrafficMismatch',
    `${zone.name} is delegated to ${delegated.join(', ') || 'nobody'}, and the zone ${route.zone} is served by ${zone.nameServers.join(', ')}: nobody asks this zone`,
    'Name the zone that the parent delegates to; nothing was changed',
  );
}

/** What blue and green are among the records, and the TTL that is to be waited out. Fails where that can't be told. */
export function membersOf(
  route: NormalRoute53,
  records: ResourceRecordSet[],
): Pick<Route53Image, 'ttl' | 'blue' | 'green'> {
  const what = `${route.type} ${route.recordName} in the zone ${route.zone}`;
  const [first] = records;
  if (first === undefined) throw failure('InvalidSpec', `there is no ${what}`, 'Blue is the record as it is found');
  const routing = records.map(otherRouting).find((one) => one !== null);
  if (routing !== undefined) {
    throw failure('InvalidSpec', `${what} has ${routing} routing; only simple and weighted records can be moved`);
  }
  const found = isWeighted(first) ? servingMember(route, records, what) : first;
  mustBe(found, route.blue, `blue of ${what}`);
  const blue = {
    ...found,
    SetIdentifier: found.SetIdentifier ?? route.blue?.setIdentifier ?? 'blue',
    Weight: WHOLE,
  };
  return { ttl: Math.max(...records.map(ttlOf)), blue, green: greenOf(route, records, blue, what) };
}

function servingMember(route: NormalRoute53, records: ResourceRecordSet[], what: string): ResourceRecordSet {
  const serving = records.filter(({ Weight = 0 }) => Weight > 0);
  const [blue] = serving;
  const wanted = route.blue?.setIdentifier ?? blue?.SetIdentifier;
  if (blue !== undefined && serving.length === 1 && blue.SetIdentifier === wanted) return blue;
  throw failure(
    'TrafficMismatch',
    `the traffic of ${what} has to go to blue${wanted === undefined ? '' : ` (${wanted})`} alone; found: ${describeRecords(records)}`,
    'Name as blue where the traffic goes, or take the weight from the others; nothing was changed',
  );
}

function greenOf(
  route: NormalRoute53,
  records: ResourceRecordSet[],
  blue: ResourceRecordSet,
  what: string,
): ResourceRecordSet {
  const id = route.green.setIdentifier ?? 'green';
  if (id === blue.SetIdentifier) {
    throw failure('InvalidSpec', `blue and green of ${what} have the same SetIdentifier, ${id}`);
  }
  const there = records.find(({ SetIdentifier }) => SetIdentifier === id);
  if (there !== undefined) {
    mustBe(there, route.green, `green of ${what}`);
    return there;
  }
  const target = targetOf(route.green);
  if (sameTarget(blue, target as ResourceRecordSet)) {
    throw failure('TrafficMismatch', `blue and green of ${what} are the same: ${describeRecords([blue])}`);
  }
  return {
    Name: blue.Name,
    Type: blue.Type,
    SetIdentifier: id,
    Weight: 0,
    ...(target.AliasTarget === undefined ? { TTL: route.ttl / 1_000 } : {}),
    ...target,
  };
}

function mustBe(found: ResourceRecordSet, wanted: Route53Member | null, what: string): void {
  if (wanted === null || sameTarget(found, targetOf(wanted) as ResourceRecordSet)) return;
  const written = describeRecords([{ ...found, ...bare, ...targetOf(wanted) }]);
  throw failure('TrafficMismatch', `${what} should be ${written}; found: ${describeRecords([found])}`);
}

const bare = { ResourceRecords: undefined, AliasTarget: undefined };

export const lockRecords = ({ clients, route, move }: RecordMove): Promise<void> => lockRecord(clients, route, move);

/** Answers how long caches may hold what was before, milliseconds from now. */
export async function setRecords(
  records: RecordMove,
  image: Route53Image,
  from: number | null,
  to: number,
): Promise<number> {
  const { route } = records;
  const expected = from === null ? image.records : recordsAt(image, route, from);
  if (from === to) {
    await requireUnchanged(records, expected);
    return 0;
  }
  await change(records, expected, recordsAt(image, route, to));
  return settled(from === null ? Math.max(image.ttl, ttlAt(image, route)) : ttlAt(image, route));
}

/** What was followed to all name servers before is only looked at. */
async function requireUnchanged(records: RecordMove, expected: ResourceRecordSet[]): Promise<void> {
  const there = (seen: ResourceRecordSet[]): boolean => sameRecords(seen, expected);
  const found = await lookUntil(() => read(records), there, PATIENCE.stale);
  if (!there(found)) throw changed(records, [expected], found);
}

/** Seconds, while the traffic moves. */
const ttlAt = (image: Route53Image, route: NormalRoute53): number => Math.max(...recordsAt(image, route, 0).map(ttlOf));

/** Resolvers count in whole seconds of their own clocks. */
const settled = (ttl: number): number => (ttl + Math.max(1, ttl / 10)) * 1_000;

export async function finalizeRecords(records: RecordMove, image: Route53Image): Promise<void> {
  const { clients, route, move } = records;
  await change(records, recordsAt(image, route, WHOLE), finalRecords(image));
  await unlockRecord(clients, route, move);
}

/** From `expected` to `wanted`, until all name servers have it. Nothing is written where neither is found. */
async function change(records: RecordMove, expected: ResourceRecordSet[], wanted: ResourceRecordSet[]): Promise<void> {
  const { clients, move } = records;
  const known = (seen: ResourceRecordSet[]) => sameRecords(seen, expected) || sameRecords(seen, wanted);
  const found = await lookUntil(() => read(records), known, PATIENCE.stale);
  if (!known(found)) throw changed(records, [expected, wanted], found);
  const changes = sameRecords(found, wanted) ? affirmation(found) : batch(found, wanted);
  const id = await submitOnce(records, changes, wanted, `godwit: ${move.migration}, ${move.key}`);
  await faultPoint('traffic.written');
  await inSync(clients, id);
  const back = await lookUntil(
    () => read(records),
    (seen) => sameRecords(seen, wanted),
    PATIENCE.readBack,
  );
  if (!sameRecords(back, wanted)) throw changed(records, [wanted], back);
}

const read = ({ clients, route }: RecordMove): Promise<ResourceRecordSet[]> =>
  readRecords(clients, route.zone, route.recordName, route.type);

/**
 * The API refuses a batch when something in it isn't as was read; and so it does the second time, when the first took effect
 * and its answer was lost. Which of the two it was, the records say.
 */
async function submitOnce(
  records: RecordMove,
  changes: Change[],
  wanted: ResourceRecordSet[],
  why: string,
): Promise<string> {
  const { clients, route } = records;
  try {
    return await submit(clients, route.zone, changes, why);
  } catch (error) {
    if (codeOf(error) !== 'InvalidChangeBatch' && !mayHaveHappened(error)) throw error;
    const there = (seen: ResourceRecordSet[]): boolean => sameRecords(seen, wanted);
    const found = await lookUntil(() => read(records), there, PATIENCE.stale);
    if (there(found)) return submit(clients, route.zone, affirmation(found), why);
    const was = changes.flatMap(({ Action, ResourceRecordSet: one }) => (Action === 'DELETE' && one ? [one] : []));
    const untouched = was.every((one) => found.some((other) => sameRecords([one], [other])));
    if (untouched) throw error;
    throw changed(records, [was, wanted], found);
  }
}

function changed({ route }: RecordMove, expected: ResourceRecordSet[][], found: ResourceRecordSet[]): Error {
  return failure(
    'TrafficChanged',
    `somebody else changed ${route.type} ${route.recordName} in the zone ${route.zone}: expected ${[...new Set(expected.map(describeRecords))].join('; or ')}; found ${describeRecords(found)}`,
    'Nothing was written over it. Put it back as expected and retry, or abort',
  );
}

/** All answers back to blue; green stays a member. As `undoRecords` with what somebody else has changed. */
export async function undoRecordShift(records: RecordMove, image: Route53Image): Promise<TrafficPutBack> {
  const { found, isKnown, lock } = await lookForOurs(records, image);
  if (lock !== null && !isOwn(lock, records.move)) return heldByAnother(records, image, found, lock);
  // Where the image itself is there, nothing was attached yet.
  if (sameRecords(found, image.records)) return { different: null };
  const wanted = isKnown ? recordsAt(image, records.route, 0) : recordsPutBack(image, found, true);
  const due = wanted !== null && !sameRecords(found, wanted);
  if (wanted !== null && (isKnown || due)) await change(records, found, wanted);
  return isKnown ? { different: null } : concluded(records, image, wanted ?? found, due ? BLUE_HAS_ALL : null);
}

/** As `undoAlb`: what can be put back is, and what is left different is said at the end. */
export async function undoRecords(records: RecordMove, image: Route53Image): Promise<TrafficPutBack> {
  const { clients, route, move } = records;
  const { found, isKnown, lock } = await lookForOurs(records, image);
  if (lock !== null && !isOwn(lock, move)) return heldByAnother(records, image, found, lock);
  const wanted = isKnown ? image.records : recordsPutBack(image, found);
  const due = wanted !== null && !sameRecords(found, wanted);
  const begun = lock !== null;
  if (wanted !== null && (begun || due)) await change(records, found, wanted);
  // Last, so that as long as it is there the change above is followed to all name servers.
  await unlockRecord(clients, route, move);
  const done = wanted === null ? NOTHING_OURS : BLUE_HAS_ALL;
  return isKnown ? { different: null } : concluded(records, image, wanted ?? found, begun || due ? done : null);
}

/** The weights that are there are that other migration's, also where they look like ours. */
function heldByAnother(
  { route }: RecordMove,
  image: Route53Image,
  found: ResourceRecordSet[],
  lock: ResourceRecordSet,
): TrafficPutBack {
  if (sameRecords(found, image.records)) return { different: null };
  const holder = `TXT ${lockName(route)} says ${lockText(lock)}`;
  return {
    different: `${route.type} ${route.recordName} is held by another migration (${holder}) and left as it is: ${describeRecords(found)}`,
  };
}

/** What is there, whether it is the image or something that this migration writes, and who holds it. */
async function lookForOurs(records: RecordMove, image: Route53Image) {
  const states = [
    image.records,
    finalRecords(image),
    ...Array.from({ length: 101 }, (_, weight) => recordsAt(image, records.route, weight)),
  ];
  const known = (seen: ResourceRecordSet[]): boolean => states.some((state) => sameRecords(state, seen));
  const found = await lookUntil(() => read(records), known, PATIENCE.stale);
  return { found, isKnown: known(found), lock: await readLock(records.clients, records.route) };
}

const BLUE_HAS_ALL = 'Blue has what blue and green had';
const NOTHING_OURS = 'Nothing of it was ours, so it was left as it is';

/** @param done of what of ours was still there, so that a person hears of it first, as in `undoAlb`; null: nothing was */
function concluded(
  { route }: RecordMove,
  image: Route53Image,
  now: ResourceRecordSet[],
  done: string | null,
): TrafficPutBack {
  const different = `somebody else changed ${route.type} ${route.recordName} in the zone ${route.zone}, so it is not as it was (${describeRecords(image.records)}) but: ${describeRecords(now)}`;
  if (done === null) return { different };
  throw failure('TrafficChanged', different, `${done}. To leave it so, undo once more`);
}

/** Of checkers that must succeed: as Route 53 itself has it. */
const HEALTHY_SHARE = 0.18;

/** Records have health only where they have a health check. */
export async function recordHealth({ clients }: RecordMove, member: ResourceRecordSet): Promise<GreenHealth> {
  const { HealthCheckId: id, SetIdentifier: name = '' } = member;
  if (id === undefined) {
    return { healthy: true, explanation: `the record ${name} has no health check; the gates alone judge it` };
  }
  const { HealthCheckObservations: all = [] } = await clients.route53.send(
    new GetHealthCheckStatusCommand({ HealthCheckId: id }),
  );
  const good = all.filter(({ StatusReport }) => StatusReport?.Status?.startsWith('Success') === true);
  return {
    healthy: all.length > 0 && good.length / all.length > HEALTHY_SHARE,
    explanation: `${good.length} of ${all.length} checkers of health check ${id} of ${name} succeed`,
  };
}
