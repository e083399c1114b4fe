/** Materialized views of tables in scope: what becomes of what they show. */
import { viewsOf, type MaterializedView } from '../postgres/materialized-views.js';
import { qualified } from '../postgres/statements.js';
import { defineCheck, type Found } from './check.js';
import { each, listed } from './evidence.js';

type Id = 'materialized-view' | 'materialized-view-locked' | 'materialized-view-stale';

export const materializedViews = defineCheck<Id>({
  topic: 'Tables',
  on: 'source',
  rules: {
    'materialized-view': {
      severity: 'info',
      title: 'Materialized views are refreshed by the copy, and after each switch',
      why: 'Logical replication carries tables alone. Until its refresh after the switch has ended, a view shows what it showed at the copy, or when its side last took the writes; while the migration runs nothing refreshes it on the other side.',
      mend: 'Nothing. Let your application refresh them where it writes, as before.',
    },
    'materialized-view-locked': {
      severity: 'info',
      title: 'Materialized views cannot be read while they are refreshed',
      why: 'REFRESH … CONCURRENTLY asks for a unique index over columns, of all rows. Without one, readers of the view wait for the refresh after the switch.',
      mend: 'Give those a unique index that are read all the time and take long.',
    },
    'materialized-view-stale': {
      severity: 'warning',
      title: 'Materialized views belong to roles that Godwit may not act as',
      why: 'Only its owner, or since version 17 whoever has MAINTAIN on it, refreshes a view: these stay as they are after a switch until somebody else refreshes them, which status says then.',
      mend: 'GRANT their owners TO the role of the migration, or refresh them yourself after the switch.',
    },
  },
  find: async (source, { tables }) => {
    const views = (await viewsOf(source, tables)).filter(({ populated }) => populated);
    const locked = views.filter(({ identified }) => !identified);
    const foreign = views.filter(({ permitted }) => !permitted);
    const found = (id: Id, some: MaterializedView[], repair: string[]): Found<Id>[] =>
      some.length === 0 ? [] : [{ id, evidence: listed(some.map(({ schema, name }) => `${schema}.${name}`)), repair }];
    return [
      ...found('materialized-view', views, []),
      ...found(
        'materialized-view-locked',
        locked,
        each(locked, (view) => `Create a unique index on ${qualified(view)}, if its readers may not wait`),
      ),
      ...found(
        'materialized-view-stale',
        foreign,
        each(foreign, ({ owner, role }) => `GRANT "${owner.replaceAll('"', '""')}" TO "${role.replaceAll('"', '""')}"`),
      ),
    ];
  },
});
