/** What logical replication doesn't carry, or carries in its own way. */
import { matches } from '../postgres/scope.js';
import { statement } from '../postgres/statements.js';
import { defineCheck, scopeParameters, type Found } from './check.js';
import { each, listed } from './evidence.js';

const OTHER_RELATIONS = statement(import.meta.url, './sql/other_relations.sql');
const SPECIAL_COLUMNS = statement(import.meta.url, './sql/special_columns.sql');
const INHERITANCE = statement(import.meta.url, './sql/inheritance.sql');

type RelationId = 'unlogged-table' | 'foreign-table' | 'temporary-table';

interface Relation {
  schema: string;
  name: string;
  quoted: string;
  root_schema: string;
  root_name: string;
  kind: 'unlogged' | 'foreign' | 'temporary';
}

export const otherRelations = defineCheck<RelationId>({
  topic: 'Tables',
  on: 'source',
  rules: {
    'unlogged-table': {
      severity: 'error',
      title: 'Unlogged tables would stay behind',
      why: 'Their changes are not in the WAL, so they cannot be replicated: the target would not have their rows.',
      mend: 'Say in tables.unlogged what becomes of them: with copy, each switch carries their rows while nobody writes; with empty, they begin empty, as after a crash. Or ALTER TABLE … SET LOGGED, or name them in tables.exclude when nobody misses them.',
    },
    'foreign-table': {
      severity: 'warning',
      title: 'Foreign tables are not moved',
      why: 'Their rows live elsewhere; the target needs the foreign server, its user mappings and a network path of its own.',
      mend: 'Create the foreign server and the tables on the target by hand.',
    },
    'temporary-table': {
      severity: 'info',
      title: 'Sessions use temporary tables',
      why: 'They live and end with their session; the fence lets them pass.',
      mend: 'Nothing.',
    },
  },
  find: async (source, { move }) => {
    const { include, exclude, unlogged = {} } = move.database.tables;
    const named = (patterns: string[], row: Relation): boolean =>
      patterns.some(
        (pattern) => matches(pattern, row) || matches(pattern, { schema: row.root_schema, name: row.root_name }),
      );
    const rows = (await source.rows<Relation>(OTHER_RELATIONS)).filter(
      (row) =>
        row.kind === 'temporary' ||
        (named(include, row) &&
          !named(exclude, row) &&
          !(row.kind === 'unlogged' && named(Object.keys(unlogged), row))),
    );
    const of = (kind: Relation['kind']): Relation[] => rows.filter((row) => row.kind === kind);
    const found = (id: RelationId, relations: Relation[], repair: string[]): Found<RelationId>[] =>
      relations.length === 0 ? [] : [{ id, evidence: listed(relations.map((row) => row.quoted)), repair }];
    return [
      ...found('unlogged-table', of('unlogged'), [
        `Say what becomes of each, such as tables.unlogged: { ${of('unlogged')[0]?.quoted ?? ''}: copy }, or empty; or:`,
        ...each(of('unlogged'), (row) => `ALTER TABLE ${row.quoted} SET LOGGED`),
      ]),
      ...found('foreign-table', of('foreign'), ['Create the foreign server and these tables on the target by hand']),
      ...found('temporary-table', of('temporary'), []),
    ];
  },
});

type ColumnId = 'generated-column' | 'large-objects' | 'large-object-column';

export const columns = defineCheck<ColumnId>({
  topic: 'Tables',
  on: 'source',
  rules: {
    'generated-column': {
      severity: 'info',
      title: 'Columns are generated',
      why: 'They are not replicated: each side computes its own, so the expression must give the same on both.',
      mend: 'Nothing, if the expression depends on the row alone.',
    },
    'large-objects': {
      severity: 'warning',
      title: 'The database holds large objects',
      why: 'Logical replication does not carry them: they stay on the source.',
      mend: 'Move them into bytea columns, or by hand (pg_dump --large-objects) while nobody writes.',
    },
    'large-object-column': {
      severity: 'error',
      title: 'Tables in scope refer to large objects',
      why: 'The rows would arrive, and what they point at would not.',
      mend: 'Move the large objects into bytea columns, or name the tables in tables.exclude.',
    },
  },
  find: async (source, { tables }) => {
    const rows = await source.rows<{ name: string; kind: string }>(SPECIAL_COLUMNS, scopeParameters(tables));
    const count = (await source.row<{ n: number }>('select count(*)::int as n from pg_catalog.pg_largeobject_metadata'))
      ?.n;
    const found: Found<ColumnId>[] = [];
    const generated = rows.filter((row) => row.kind === 'generated').map((row) => row.name);
    const pointing = rows.filter((row) => row.kind === 'large object').map((row) => row.name);
    if (generated.length > 0) found.push({ id: 'generated-column', evidence: listed(generated), repair: [] });
    if (!count) return found;
    if (pointing.length === 0) {
      found.push({
        id: 'large-objects',
        evidence: `${count} large objects; no column of the tables in scope is of a type that points at them`,
        repair: ['Move them by hand, or remove those that nobody uses: vacuumlo'],
      });
    } else {
      found.push({
        id: 'large-object-column',
        evidence: `${count} large objects; columns that may point at them: ${listed(pointing)}`,
        repair: ['Move the large objects into bytea columns, or name these tables in tables.exclude'],
      });
    }
    return found;
  },
});

export const inheritance = defineCheck<'table-inheritance'>({
  topic: 'Tables',
  on: 'source',
  rules: {
    'table-inheritance': {
      severity: 'warning',
      title: 'Tables inherit from one another without being partitions',
      why: 'Each is moved with its own rows alone, so a parent looks complete on the target only when its children are in scope, too.',
      mend: 'Bring parent and children into scope together, or end the inheritance.',
    },
  },
  find: async (source, { tables }) => {
    const rows = await source.rows<{ parent: string; child: string }>(INHERITANCE, scopeParameters(tables));
    if (rows.length === 0) return [];
    return [
      {
        id: 'table-inheritance',
        evidence: listed(rows.map((row) => `${row.child} inherits from ${row.parent}`)),
        repair: [
          'See that tables.include names parents and children, or end the inheritance:',
          ...each(rows, (row) => `ALTER TABLE ${row.child} NO INHERIT ${row.parent}`),
        ],
      },
    ];
  },
});
