/** Foreign keys over the border of the scope, and numbers that are about to run out. */
import type { Session } from '../postgres/session.js';
import { identifier, qualified, statement } from '../postgres/statements.js';
import { defineCheck, scopeParameters, type Found } from './check.js';
import { each, listed, percentText } from './evidence.js';

const FOREIGN_KEYS = statement(import.meta.url, './sql/foreign_keys.sql');
const SEQUENCES = statement(import.meta.url, './sql/sequences.sql');
const LONE_SEQUENCES = statement(import.meta.url, './sql/lone_sequences.sql');
const INTEGER_KEYS = statement(import.meta.url, './sql/integer_keys.sql');

/** Above this share, a busy table may run out while a migration of weeks is under way. */
const NEARLY_USED_UP = 0.8;
const TABLES_AT_ONCE = 100;

export const foreignKeys = defineCheck<'foreign-key-crosses-scope'>({
  topic: 'Keys',
  on: 'source',
  rules: {
    'foreign-key-crosses-scope': {
      severity: 'warning',
      title: 'Foreign keys cross the border of the scope',
      why: 'After the switch their two ends are in different databases: nothing checks them, and on the target such a key would refuse rows.',
      mend: 'Bring both tables into scope, or drop the key.',
    },
  },
  find: async (source, { tables }) => {
    const rows = await source.rows<{ name: string; from: string; to: string; leaving: boolean }>(
      FOREIGN_KEYS,
      scopeParameters(tables),
    );
    if (rows.length === 0) return [];
    return [
      {
        id: 'foreign-key-crosses-scope',
        evidence: listed(
          rows.map(
            (row) => `${row.name} from ${row.from} to ${row.to} (${row.leaving ? row.to : row.from} is outside)`,
          ),
        ),
        repair: each(
          rows,
          (row) =>
            `Name ${row.leaving ? row.to : row.from} in tables.include, or: ALTER TABLE ${row.from} DROP CONSTRAINT ${row.name}`,
        ),
      },
    ];
  },
});

type NumberId = 'sequence-near-end' | 'sequence-starts-anew' | 'key-near-overflow';

export const numbers = defineCheck<NumberId>({
  topic: 'Keys',
  on: 'source',
  rules: {
    'sequence-near-end': {
      severity: 'warning',
      title: 'Sequences are near their end',
      why: 'The switch moves each of them on by a margin; past its end, nextval fails, and with it every insert.',
      mend: 'ALTER SEQUENCE … AS bigint, with the column that it fills, before the migration.',
    },
    'sequence-starts-anew': {
      severity: 'warning',
      title: 'Sequences stand in schemas without tables',
      why: 'The switch carries sequences that columns use, and the others of schemas whose tables move. These start from the beginning on the target: what is drawn from them is handed out twice.',
      mend: 'ALTER SEQUENCE … SET SCHEMA to that of the tables that keep its values; or set it on the target by hand while nobody writes.',
    },
    'key-near-overflow': {
      severity: 'warning',
      title: 'Integer keys are near the end of their type',
      why: 'Changing the type of a key rewrites the table, which breaks a copy that is under way: better before the migration, or on the target as a part of it.',
      mend: 'ALTER TABLE … ALTER COLUMN … TYPE bigint before the migration.',
    },
  },
  find: async (source, { tables }) => {
    const sequences = await source.rows<{ name: string; last: string; limit: string; used: number | null }>(
      SEQUENCES,
      scopeParameters(tables),
    );
    const ending = sequences.filter((row) => (row.used ?? 0) >= NEARLY_USED_UP);
    const lone = await source.rows<{ name: string }>(LONE_SEQUENCES, scopeParameters(tables));
    const keys = await nearOverflow(source, scopeParameters(tables));
    const found: Found<NumberId>[] = [];
    if (ending.length > 0) {
      found.push({
        id: 'sequence-near-end',
        evidence: listed(
          ending.map((row) => `${row.name} is at ${row.last} of ${row.limit} (${percentText(row.used ?? 0)})`),
        ),
        repair: each(ending, (row) => `ALTER SEQUENCE ${row.name} AS bigint MAXVALUE 9223372036854775807`),
      });
    }
    if (lone.length > 0) {
      found.push({
        id: 'sequence-starts-anew',
        evidence: listed(lone.map((row) => row.name)),
        repair: each(
          lone,
          (row) => `ALTER SEQUENCE ${row.name} SET SCHEMA, with the schema of the tables that keep its values`,
        ),
      });
    }
    if (keys.length > 0) {
      found.push({
        id: 'key-near-overflow',
        evidence: listed(
          keys.map((key) => `${key.name}.${key.column} (${key.type}) is used to ${percentText(key.used)}`),
        ),
        repair: each(keys, (key) => `ALTER TABLE ${key.name} ALTER COLUMN ${identifier(key.column)} TYPE bigint`),
      });
    }
    return found;
  },
});

interface IntegerKey {
  name: string;
  schema: string;
  table: string;
  column: string;
  type: string;
  limit: string;
}

async function nearOverflow(source: Session, scope: [string[], string[]]): Promise<(IntegerKey & { used: number })[]> {
  const keys = await source.rows<IntegerKey>(INTEGER_KEYS, scope);
  const near: (IntegerKey & { used: number })[] = [];
  for (let first = 0; first < keys.length; first += TABLES_AT_ONCE) {
    const some = keys.slice(first, first + TABLES_AT_ONCE);
    const looks = some.map(
      (key, index) =>
        `select ${index} as index, max(${identifier(key.column)})::numeric / ${key.limit} as used ` +
        `from only ${qualified({ schema: key.schema, name: key.table })}`,
    );
    const rows = await source.rows<{ index: number; used: string | null }>(looks.join(' union all '));
    for (const row of rows) {
      const key = some[row.index];
      if (key && Number(row.used) >= NEARLY_USED_UP) near.push({ ...key, used: Number(row.used) });
    }
  }
  return near;
}
