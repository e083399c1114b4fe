/** What copying the schema needs: a pg_dump, and tables that can stand without those that stay behind. */
import { ApplicationFailure } from '@temporalio/common';
import { findDump } from '../postgres/schema/dump.js';
import { leftOutOf } from '../postgres/schema/selection.js';
import type { ScopeTable } from '../postgres/scope.js';
import type { Session } from '../postgres/session.js';
import { defineCheck, type Found } from './check.js';
import { readServer } from './servers.js';

type Id = 'pg-dump-missing' | 'table-incomplete';

export const schemaCopy = defineCheck<Id>({
  topic: 'Contents of the target',
  on: 'source',
  rules: {
    'pg-dump-missing': {
      severity: 'error',
      title: 'The worker has no pg_dump that is new enough',
      why: 'The schema is copied with it (schema: copy), and it reads servers of its own version and older.',
      mend: "Install the source's version of postgresql-client where the worker runs, or make the schema by yourself (schema: existing).",
    },
    'table-incomplete': {
      severity: 'error',
      title: 'Tables in scope cannot stand without what stays behind',
      why: 'They use the row type or the sequence of a table that is out of scope.',
      mend: 'Name that table in tables.include, too, or exclude both.',
    },
  },
  find: async (source, { move, tables, claimed }) => {
    if (move.database.schema !== 'copy' || claimed || tables.length === 0) return [];
    const { version_number: version } = await readServer(source);
    return [...(await missingDump(Math.floor(version / 10_000))), ...(await incomplete(source, tables))];
  },
});

/** Exported for the versions that aren't at hand. */
export async function missingDump(major: number): Promise<Found<Id>[]> {
  try {
    await findDump(major);
    return [];
  } catch (error) {
    return [
      {
        id: 'pg-dump-missing',
        evidence: expected(error, 'PreflightFailed'),
        repair: ['Install it where the worker runs, or make the schema by yourself: schema: existing'],
      },
    ];
  }
}

async function incomplete(source: Session, tables: ScopeTable[]): Promise<Found<Id>[]> {
  try {
    await leftOutOf(source, tables);
    return [];
  } catch (error) {
    return [
      {
        id: 'table-incomplete',
        evidence: expected(error, 'UnsupportedTable'),
        repair: ['Name the missing tables in tables.include, or these in tables.exclude'],
      },
    ];
  }
}

/** The message of a failure of this type; any other is thrown on. */
function expected(error: unknown, type: string): string {
  if (error instanceof ApplicationFailure && error.type === type) return error.message;
  throw error;
}
