/** Settings of both servers that replication and the fence rest on. */
import type { Session } from '../postgres/session.js';
import { statement } from '../postgres/statements.js';
import { bytesText, secondsText } from './evidence.js';
import { defineCheck, type Found } from './check.js';

const SETTINGS = statement(import.meta.url, './sql/settings.sql');

/** A slot holds back WAL while the copy runs; less room than this, and a slow copy loses its slot. */
const ENOUGH_WAL = 16 * 1024 ** 3;

type Id =
  | 'wal-level'
  | 'fsync-off'
  | 'full-page-writes-off'
  | 'slot-wal-limited'
  | 'slot-idle-timeout'
  | 'old-snapshot-threshold';

export interface Setting {
  name: string;
  setting: string;
}

export const settings = defineCheck<Id>({
  topic: 'Server settings',
  on: 'each side',
  rules: {
    'wal-level': {
      severity: 'error',
      title: 'wal_level is not logical',
      why: 'Changes leave a server by logical decoding: those of the source on the way there, those of the target on the way back.',
      mend: 'ALTER SYSTEM SET wal_level = logical, then restart the server. On Amazon RDS, set rds.logical_replication = 1 in the parameter group.',
    },
    'fsync-off': {
      severity: 'error',
      title: 'fsync is off',
      why: 'A crash may forget who may write, and then both sides do.',
      mend: 'ALTER SYSTEM SET fsync = on, then reload.',
    },
    'full-page-writes-off': {
      severity: 'warning',
      title: 'full_page_writes is off',
      why: 'A crash in the middle of a page write damages the page, unless the file system makes page writes atomic.',
      mend: 'ALTER SYSTEM SET full_page_writes = on, then reload.',
    },
    'slot-wal-limited': {
      severity: 'warning',
      title: 'max_slot_wal_keep_size may cost the migration its slot',
      why: 'More WAL than the limit while the copy runs or a side is away, and the server drops the slot: the copy starts again, or the way back is lost.',
      mend: 'Raise max_slot_wal_keep_size above the WAL of the longest outage you want to survive, or -1; then reload.',
    },
    'slot-idle-timeout': {
      severity: 'warning',
      title: 'idle_replication_slot_timeout may cost the migration its slot',
      why: 'No one reads the slot while the rows are copied, nor while a migration is paused; past the time-out the server invalidates it.',
      mend: 'ALTER SYSTEM SET idle_replication_slot_timeout = 0 for the time of the migration, then reload.',
    },
    'old-snapshot-threshold': {
      severity: 'warning',
      title: 'old_snapshot_threshold may end the copy',
      why: 'The copy reads one snapshot from beginning to end; one that is older than the threshold fails with "snapshot too old".',
      mend: 'ALTER SYSTEM SET old_snapshot_threshold = -1, then restart the server.',
    },
  },
  find: async (session) => judge(await read(session)),
});

/** A repair by ALTER SYSTEM needs this after it. */
const RELOAD = 'SELECT pg_reload_conf()';
const RESTART = 'Restart the server';

async function read(session: Session): Promise<Setting[]> {
  return session.rows<Setting>(SETTINGS);
}

/** Exported so that what only other versions have can be judged, too. */
export function judge(rows: Setting[]): Found<Id>[] {
  const value = (name: string): string | undefined => rows.find((row) => row.name === name)?.setting;
  const found: Found<Id>[] = [];
  if (value('wal_level') !== 'logical') {
    found.push({
      id: 'wal-level',
      evidence: `wal_level is ${value('wal_level')}; expected logical`,
      repair: ['ALTER SYSTEM SET wal_level = logical', RESTART],
    });
  }
  if (value('fsync') === 'off') {
    found.push({
      id: 'fsync-off',
      evidence: 'fsync is off; expected on',
      repair: ['ALTER SYSTEM SET fsync = on', RELOAD],
    });
  }
  if (value('full_page_writes') === 'off') {
    found.push({
      id: 'full-page-writes-off',
      evidence: 'full_page_writes is off; expected on',
      repair: ['ALTER SYSTEM SET full_page_writes = on', RELOAD],
    });
  }
  // Unit of pg_settings: MB.
  const kept = Number(value('max_slot_wal_keep_size') ?? -1) * 1024 ** 2;
  if (kept >= 0 && kept < ENOUGH_WAL) {
    found.push({
      id: 'slot-wal-limited',
      evidence: `max_slot_wal_keep_size is ${bytesText(kept)}; expected no limit, or at least ${bytesText(ENOUGH_WAL)}`,
      repair: ['ALTER SYSTEM SET max_slot_wal_keep_size = -1', RELOAD],
    });
  }
  // Since version 18; unit of pg_settings: s.
  const idle = Number(value('idle_replication_slot_timeout') ?? 0);
  if (idle > 0) {
    found.push({
      id: 'slot-idle-timeout',
      evidence: `idle_replication_slot_timeout is ${secondsText(idle)}; expected 0`,
      repair: ['ALTER SYSTEM SET idle_replication_slot_timeout = 0', RELOAD],
    });
  }
  // Until version 16; unit of pg_settings: min.
  const threshold = Number(value('old_snapshot_threshold') ?? -1);
  if (threshold >= 0) {
    found.push({
      id: 'old-snapshot-threshold',
      evidence: `old_snapshot_threshold is ${secondsText(threshold * 60)}; expected -1`,
      repair: ['ALTER SYSTEM SET old_snapshot_threshold = -1', RESTART],
    });
  }
  return found;
}
