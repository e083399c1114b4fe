/**
 * The lock of a record: a TXT record beside it, which only one can create. Its value names the migration, so that a person who
 * meets it in the console knows what it is.
 */
import type { ResourceRecordSet } from '@aws-sdk/client-route-53';
import type { NormalRoute53 } from '../../../spec/normal-traffic.js';
import { failure } from '../../failure.js';
import type { TrafficMove } from '../../traffic-contract.js';
import { codeOf, mayHaveHappened } from '../errors.js';
import type { AwsClients } from '../clients.js';
import { creations, deletions } from './records.js';
import { readRecords, submit } from './zone.js';

const TTL_S = 60;

/** `_godwit-lock-a.shop.example.org`; a name with `*` in it would not be found where it is looked for. */
export const lockName = ({ recordName, type }: NormalRoute53): string =>
  `_godwit-lock-${type.toLowerCase()}.${recordName.replace(/^\*/, '_any')}`;

export async function lockRecord(clients: AwsClients, route: NormalRoute53, move: TrafficMove): Promise<void> {
  if (await isHeld(clients, route, move)) return;
  const record: ResourceRecordSet = {
    Name: lockName(route),
    Type: 'TXT',
    TTL: TTL_S,
    ResourceRecords: [{ Value: value(move) }],
  };
  try {
    await submit(clients, route.zone, creations([record]), `godwit: lock for ${move.key}`);
  } catch (error) {
    // Refused, as it is when another was first; or an answer that was lost after the effect.
    if (codeOf(error) !== 'InvalidChangeBatch' && !mayHaveHappened(error)) throw error;
    if (!(await isHeld(clients, route, move))) throw error;
  }
}

/** Fails with `ScopeTaken` where another migration holds it. */
async function isHeld(clients: AwsClients, route: NormalRoute53, move: TrafficMove): Promise<boolean> {
  const record = await readLock(clients, route);
  if (record === null) return false;
  if (isOwn(record, move)) return true;
  throw failure(
    'ScopeTaken',
    `${route.type} ${route.recordName} is held by another migration: TXT ${lockName(route)} says ${lockText(record)}`,
    'Wait for it or abort it; if it is no more, delete that TXT record',
  );
}

export async function readLock(clients: AwsClients, route: NormalRoute53): Promise<ResourceRecordSet | null> {
  const [record] = await readRecords(clients, route.zone, lockName(route), 'TXT');
  return record ?? null;
}

/** Fine when it wasn't locked; another's stays. */
export async function unlockRecord(clients: AwsClients, route: NormalRoute53, move: TrafficMove): Promise<void> {
  const record = await readLock(clients, route);
  if (record === null || !isOwn(record, move)) return;
  try {
    await submit(clients, route.zone, deletions([record]), `godwit: unlock for ${move.key}`);
  } catch (error) {
    if (codeOf(error) !== 'InvalidChangeBatch' && !mayHaveHappened(error)) throw error;
    if ((await readLock(clients, route)) !== null) throw error;
  }
}

export const lockText = ({ ResourceRecords = [] }: ResourceRecordSet): string =>
  ResourceRecords.map(({ Value = '' }) => Value).join(' ');

export const isOwn = (record: ResourceRecordSet, { key }: TrafficMove): boolean =>
  lockText(record).includes(`key=${key} `);

/** At most 255 characters in one string of a TXT record. */
function value({ migration, key }: TrafficMove): string {
  return `"godwit key=${key} migration=${migration.replaceAll(/[^\x21-\x7e]|["\\]/g, '_').slice(0, 200)}"`;
}
