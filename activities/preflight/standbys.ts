/** Standbys: one that may be promoted must know that the source has ceded. */
import { statement } from '../postgres/statements.js';
import { defineCheck, type Found } from './check.js';
import { listed } from './evidence.js';

const STANDBYS = statement(import.meta.url, './sql/standbys.sql');

type Id = 'standby-attached' | 'standby-synchronous';

export const standbys = defineCheck<Id>({
  topic: 'Servers',
  on: 'each side',
  rules: {
    'standby-attached': {
      severity: 'info',
      title: 'Standbys stream from the server',
      why: 'A failover forgets what the standby had not received. The switch waits until every connected standby has flushed the cede; one that hangs holds the switch until it is disconnected. Read replicas stay with their server: after finalize those of the source show the past.',
      mend: 'Do not fail over during the switch. Make replicas of the target beforehand, where something reads from those of the source.',
    },
    'standby-synchronous': {
      severity: 'info',
      title: 'Synchronous standbys take part in every commit',
      why: "Commits of the switch wait for them, too, so the write pause includes the slowest one's answer.",
      mend: 'Nothing. See that they are healthy before the switch.',
    },
  },
  find: async (session) => {
    const rows = await session.rows<{ name: string; host: string; sync_state: string }>(STANDBYS);
    const found: Found<Id>[] = [];
    const synchronous = rows.filter((row) => row.sync_state === 'sync' || row.sync_state === 'quorum');
    if (rows.length > 0) {
      found.push({
        id: 'standby-attached',
        evidence: listed(rows.map((row) => `${row.name} at ${row.host} (${row.sync_state})`)),
        repair: [],
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
