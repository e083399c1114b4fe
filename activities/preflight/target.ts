/** What is on the target already: nothing with `schema: copy`, the same empty tables with `schema: existing`. */
import { readShape, type ShapeLine } from '../plan/shape.js';
import { compareTables, tablesWithRows } from '../postgres/schema/compare.js';
import { compareDetails } from '../postgres/schema/details.js';
import type { Session } from '../postgres/session.js';
import { statement } from '../postgres/statements.js';
import { defineCheck, scopeParameters, type Found } from './check.js';
import { each, listed } from './evidence.js';

const RELATIONS_NAMED = statement(import.meta.url, './sql/relations_named.sql');

export const targetContents = defineCheck<'target-not-empty' | 'target-rows-present'>({
  topic: 'Contents of the target',
  on: 'target',
  rules: {
    'target-not-empty': {
      severity: 'error',
      title: 'The target has relations with the names of tables in scope',
      why: 'Godwit makes the tables there (schema: copy), and overwrites nothing.',
      mend: 'Use an empty database, or drop them; with schema: existing Godwit takes the tables as they are, if they are empty.',
    },
    'target-rows-present': {
      severity: 'error',
      title: 'Tables on the target have rows',
      why: "The source's rows would meet them: the copy would fail on a key, or the sides would never be equal.",
      mend: 'TRUNCATE them, if nobody needs their rows.',
    },
  },
  find: async (target, { move, tables, claimed }) => {
    // From the claim on, what is there is this migration's own.
    if (claimed) return [];
    const there = await target.rows<{ name: string; schema: string; table: string; kind: string }>(
      RELATIONS_NAMED,
      scopeParameters(tables),
    );
    if (there.length === 0) return [];
    if (move.database.schema === 'copy') {
      return [
        {
          id: 'target-not-empty',
          evidence: `${listed(there.map((row) => row.name))} exist on the target; schema: copy expects none of them`,
          repair: [
            'Use an empty database as the target, or drop these there',
            'If they were made for this move by your own tool: schema: existing',
          ],
        },
      ];
    }
    const filled = await tablesWithRows(
      target,
      tables.filter((table) => there.some((row) => row.schema === table.schema && row.table === table.name)),
    );
    if (filled.length === 0) return [];
    return [
      {
        id: 'target-rows-present',
        evidence: `${listed(filled)} have rows; expected none`,
        repair: [`On the target, if nobody needs them: TRUNCATE ${listed(filled)}`],
      },
    ];
  },
});

type SchemaId = 'schema-differs' | 'constraint-differs';

export const schemaDifferences = defineCheck<SchemaId>({
  topic: 'Contents of the target',
  on: 'both',
  rules: {
    'schema-differs': {
      severity: 'error',
      title: "The target's tables do not fit the source's",
      why: 'Rows go from column to column of the same name; one that is missing, of another type or narrower stops the copy or the replication, there or on the way back.',
      mend: 'Make the tables the same on both sides, with the tool that made them.',
    },
    'constraint-differs': {
      severity: 'warning',
      title: 'Constraints differ between source and target',
      why: 'What one side accepts, the other may refuse: replication would stop at such a row.',
      mend: 'Make the constraints the same on both sides.',
    },
  },
  find: async ({ source, target }, { move, tables, claimed }) => {
    if (move.database.schema === 'copy' || claimed) return [];
    const [from, to] = [await readShape(source, tables), await readShape(target, tables)];
    const columns = await compareTables(source, target, tables);
    const constraints = constraintDifferences(from, to);
    const found: Found<SchemaId>[] = [];
    if (columns.length > 0) {
      found.push({
        id: 'schema-differs',
        evidence: listed(columns),
        repair: ['Bring the tables of the target to the form of the source, with the tool that made them'],
      });
    }
    if (constraints.length > 0) {
      found.push({
        id: 'constraint-differs',
        evidence: listed(constraints),
        repair: ['Make the constraints the same on both sides'],
      });
    }
    return found;
  },
});

