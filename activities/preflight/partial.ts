/** A scope that is a part: some rows of a table, some tables of a database. */
import { rowFilterProblems } from '../postgres/row-filter.js';
import { statement } from '../postgres/statements.js';
import { defineCheck, scopeParameters, type Found } from './check.js';
import { each, listed } from './evidence.js';

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
