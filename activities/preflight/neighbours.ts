/** Others who replicate from or into these databases, other migrations among them. */
import { statement } from '../postgres/statements.js';
import { defineCheck, scopeParameters, type Found } from './check.js';
import { bytesText, each, listed } from './evidence.js';
import { identifier } from '../postgres/statements.js';

const SUBSCRIPTIONS = statement(import.meta.url, './sql/subscriptions.sql');
const SLOTS = statement(import.meta.url, './sql/slots.sql');
const SCOPES = statement(import.meta.url, './sql/scopes.sql');

type Id = 'other-subscription' | 'publication-for-all-tables' | 'other-slot';

export const neighbours = defineCheck<Id>({
  topic: 'Other replication',
  on: 'each side',
  rules: {
    'other-subscription': {
      severity: 'error',
      title: 'Other subscriptions write into tables in scope',
      why: 'The fence lets replicated changes pass: such a subscription keeps writing into a source that has ceded, and its writes are lost.',
      mend: 'ALTER SUBSCRIPTION … DISABLE before the migration, and let it continue into the target afterwards; or exclude its tables.',
    },
    'publication-for-all-tables': {
      severity: 'warning',
      title: 'A publication FOR ALL TABLES publishes the tables of Godwit, too',
      why: 'Its subscribers do not have them, and stop at the first change with "logical replication target relation does not exist".',
      mend: 'Publish tables or schemas by name, or create the schema godwit with the same tables on the subscribers.',
    },
    'other-slot': {
      severity: 'info',
      title: 'Other replication slots exist',
      why: 'Slots do not move: what reads from the source has to read from the target after the switch. An inactive slot holds back WAL until the disk is full.',
      mend: 'Plan how their readers follow. Drop those that nobody reads: SELECT pg_drop_replication_slot(…).',
    },
  },
  find: async (session, { tables }) => {
    const subscriptions = await session.rows<{ name: string; tables: string[] }>(
      SUBSCRIPTIONS,
      scopeParameters(tables),
    );
    const slots = await session.rows<{ name: string; type: string; active: boolean; retained: number | null }>(SLOTS);
    const publications = await session.rows<{ name: string }>(
      `select pubname as name from pg_catalog.pg_publication where puballtables order by 1`,
    );
    const found: Found<Id>[] = [];
    if (subscriptions.length > 0) {
      found.push({
        id: 'other-subscription',
        evidence: listed(subscriptions.map((row) => `${row.name} into ${listed(row.tables)}`)),
        repair: each(
          subscriptions,
          (row) => `ALTER SUBSCRIPTION ${identifier(row.name)} DISABLE, or name these tables in tables.exclude`,
        ),
      });
    }
    if (publications.length > 0) {
      found.push({
        id: 'publication-for-all-tables',
        evidence: listed(publications.map((row) => row.name)),
        repair: each(
          publications,
          (row) => `Make publication ${row.name} anew, FOR TABLE or FOR TABLES IN SCHEMA instead of FOR ALL TABLES`,
        ),
      });
    }
    if (slots.length > 0) {
      found.push({
        id: 'other-slot',
        evidence: listed(
          slots.map(
            (slot) =>
              `${slot.name} (${slot.type}, ${slot.active ? 'active' : 'inactive'}` +
              `${slot.retained === null ? '' : `, holds back ${bytesText(slot.retained)}`})`,
          ),
        ),
        repair: slots.some((slot) => !slot.active)
          ? each(
              slots.filter((slot) => !slot.active),
              (slot) => `If nobody reads it any more: SELECT pg_drop_replication_slot('${slot.name}')`,
            )
          : [],
      });
    }
    return found;
  },
});

export const otherScopes = defineCheck<'scope-taken'>({
  topic: 'Other replication',
  on: 'each side',
  rules: {
    'scope-taken': {
      severity: 'error',
      title: 'Another migration holds tables of this one',
      why: 'Two migrations of one table would each fence and open it.',
      mend: 'Finish or abort the other migration, or divide the tables between the two.',
    },
  },
  find: async (session, { tables, move }) => {
    const known = await session.row<{ known: boolean }>(
      `select to_regclass('godwit.scope_table') is not null as known`,
    );
    if (!known?.known) return [];
    const rows = await session.rows<{ migration: string; database: string; tables: string[] }>(SCOPES, [
      ...scopeParameters(tables),
      move.key,
    ]);
    if (rows.length === 0) return [];
    return [
      {
        id: 'scope-taken',
        evidence: listed(rows.map((row) => `${row.migration} (database/${row.database}) holds ${listed(row.tables)}`)),
        repair: each(
          rows,
          (row) => `godwit abort ${row.migration}, or wait until it is finished: godwit status ${row.migration}`,
        ),
      },
    ];
  },
});