/** Constraints other than primary keys, which the comparison of the tables has. */
function constraintDifferences(from: ShapeLine[], to: ShapeLine[]): string[] {
  const tablesThere = new Set(to.map((line) => line.table));
  const onSource = constraintsOnlyIn(from, to).filter((line) => tablesThere.has(line.table));
  return [
    ...onSource.map((line) => `${line.table}: ${line.definition} is on the source alone`),
    ...constraintsOnlyIn(to, from).map((line) => `${line.table}: ${line.definition} is on the target alone`),
  ];
}

function constraintsOnlyIn(here: ShapeLine[], there: ShapeLine[]): ShapeLine[] {
  const known = new Set(there.map((line) => `${line.table} ${line.definition}`));
  const others = ['column', 'table', 'primary key'];
  return here.filter((line) => !others.includes(line.kind) && !known.has(`${line.table} ${line.definition}`));
}

type DetailId = 'schema-details-differ' | 'database-settings-differ';

export const detailDifferences = defineCheck<DetailId>({
  topic: 'Contents of the target',
  on: 'both',
  rules: {
    'schema-details-differ': {
      severity: 'warning',
      title: "What the target's schema says beside its tables is another than on the source",
      why: 'Owners, grants, default privileges, comments, indexes, triggers, policies, statistics and storage parameters: no replication needs them, and applications may. A copied schema has all but what belongs to schemas that the target had before. Run preflight again once the rows are copied: until then keys, indexes and triggers are still to come, and nothing is compared.',
      mend: 'Make them alike, or see that nobody misses them.',
    },
    'database-settings-differ': {
      severity: 'warning',
      title: 'The target lacks settings of the database, or of roles in it',
      why: 'ALTER DATABASE … SET and ALTER ROLE … IN DATABASE … SET are not part of a dump. Godwit carries with the schema those that the target has no value for, where its role may: the owner of the database may set the first, a superuser the second.',
      mend: 'Run the statements on the target, as an administrator; or leave them, where the target is meant to be set otherwise.',
    },
  },
  find: async ({ source, target }, { move, tables, claimed }) => {
    const copying = move.database.schema === 'copy' && !claimed;
    if (tables.length === 0 || (claimed && (await isUnfinished(target, move.key)))) return [];
    const { details, settings: all } = await compareDetails(source, target, tables);
    const carries = copying ? await whatIsCarried(target) : 'nothing';
    const settings = all.filter(
      ({ role, unset }) => !unset || carries === 'nothing' || (carries === 'of the database' && role !== null),
    );
    const found: Found<DetailId>[] = [];
    if (details.length > 0 && !copying) {
      found.push({
        id: 'schema-details-differ',
        side: 'target',
        evidence: listed(details),
        repair: ['Make them alike on the target, where applications need them'],
      });
    }
    if (settings.length > 0) {
      found.push({
        id: 'database-settings-differ',
        side: 'target',
        evidence: listed(settings.map(({ what }) => what)),
        repair: each(settings, ({ sql }) => sql),
      });
    }
    return found;
  },
});

/** Which settings the role of the target may set. */
async function whatIsCarried(target: Session): Promise<'everything' | 'of the database' | 'nothing'> {
  const row = await target.row<{ super: boolean; owner: boolean }>(
    `select r.rolsuper as super, pg_has_role(d.datdba, 'usage') as owner
     from pg_catalog.pg_roles r, pg_catalog.pg_database d where r.rolname = current_user and d.datname = current_database()`,
  );
  if (row?.super === true) return 'everything';
  return row?.owner === true ? 'of the database' : 'nothing';
}

/** Whether keys, indexes and the like of a copied schema are still to be made, or the schema itself. */
async function isUnfinished(target: Session, key: string): Promise<boolean> {
  const known = await target.row<{ known: boolean }>(`select to_regclass('godwit.deferred_ddl') is not null as known`);
  if (!known?.known) return true;
  return (
    (await target.row('select from godwit.deferred_ddl where scope = $1 and not done limit 1', [key])) !== undefined
  );
}
