/** Free places for what Godwit starts and locks on each server. What it started in an earlier run counts as free. */
import type { Session } from '../postgres/session.js';
import { statement } from '../postgres/statements.js';
import { defineCheck, scopeParameters, type Found, type Rule } from './check.js';

const CAPACITY = statement(import.meta.url, './sql/capacity.sql');
const LOCK_ROOM = statement(import.meta.url, './sql/lock_room.sql');
const LOCK_NEED = statement(import.meta.url, './sql/lock_need.sql');

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

interface LockRoom {
  perTransaction: number;
  transactions: number;
  used: number;
}

/** The switch locks every table in one transaction of the side that cedes, and its way back of the other. */
export const lockRoom = defineCheck<'too-few-locks'>({
  topic: 'Room on the servers',
  on: 'both',
  rules: {
    'too-few-locks': {
      severity: 'error',
      title: 'Too few locks for the tables in scope',
      why: 'The switch locks all tables at once, on either side; each reader of the copy does, too, and copying the schema makes them in one transaction. Without room, Postgres refuses with "out of shared memory", to whoever asks next: it may be the application.',
      mend: 'Raise max_locks_per_transaction and restart the server; on physical standbys of it first. On managed servers it is in the parameter group.',
    },
  },
  find: async ({ source, target }, { move, tables, claimed }) => {
    const need = await source.row<{ tables: number; made: number }>(LOCK_NEED, scopeParameters(tables));
    if (need === undefined) return [];
    const { schema, copy } = move.database;
    const makes = schema === 'copy' && !claimed;
    // A lock that several hold is one place; but who holds it is written down too, in twice as many places.
    const workers = copy.workers ?? 1;
    const holders = 1 + workers * Math.ceil(copy.parallelism / workers);
    const sides = [
      { session: source, needed: Math.ceil(need.tables * Math.max(1, holders / 2)) },
      { session: target, needed: makes ? need.made : need.tables },
    ];
    const found: Found<'too-few-locks'>[] = [];
    for (const { session, needed } of sides) found.push(...tooFewLocks(session, needed, await roomOf(session)));
    return found;
  },
});

async function roomOf(session: Session): Promise<LockRoom> {
  return (
    (await session.row<LockRoom & Record<string, unknown>>(LOCK_ROOM)) ?? {
      perTransaction: 0,
      transactions: 0,
      used: 0,
    }
  );
}

function tooFewLocks(session: Session, needed: number, room: LockRoom): Found<'too-few-locks'>[] {
  const { perTransaction, transactions, used } = room;
  const places = perTransaction * transactions;
  if (needed + used <= places) return [];
  return [
    {
      id: 'too-few-locks',
      side: session.side === 'source' ? 'source' : 'target',
      evidence: `max_locks_per_transaction is ${perTransaction}, which makes ${places} locks with max_connections + max_prepared_transactions of ${transactions}; the tables in scope need ${needed} at once, and ${used} are taken`,
      repair: [
        `ALTER SYSTEM SET max_locks_per_transaction = ${Math.ceil((needed + used) / transactions)}`,
        'Restart the server',
      ],
    },
  ];
}
