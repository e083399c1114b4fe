/** Clients that reach the source by another way than the endpoints. */
import { directClients, inWords, type Client } from '../bypass.js';
import { defineCheck, type Found } from './check.js';
import { listed } from './evidence.js';

type Id = 'no-endpoint' | 'pooler-bypassed' | 'clients-ended' | 'clients-refused';

export const clients = defineCheck<Id>({
  topic: 'Clients',
  on: 'source and all endpoints',
  rules: {
    'no-endpoint': {
      severity: 'warning',
      title: 'No endpoint moves the clients',
      why: 'After the switch clients keep connecting to the source, whose fence refuses their writes, until somebody points them at the target.',
      mend: 'Name what leads the clients in endpoints. If they find the new side by themselves, or you point them there by hand, say so: none.',
    },
    'pooler-bypassed': {
      severity: 'warning',
      title: 'Clients bypass the pooler',
      why: 'No pause holds them and nothing moves them: the fence refuses their writes from the switch on.',
      mend: 'Let them connect through PgBouncer, or stop them for the switch and point them at the target by hand; or name what leads them in endpoints, too.',
    },
    'clients-ended': {
      severity: 'info',
      title: 'Sessions will be ended after the switch',
      why: 'They were told by the old side that they may write, so their drivers have to connect anew to choose the new one. Whatever matches counts, a backup that reads as well.',
      mend: 'Nothing, if these are the clients with both hosts in their URL; else name their roles or applications in multiHost.',
    },
    'clients-refused': {
      severity: 'info',
      title: 'Clients connect to the source itself',
      why: 'A hook may lead them elsewhere, or they themselves: their writes are refused with 25006 from the switch on, until they are connected to the target.',
      mend: 'Nothing, if they reconnect after 25006 and are led to the target then.',
    },
  },
  find: async (source, open, { move }) => {
    if (move.database.endpoints.length === 0) {
      return [
        {
          id: 'no-endpoint',
          evidence: 'endpoints is empty',
          repair: ['Name what must point at the primary in endpoints'],
        },
      ];
    }
    // A list that isn't complete would name the clients of the missing pooler.
    const poolers = move.database.endpoints.filter(({ kind }) => kind === 'pgbouncer');
    if (open.length < poolers.length) return [];
    const consoles = open.map(({ admin }) => admin);
    const { ended, others, led } = await directClients(source, consoles, move.database.endpoints);
    return [
      ...found(
        'clients-ended',
        ended,
        'Nothing, if these have both hosts in their URL; else name roles or applications',
      ),
      ...(led
        ? found(
            'clients-refused',
            others,
            'Nothing, if they reconnect after SQLSTATE 25006 and are led to the target then',
          )
        : found(
            'pooler-bypassed',
            others,
            'Let them connect through PgBouncer, or stop them for the switch and point them at the target by hand',
          )),
    ];
  },
});

function found(id: Id, rows: Client[], repair: string): Found<Id>[] {
  if (rows.length === 0) return [];
  const counts = new Map<string, number>();
  for (const row of rows) {
    const name = inWords(row);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const evidence = listed([...counts].map(([name, count]) => (count === 1 ? name : `${name}, ${count} connections`)));
  return [{ id, evidence, repair: [repair] }];
}
