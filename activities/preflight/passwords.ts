/** The password that one server needs to replicate from the other, and where it is kept. */
import type { DatabaseMove } from '../contract.js';
import { publisherOf, urlOf } from '../postgres/connection.js';
import type { Session } from '../postgres/session.js';
import { otherSide } from '../postgres/sides.js';
import { defineCheck, type Found } from './check.js';

type Id = 'password-in-catalog' | 'passfile-refused' | 'password-needed';

export const passwords = defineCheck<Id>({
  topic: 'Disk and network',
  on: 'both',
  rules: {
    'password-in-catalog': {
      severity: 'info',
      title: 'A subscription holds a password',
      why: 'The server that receives connects by itself. Postgres keeps what it connects with in pg_subscription.subconninfo, which superusers read, and which is in base backups that are taken meanwhile.',
      mend: 'Name a password file on that server in source.replication.passfile or target.replication.passfile, if the role of the migration is a superuser there: others may subscribe with a password in the connection string alone. Else use a login of its own for the migration, and drop it afterwards.',
    },
    'passfile-refused': {
      severity: 'error',
      title: 'Only a superuser may subscribe by a password file',
      why: 'Since version 16 a role without superuser has to have the password in the connection string, or it could use what the server has.',
      mend: 'Leave replication.passfile out, or make the role of the migration a superuser on the side that receives.',
    },
    'password-needed': {
      severity: 'error',
      title: 'A subscription of a role without superuser needs a password',
      why: 'Postgres refuses a connection string without one, and a publisher whose pg_hba.conf asks for none.',
      mend: 'Give the role of the URL a password, and let pg_hba.conf ask for it (scram-sha-256).',
    },
  },
  find: async ({ source, target }, { move }) => [
    ...(await receiving(target, 'target', move)),
    ...(await receiving(source, 'source', move)),
  ],
});

async function receiving(session: Session, side: 'source' | 'target', move: DatabaseMove): Promise<Found<Id>[]> {
  const publisher = publisherOf(move.database, otherSide(side));
  const url = await urlOf(publisher.side, publisher.url);
  const role = await session.row<{ super: boolean; name: string }>(
    'select rolsuper as super, rolname as name from pg_catalog.pg_roles where rolname = current_user',
  );
  const plain = role?.super !== true;
  const option = `${publisher.side}.replication.passfile`;
  if (publisher.passfile !== null) {
    if (!plain) return [];
    return [
      {
        id: 'passfile-refused',
        side,
        evidence: `${option} is ${publisher.passfile}, and the role ${role?.name} of the ${side} is no superuser`,
        repair: [`Leave ${option} out: the subscription on the ${side} then holds the password`],
      },
    ];
  }
  if (url.password === null) {
    if (!plain) return [];
    return [
      {
        id: 'password-needed',
        side,
        evidence: `the URL by which the ${side} reaches the ${publisher.side} has no password`,
        repair: [`Give ${url.user ?? 'its role'} a password on the ${publisher.side}, and write it into that URL`],
      },
    ];
  }
  return [
    {
      id: 'password-in-catalog',
      side,
      evidence:
        `pg_subscription.subconninfo of the ${side} will hold the password of ${url.user} of the ${publisher.side}` +
        (plain ? `; ${role?.name} is no superuser there, and may not do without` : ''),
      repair: plain ? [] : [`Name a password file on the ${side} in ${option}`],
    },
  ];
}
