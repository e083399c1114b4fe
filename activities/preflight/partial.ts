/** A scope that is a part: some rows of a table, some tables of a database. */
import { sqlState } from '../postgres/errors.js';
import { rowFilterProblems } from '../postgres/row-filter.js';
import type { Session } from '../postgres/session.js';
import { qualified, statement, type TableName } from '../postgres/statements.js';
import { defineCheck, scopeParameters, type Found } from './check.js';
import { each, listed } from './evidence.js';

const INNER_FOREIGN_KEYS = statement(import.meta.url, './sql/inner_foreign_keys.sql');
const REMAINING_TABLES = statement(import.meta.url, './sql/remaining_tables.sql');
const SHARED_SEQUENCES = statement(import.meta.url, './sql/shared_sequences.sql');

type RowsId = 'row-filter-unusable' | 'rows-stay-behind';

export const rowFilters = defineCheck<RowsId>({
  topic: 'Tables',
  on: 'source',
  rules: {
    'row-filter-unusable': {
      severity: 'error',
      title: 'Row filters cannot be used',
      why: 'Postgres filters rows since version 15, by conditions over columns of the replica identity: with any other, UPDATE and DELETE on the table fail in the application as soon as it is published.',
      mend: 'Filter by columns of the replica identity, or widen that: ALTER TABLE … REPLICA IDENTITY USING INDEX, or FULL.',
    },
    'rows-stay-behind': {
      severity: 'warning',
      title: 'Rows stay behind',
      why: 'A table has one writer, whichever of its rows have moved: after the switch the source refuses writes to the rows that stayed, and TRUNCATE is refused on the target until the migration is finalized.',
      mend: 'Nothing, if nobody writes to those rows any more; else move the whole table, or divide it into two before the migration.',
    },
  },
  find: async (source, { tables }) => {
    const found: Found<RowsId>[] = [];
    const problems = await rowFilterProblems(source, tables);
    if (problems.length > 0) {
      found.push({
        id: 'row-filter-unusable',
        evidence: listed(problems.map(({ table, problem }) => `${table.schema}.${table.name}: ${problem}`)),
        repair: each(problems, ({ repair }) => repair),
      });
    }
    const partly = tables.filter((table) => table.rowFilter != null);
    if (partly.length > 0) {
      found.push({
        id: 'rows-stay-behind',
        evidence: listed(partly.map((table) => `${table.schema}.${table.name} moves where ${table.rowFilter ?? ''}`)),
        repair: ['Make sure that nobody writes to the other rows after the switch, or move the whole table'],
      });
    }
    return found;
  },
});

type ParentsId = 'parents-stay-behind' | 'parents-may-stay';

/** Preflight as a whole has a minute; a join of two large tables may take longer than that. */
const SEARCH_MS = 5_000;

interface InnerKey extends Record<string, unknown> {
  name: string;
  child: TableName;
  parent: TableName;
  columns: { mine: string; theirs: string; equals: string }[];
}

export const filteredParents = defineCheck<ParentsId>({
  topic: 'Tables',
  on: 'source',
  rules: {
    'parents-stay-behind': {
      severity: 'error',
      title: 'Rows move without the rows that their foreign keys refer to',
      why: 'A row filter keeps the parents behind. The target refuses such a foreign key when it is made, at the end of the copy.',
      mend: 'Filter the table that refers in the same way, widen the filter of the one that is referred to, or drop the key.',
    },
    'parents-may-stay': {
      severity: 'info',
      title: 'Foreign keys refer to tables of which only some rows move',
      why: 'Applied changes are not checked against foreign keys. A row that comes later without its parent holds the switch until one of the two has changed.',
      mend: 'Nothing, if the filters of both tables keep rows and parents together.',
    },
  },
  find: async (source, { tables }) => {
    const filters = new Map(tables.map((table) => [named(table), table.rowFilter ?? null]));
    if (![...filters.values()].some((filter) => filter !== null)) return [];
    const keys = await source.rows<InnerKey>(INNER_FOREIGN_KEYS, scopeParameters(tables));
    const sure: InnerKey[] = [];
    const unsure: { key: InnerKey; late: boolean }[] = [];
    for (const key of keys.filter(({ parent }) => filters.get(named(parent)) != null)) {
      const dangling = await danglingRow(source, key, filters);
      if (dangling === true) sure.push(key);
      else unsure.push({ key, late: dangling === 'late' });
    }
    const inWords = ({ name, child, parent }: InnerKey): string => `${name} from ${named(child)} to ${named(parent)}`;
    const found: Found<ParentsId>[] = [];
    if (sure.length > 0) {
      found.push({
        id: 'parents-stay-behind',
        evidence: listed(sure.map(inWords)),
        repair: each(
          sure,
          ({ name, child, parent }) =>
            `Give ${named(child)} a filter that leaves those rows behind, too, widen that of ${named(parent)}, or: ALTER TABLE ${qualified(child)} DROP CONSTRAINT ${name}`,
        ),
      });
    }
    if (unsure.length > 0) {
      found.push({
        id: 'parents-may-stay',
        evidence: listed(
          unsure.map(({ key, late }) => `${inWords(key)} (${late ? 'not searched to the end' : 'no row of now'})`),
        ),
        repair: [],
      });
    }
    return found;
  },
});

