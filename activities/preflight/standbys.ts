/** Standbys: one that may be promoted must know that the source has ceded. */
import { followsFailover } from '../postgres/replication/slot.js';
import { standbysOf } from '../postgres/standbys.js';
import { statement } from '../postgres/statements.js';
import { defineCheck, type Found } from './check.js';
import { listed } from './evidence.js';

const STANDBYS = statement(import.meta.url, './sql/standbys.sql');

type Id = 'standby-attached' | 'standby-away' | 'standby-synchronous';

export const standbys = defineCheck<Id>({
  topic: 'Servers',
  on: 'each side',
  rules: {
    'standby-attached': {
      severity: 'info',
      title: 'Standbys stream from the server',
      why: 'A failover forgets what the standby had not received, and a logical slot does not survive it, except on PostgreSQL 17 and newer where synchronized_standby_slots is set: Godwit makes its slots for failover there. Elsewhere a failover means a new sync, after a person has agreed to it. The switch waits until every connected standby has flushed the cede. Read replicas stay with their server: after finalize those of the source show the past.',
      mend: 'Do not fail over during the switch; name standbys that are never promoted in cutover.standbys.ignore. Make replicas of the target beforehand, where something reads from those of the source.',
    },
    'standby-away': {
      severity: 'warning',
      title: 'Standbys are away',
      why: 'A physical slot that nobody reads belongs to a server that may come back and be promoted, without knowing of the switch: then both sides take writes. So the switch does not begin.',
      mend: 'Let the standby stream again, or drop its slot; or name it in cutover.standbys.ignore, and never promote it.',
    },
    'standby-synchronous': {
      severity: 'info',
      title: 'Synchronous standbys take part in every commit',
      why: "Commits of the switch wait for them, too, so the write pause includes the slowest one's answer.",
      mend: 'Nothing. See that they are healthy before the switch.',
    },
  },
  find: async (session, { move }) => {
    const rows = await session.rows<{ name: string; host: string; sync_state: string }>(STANDBYS);
    const found: Found<Id>[] = [];
    const synchronous = rows.filter((row) => row.sync_state === 'sync' || row.sync_state === 'quorum');
    if (rows.length > 0) {
      found.push({
        id: 'standby-attached',
        evidence: `${listed(rows.map((row) => `${row.name} at ${row.host} (${row.sync_state})`))}; logical slots ${
          (await followsFailover(session)) ? 'follow a failover' : "don't follow a failover: it means a new sync"
        }`,
        repair: [],
      });
    }
    const away = (await standbysOf(session, move.database)).filter(({ host }) => host === 'nowhere');
    if (away.length > 0) {
      found.push({
        id: 'standby-away',
        evidence: `nobody reads ${listed(away.map(({ name }) => name))}`,
        repair: away.map(({ name }) => `SELECT pg_drop_replication_slot('${name}')`),
      });
    }
    if (synchronous.length > 0) {
      found.push({
        id: 'standby-synchronous',
        evidence: listed(synchronous.map((row) => `${row.name} at ${row.host}`)),
        repair: [],
      });
    }
    return found;
  },
});
