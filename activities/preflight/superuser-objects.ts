/** What a copied schema has that the role of the target may not make. */
import { leftOutOf } from '../postgres/schema/selection.js';
import { statement } from '../postgres/statements.js';
import { defineCheck, type Found } from './check.js';
import { each, listed } from './evidence.js';

const SUPERUSER_OBJECTS = statement(import.meta.url, './sql/superuser_objects.sql');

type Id = 'superuser-object' | 'event-trigger-stays';

interface Row {
  name: string;
  object: string;
  type: string;
  identity: string;
}

export const superuserObjects = defineCheck<Id>({
  topic: 'Roles and rights',
  on: 'both',
  rules: {
    'superuser-object': {
      severity: 'error',
      title: 'The schema has objects that only a superuser makes',
      why: 'Functions in untrusted languages, base types, operator classes and the like: the role of the target may make none of them.',
      mend: 'Let an administrator make them on the target beforehand: what is there already is left as it is. Or make the schema by yourself (schema: existing).',
    },
    'event-trigger-stays': {
      severity: 'warning',
      title: 'Event triggers are not copied',
      why: 'Only superusers make them, and the role of the target is none.',
      mend: 'Let an administrator make them on the target after the migration.',
    },
  },
  find: async ({ source, target }, { move, tables, claimed }) => {
    if (move.database.schema !== 'copy' || claimed || tables.length === 0) return [];
    const role = await target.row<{ super: boolean }>(
      'select rolsuper as super from pg_catalog.pg_roles where rolname = current_user',
    );
    if (role?.super === true) return [];
    const leftOut = await leftOutOf(source, tables);
    const there = new Set((await target.rows<Row & Record<string, unknown>>(SUPERUSER_OBJECTS)).map((row) => row.name));
    const rows = (await source.rows<Row & Record<string, unknown>>(SUPERUSER_OBJECTS)).filter(
      (row) => !there.has(row.name) && !leftOut.has(row.object),
    );
    const triggers = rows.filter((row) => row.type === 'event trigger');
    const others = rows.filter((row) => row.type !== 'event trigger');
    const found: Found<Id>[] = [];
    if (others.length > 0) {
      found.push({
        id: 'superuser-object',
        side: 'target',
        evidence: listed(others.map((row) => row.name)),
        repair: each(
          others,
          (row) => `As an administrator of the target: CREATE ${row.type.toUpperCase()} ${row.identity} …`,
        ),
      });
    }
    if (triggers.length > 0) {
      found.push({
        id: 'event-trigger-stays',
        side: 'target',
        evidence: listed(triggers.map((row) => row.identity)),
        repair: each(
          triggers,
          (row) => `After the migration, as an administrator of the target: CREATE EVENT TRIGGER ${row.identity} …`,
        ),
      });
    }
    return found;
  },
});