const named = ({ schema, name }: TableName): string => `${schema}.${name}`;

/** Whether a row moves whose parent stays; `late`: the search took too long. MATCH FULL and SIMPLE mean the same here. */
async function danglingRow(
  source: Session,
  { child, parent, columns }: InnerKey,
  filters: Map<string, string | null>,
): Promise<boolean | 'late'> {
  // In a query of its own each, since the conditions name columns without their table; as written, one may end in a comment.
  const moving = (table: TableName): string =>
    `(select * from ${qualified(table)} where (${filters.get(named(table)) ?? 'true'}\n))`;
  const whole = columns.map(({ mine }) => `c.${mine} is not null`).join(' and ');
  const same = columns.map(({ mine, theirs, equals }) => `p.${theirs} ${equals} c.${mine}`).join(' and ');
  await source.batch(['savepoint search', `set local statement_timeout = ${SEARCH_MS}`]);
  try {
    const row = await source.row(
      `select from ${moving(child)} c where ${whole} and not exists (select from ${moving(parent)} p where ${same}) limit 1`,
    );
    return row !== undefined;
  } catch (error) {
    if (sqlState(error) !== QUERY_CANCELED) throw error;
    return 'late';
  } finally {
    if (!source.lost) await source.batch(['rollback to savepoint search', 'release savepoint search']);
  }
}

const QUERY_CANCELED = '57014';

type PartId = 'endpoint-leads-to-more' | 'sequence-shared' | 'sequence-moves-along';

export const partOfDatabase = defineCheck<PartId>({
  topic: 'Tables',
  on: 'source',
  rules: {
    'endpoint-leads-to-more': {
      severity: 'warning',
      title: 'Endpoints lead to tables that stay, too',
      why: 'An endpoint moves all clients of its entry. Those that use tables which stay find them missing on the target.',
      mend: 'Give the clients of the tables that move an entry of their own in pgbouncer.ini, and name that one as the endpoint.',
    },
    'sequence-shared': {
      severity: 'warning',
      title: 'Sequences serve tables that stay, too',
      why: 'The switch sets them ahead on the target and leaves them open on the source: each side hands out their values to its own tables, so one value may be used on both.',
      mend: 'Nothing, if values need to be unique within a table only; else give the moving tables a sequence of their own.',
    },
    'sequence-moves-along': {
      severity: 'warning',
      title: 'Sequences of nobody move along with a part of their schema',
      why: 'No column says whose they are. The switch moves each with the tables of its schema, and ends it on the source, so that no value is handed out twice: what stays can no longer draw from it.',
      mend: 'ALTER SEQUENCE … OWNED BY a column of a table that stays, if it is that one which draws from it.',
    },
  },
  find: async (source, { tables, move }) => {
    const found: Found<PartId>[] = [];
    const { endpoints } = move.database;
    const staying = await source.rows<{ name: string }>(REMAINING_TABLES, scopeParameters(tables));
    if (staying.length > 0 && endpoints.length > 0) {
      const names = endpoints.map((endpoint) => endpoint.name).join(', ');
      found.push({
        id: 'endpoint-leads-to-more',
        evidence: `${names}; these tables stay: ${listed(staying.map((row) => row.name))}`,
        repair: ['See to it that no client of the endpoints uses these tables, or name them in tables.include'],
      });
    }
    const shared = await source.rows<{ name: string; tables: string[] }>(SHARED_SEQUENCES, scopeParameters(tables));
    const attached = shared.filter((row) => row.tables.length > 0);
    const lone = shared.filter((row) => row.tables.length === 0);
    if (attached.length > 0) {
      found.push({
        id: 'sequence-shared',
        evidence: listed(attached.map((row) => `${row.name}, used by ${listed(row.tables)}`)),
        repair: each(
          attached,
          (row) =>
            `CREATE SEQUENCE for the tables that move, starting above ${row.name}, and let their defaults draw from it`,
        ),
      });
    }
    if (lone.length > 0) {
      found.push({
        id: 'sequence-moves-along',
        evidence: listed(lone.map((row) => row.name)),
        repair: each(
          lone,
          (row) => `If it serves a table that stays: ALTER SEQUENCE ${row.name} OWNED BY that table's column`,
        ),
      });
    }
    return found;
  },
});
