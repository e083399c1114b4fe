/** Others who replicate from or into these databases, other migrations among them. */
import { statement } from '../postgres/statements.js';
import { defineCheck, scopeParameters, type Found } from './check.js';
import { bytesText, each, listed } from './evidence.js';
import { identifier } from '../postgres/statements.js';

const SUBSCRIPTIONS = statement(import.meta.url, './sql/subscriptions.sql');
const SLOTS = statement(import.meta.url, './sql/slots.sql');
const SCOPES = statement(import.meta.url, './sql/scopes.sql');

const PUBLICATIONS = statement(import.meta.url, './sql/publications.sql');

type Id =
  'other-subscription' | 'other-publication' | 'publication-for-all-tables' | 'logical-slot-stays' | 'other-slot';

interface Slot {
  name: string;
  type: string;
  plugin: string | null;
  database: string | null;
  active: boolean;
  /** Logical, and of this database. */
  here: boolean;
  retained: number | null;
}

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
    'other-publication': {
      severity: 'info',
      title: 'Other publications have tables in scope',
      why: 'Publications are not copied. Their subscribers go on reading from the source: until finalize every change comes there by the way back, and from then on none.',
      mend: 'Make them on the target, and let the subscribers follow after the switch, before finalize.',
    },
    'logical-slot-stays': {
      severity: 'warning',
      title: 'Others read changes of this database, such as Debezium',
      why: 'Slots do not move. Until finalize what reads here still gets every change, by the way back, with the transactions of the target as the source applies them; from then on none. A slot on the target begins at the moment when it is made.',
      mend: 'Make a slot on the target before the switch, let its reader begin there after it, and drop the one on the source before finalize.',
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
    const slots = await session.rows<Slot & Record<string, unknown>>(SLOTS);
    const sharing = await session.rows<{ name: string; all: boolean; tables: number }>(
      PUBLICATIONS,
      scopeParameters(tables),
    );
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
    const shared = sharing.filter((row) => !row.all);
    if (shared.length > 0) {
      found.push({
        id: 'other-publication',
        evidence: listed(shared.map((row) => `${row.name} of ${row.tables} of them`)),
        repair: [],
      });
    }
    const followed = session.side === 'source' ? slots.filter((slot) => slot.here) : [];
    const others = slots.filter((slot) => !followed.includes(slot));
    if (followed.length > 0) found.push({ id: 'logical-slot-stays', ...described(followed) });
    if (others.length > 0) found.push({ id: 'other-slot', ...described(others) });
    return found;
  },
});

function described(slots: Slot[]): { evidence: string; repair: string[] } {
  const inWords = (slot: Slot): string =>
    [
      slot.type,
      ...(slot.plugin === null ? [] : [slot.plugin]),
      ...(slot.database === null ? [] : [`database ${slot.database}`]),
      slot.active ? 'active' : 'inactive',
      ...(slot.retained === null ? [] : [`holds back ${bytesText(slot.retained)}`]),
    ].join(', ');
  return {
    evidence: listed(slots.map((slot) => `${slot.name} (${inWords(slot)})`)),
    repair: each(
      slots.filter((slot) => !slot.active),
      (slot) => `If nobody reads it any more: SELECT pg_drop_replication_slot('${slot.name}')`,
    ),
  };
}

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
