/** PgBouncer's configuration file: the switch writes one entry of it and reloads. */
import { open } from 'node:fs/promises';
import { parametersOf, readEntry } from '../pgbouncer/config-file.js';
import { defineCheck, type Found } from './check.js';
import { placeOfSource, samePlace } from './place.js';

type Id =
  | 'pgbouncer-file-unreadable'
  | 'pgbouncer-file-unwritable'
  | 'pgbouncer-file-entry'
  | 'pgbouncer-file-elsewhere'
  | 'pgbouncer-wildcard';

const notReadable = 'pgbouncer-file-unreadable';

export const pgbouncerFile = defineCheck<Id>({
  topic: 'PgBouncer',
  on: 'endpoint',
  rules: {
    'pgbouncer-file-unreadable': {
      severity: 'error',
      title: "The worker can't read PgBouncer's configuration file",
      why: 'The switch changes one entry of it, and keeps how it was for the way back.',
      mend: 'Mount the file where the worker runs, at the path of endpoints[].configFile.',
    },
    'pgbouncer-file-unwritable': {
      severity: 'error',
      title: "The worker can't write PgBouncer's configuration file",
      why: 'The switch changes one entry of it.',
      mend: "Let the worker's user write the file.",
    },
    'pgbouncer-file-entry': {
      severity: 'error',
      title: "PgBouncer's configuration file has not the entry",
      why: 'The entry is somewhere else, in an included file or another configuration; what the switch writes would have no effect.',
      mend: 'Name the file in whose [databases] the entry stands in endpoints[].configFile.',
    },
    'pgbouncer-file-elsewhere': {
      severity: 'error',
      title: "PgBouncer's configuration file does not lead to the source",
      why: 'PgBouncer runs with something else than what the file says: the next RELOAD would move its clients, in the middle of a switch or before.',
      mend: 'Bring file and process together: RELOAD, or name the file that this process reads.',
    },
    'pgbouncer-wildcard': {
      severity: 'warning',
      title: 'The entry * of PgBouncer leads to the source, too',
      why: 'Clients that ask for a database without an entry come through it: a pause of the named entry does not hold them, and it is not moved.',
      mend: 'Give such clients an entry of their own, named as an endpoint, or remove *.',
    },
  },
  find: async ({ endpoint }, { move }) => {
    const { configFile, database } = endpoint;
    const unreadable = await reasonNotToOpen(configFile, 'r');
    if (unreadable !== null) {
      return [
        {
          id: notReadable,
          evidence: `${configFile}: ${unreadable}`,
          repair: ['Mount the file where the worker runs, or correct endpoints[].configFile'],
        },
      ];
    }
    const found: Found<Id>[] = [];
    const unwritable = await reasonNotToOpen(configFile, 'r+');
    if (unwritable !== null) {
      found.push({
        id: 'pgbouncer-file-unwritable',
        evidence: `${configFile}: ${unwritable}`,
        repair: ["Let the worker's user write the file: group and mode, or the volume's readOnly"],
      });
    }
    const source = await placeOfSource(endpoint, move);
    const entry = await entryOf(configFile, database);
    if (entry === null) {
      found.push({
        id: 'pgbouncer-file-entry',
        evidence: `${configFile} has no entry ${database} in [databases]`,
        repair: ['Name the file that has it in endpoints[].configFile'],
      });
    } else if (!(await samePlace(placeOf(entry, database), source))) {
      found.push({
        id: 'pgbouncer-file-elsewhere',
        evidence: `${configFile}: ${database} leads to ${entry['host'] ?? 'a Unix socket'}:${entry['port'] ?? '5432'}, the source is ${source.host}:${source.port}`,
        repair: ['Correct the entry and RELOAD, or name the file that this process was started with'],
      });
    }
    const wildcard = await entryOf(configFile, '*');
    if (wildcard !== null && (await samePlace(placeOf(wildcard, source.database), source))) {
      found.push({
        id: 'pgbouncer-wildcard',
        evidence: `${configFile}: * leads to ${wildcard['host'] ?? 'a Unix socket'}:${wildcard['port'] ?? '5432'}`,
        repair: [`Remove * from [databases], or add an entry ${source.database} and name it as an endpoint`],
      });
    }
    return found;
  },
});

/** Null when the file can be opened so. `r+` tells of read-only mounts, too, and changes nothing. */
async function reasonNotToOpen(file: string, flags: 'r' | 'r+'): Promise<string | null> {
  try {
    await (await open(file, flags)).close();
    return null;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'cannot be opened';
  }
}

async function entryOf(file: string, database: string): Promise<Record<string, string> | null> {
  try {
    return parametersOf(await readEntry(file, database));
  } catch {
    return null;
  }
}

const placeOf = (entry: Record<string, string>, database: string): Parameters<typeof samePlace>[0] => ({
  host: entry['host'] ?? '',
  port: Number(entry['port'] ?? 5432),
  database: entry['dbname'] ?? database,
});
