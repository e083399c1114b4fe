/** Replica identity: what names a row in a replicated UPDATE or DELETE. */
import { replicatedTables } from '../postgres/scope.js';
import { statement } from '../postgres/statements.js';
import { defineCheck, scopeParameters, type Found } from './check.js';
import { each, listed } from './evidence.js';

const IDENTITY = statement(import.meta.url, './sql/identity.sql');

type Id =
  'no-replica-identity' | 'replica-identity-full' | 'replica-identity-incomparable' | 'replica-identity-generated';

interface Table {
  name: string;
  identity: string;
  identified: boolean;
  usable_index: string | null;
  /** Columns that keep it from being FULL. */
  incomparable: string[];
  /** Generated columns of the key. */
  generated: string[];
}

export const identity = defineCheck<Id>({
  topic: 'Tables',
  on: 'source',
  rules: {
    'no-replica-identity': {
      severity: 'error',
      title: 'Tables have no replica identity',
      why: 'As soon as a table without one is published, its UPDATEs and DELETEs fail in the application.',
      mend: 'Add a primary key; or ALTER TABLE … REPLICA IDENTITY USING INDEX with a unique index over NOT NULL columns; or, for small tables, REPLICA IDENTITY FULL.',
    },
    'replica-identity-full': {
      severity: 'warning',
      title: 'Tables are identified by their whole rows',
      why: 'Each replicated UPDATE or DELETE of such a table looks through an index that fits by chance, or through all of the table: a large one falls behind. Rows that are equal to Postgres though written otherwise (1.0 and 1.00, 0 and -0, citext) may be taken for one another; validation finds them.',
      mend: 'Use an index where there is one; else accept it for small or quiet tables.',
    },
    'replica-identity-incomparable': {
      severity: 'error',
      title: 'Tables are identified by whole rows that cannot be compared',
      why: 'Types such as json or point have no equality for replication: the subscription stops at the first UPDATE or DELETE.',
      mend: 'Add a primary key or use a unique index as identity, or exclude the table.',
    },
    'replica-identity-generated': {
      severity: 'error',
      title: 'Tables are identified by generated columns',
      why: 'Generated columns are not replicated, so the other side is not told which row is meant: the subscription stops at the first UPDATE or DELETE.',
      mend: 'ALTER TABLE … REPLICA IDENTITY USING INDEX with a unique index over other columns; or, for small tables, REPLICA IDENTITY FULL.',
    },
  },
  find: async (source, { tables }) => {
    const rows = await source.rows<Table>(IDENTITY, scopeParameters(replicatedTables(tables)));
    const nameless = rows.filter((row) => !row.identified);
    const full = rows.filter((row) => row.identity === 'f');
    const incomparable = full.filter((row) => row.incomparable.length > 0);
    const found: Found<Id>[] = [];
    if (nameless.length > 0) {
      found.push({
        id: 'no-replica-identity',
        evidence: `${listed(nameless.map((row) => row.name))}: neither a usable primary key nor another replica identity`,
        repair: each(nameless, repairOf),
      });
    }
    if (full.length > incomparable.length) {
      const slow = full.filter((row) => row.incomparable.length === 0);
      found.push({
        id: 'replica-identity-full',
        evidence: `${listed(slow.map((row) => row.name))}: REPLICA IDENTITY FULL`,
        repair: each(slow, (row) =>
          row.usable_index === null ? `Add a primary key to ${row.name}, unless it is small or quiet` : repairOf(row),
        ),
      });
    }
    if (incomparable.length > 0) {
      found.push({
        id: 'replica-identity-incomparable',
        evidence: listed(incomparable.map((row) => `${row.name} (${row.incomparable.join(', ')})`)),
        repair: each(incomparable, (row) =>
          row.usable_index === null
            ? `Add a primary key to ${row.name} and ALTER TABLE ${row.name} REPLICA IDENTITY DEFAULT, or name it in tables.exclude`
            : repairOf(row),
        ),
      });
    }
    const generated = rows.filter((row) => row.generated.length > 0);
    if (generated.length > 0) {
      found.push({
        id: 'replica-identity-generated',
        evidence: listed(generated.map((row) => `${row.name} (${row.generated.join(', ')})`)),
        repair: each(generated, repairOf),
      });
    }
    return found;
  },
});

function repairOf(table: Table): string {
  if (table.usable_index !== null)
    return `ALTER TABLE ${table.name} REPLICA IDENTITY USING INDEX ${table.usable_index}`;
  if (table.incomparable.length > 0) return `Add a primary key to ${table.name}, or name it in tables.exclude`;
  return `ALTER TABLE ${table.name} REPLICA IDENTITY FULL`;
}
