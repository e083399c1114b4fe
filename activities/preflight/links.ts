/** Whether each server reaches the other, tried from the servers themselves. */
import { linkProblem } from '../postgres/replication/link.js';
import { Session } from '../postgres/session.js';
import { otherSide } from '../postgres/sides.js';
import type { DatabaseMove } from '../contract.js';
import type { Primary } from '../../spec/status.js';
import { defineCheck, type Found } from './check.js';

type Id = 'way-there-closed' | 'way-back-closed';

export const links = defineCheck<Id>({
  topic: 'Disk and network',
  on: 'both',
  rules: {
    'way-there-closed': {
      severity: 'error',
      title: 'The server of the target does not reach the source',
      why: 'It connects by itself, from its own network, with the URL of the source or source.replication.url. The rows would be copied by the workers, and nothing would follow.',
      mend: 'Let it reach the source: firewall, security group, pg_hba.conf, certificates, password; or name the address that it has to use in source.replication.url.',
    },
    'way-back-closed': {
      severity: 'warning',
      title: 'The server of the source does not reach the target',
      why: 'After the switch it connects by itself, from its own network, to follow the target. Every attempt to switch proves that first, and none begins without it (NoWayBack).',
      mend: 'Let it reach the target: firewall, security group, pg_hba.conf, certificates, password; or name the address that it has to use in target.replication.url.',
    },
  },
  find: async (_, { move }) => {
    const found = await Promise.all([
      closed(move, 'source', 'way-there-closed'),
      closed(move, 'target', 'way-back-closed'),
    ]);
    return found.flat();
  },
});

/** In a session of its own, since those of preflight can't write; what is tried is rolled back. */
async function closed(move: DatabaseMove, sender: Primary, id: Id): Promise<Found<Id>[]> {
  const side = otherSide(sender);
  await using receiver = await Session.open(side, move.database[side], { purpose: 'preflight' });
  if (!(await maySubscribe(receiver))) return [];
  const problem = await linkProblem(receiver, move, sender, null);
  return problem === null ? [] : [{ id, side, evidence: problem.message, repair: [problem.repair] }];
}

/** Without the right nothing can be tried; that it is missing, another check says. */
async function maySubscribe(session: Session): Promise<boolean> {
  const row = await session.row<{ may: boolean }>(
    `select r.rolsuper or has_database_privilege(current_database(), 'CREATE') and coalesce((
       select bool_or(pg_has_role(g.oid, 'usage')) from pg_catalog.pg_roles g
       where g.rolname in ('pg_create_subscription', 'rds_superuser', 'cloudsqlsuperuser')), false) as may
     from pg_catalog.pg_roles r where r.rolname = current_user and not pg_is_in_recovery()`,
  );
  return row?.may ?? false;
}
