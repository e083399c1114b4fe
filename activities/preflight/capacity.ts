/** Free places for what Godwit starts on each server. Its own, of an earlier run, count as free. */
import { statement } from '../postgres/statements.js';
import { defineCheck, type Found, type Rule } from './check.js';

const CAPACITY = statement(import.meta.url, './sql/capacity.sql');

type Id =
  'no-free-slot' | 'no-free-wal-sender' | 'no-free-logical-worker' | 'no-free-worker-process' | 'no-free-origin';

interface Place {
  setting: string;
  allowed: number;
  used: number;
}

/** What one migration needs at once on one side, and what it is for. */
const NEEDED: Record<string, { id: Id; count: number; of: string }> = {
  slots: { id: 'no-free-slot', count: 1, of: 'replication slot' },
  // The subscription's, and for a moment the one that makes the slot with its snapshot.
  senders: { id: 'no-free-wal-sender', count: 2, of: 'WAL senders' },
  workers: { id: 'no-free-logical-worker', count: 1, of: 'logical replication worker' },
  processes: { id: 'no-free-worker-process', count: 1, of: 'background worker process' },
  origins: { id: 'no-free-origin', count: 1, of: 'replication origin' },
};

function placesRule(setting: string, title: string, why: string): Rule {
  return {
    severity: 'error',
    title,
    why: `${why} Both sides need it: the target for the way there, the source for the way back, or the other way round.`,
    mend: `Raise ${setting} and restart the server, or remove what isn't used.`,
  };
}

export const capacity = defineCheck<Id>({
  topic: 'Room on the servers',
  on: 'each side',
  rules: {
    'no-free-slot': placesRule(
      'max_replication_slots',
      'No replication slot is free',
      'Each direction reads changes from a slot.',
    ),
    'no-free-wal-sender': placesRule(
      'max_wal_senders',
      'Too few WAL senders are free',
      'A slot is made by one and read through another.',
    ),
    'no-free-logical-worker': placesRule(
      'max_logical_replication_workers',
      'No logical replication worker is free',
      'A worker applies the changes.',
    ),
    'no-free-worker-process': placesRule(
      'max_worker_processes',
      'No background worker process is free',
      'The worker that applies changes is one of them, too.',
    ),
    'no-free-origin': placesRule(
      'max_replication_slots (max_active_replication_origins since version 18)',
      'No replication origin is free',
      'A subscription keeps how far it is in an origin.',
    ),
  },
  find: async (session, { move }) => {
    const places = await session.rows<Place & { kind: string }>(CAPACITY, [`godwit_${move.key}_%`]);
    return places.flatMap((place): Found<Id>[] => {
      const needed = NEEDED[place.kind];
      if (!needed || place.allowed - place.used >= needed.count) return [];
      const enough = place.used + needed.count;
      return [
        {
          id: needed.id,
          evidence: `${place.setting} is ${place.allowed}, of which ${place.used} are used; one migration needs ${needed.count} ${needed.of}`,
          repair: [`ALTER SYSTEM SET ${place.setting} = ${enough}`, 'Restart the server'],
        },
      ];
    });
  },
});
