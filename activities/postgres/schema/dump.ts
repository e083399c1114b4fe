/** The source's schema as statements, one entry each, by pg_dump: no tool knows Postgres's DDL better. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { SecretReference } from '../../../spec/normal.js';
import { cancellation, heartbeat } from '../../activity-context.js';
import { failure } from '../../failure.js';
import { connectionEnvironment } from '../connection.js';
import { qualified, type TableName } from '../statements.js';

const run = promisify(execFile);

/** pg_dump locks every table in ACCESS SHARE; behind somebody's ACCESS EXCLUSIVE it would wait for ever. */
const LOCK_WAIT_TIMEOUT_MS = 30_000;
/** 3,000 tables with their indexes are 10 MB of statements. */
const OUTPUT_LIMIT_BYTES = 512 * 1024 * 1024;
const HEARTBEAT_EVERY_MS = 1_000;

export interface DumpEntry {
  /** Number within the dump. */
  id: number;
  /** Catalog and OID on the source; '0' for what has none, such as COMMENT and ACL. */
  class: string;
  object: string;
  dependsOn: number[];
  /** TABLE, INDEX, FK CONSTRAINT, … as pg_dump calls it. */
  type: string;
  schema: string;
  name: string;
  owner: string;
  statement: string;
}

export interface SchemaDump {
  /** What rows need: types, functions, tables. */
  before: DumpEntry[];
  /** What is better made after the rows: keys, indexes, triggers. */
  after: DumpEntry[];
}

/**
 * Needs pg_dump of the source's major version or newer; fails with `PreflightFailed` if there is none.
 * @param without tables that stay, and that this role may not lock: pg_dump takes ACCESS SHARE on all that it writes down
 */
export async function dumpSchema(
  source: SecretReference,
  sourceMajor: number,
  without: TableName[],
): Promise<SchemaDump> {
  const binaries = await findDump(sourceMajor);
  const env = { PATH: process.env['PATH'] ?? '', ...(await connectionEnvironment('source', source)) };
  const folder = await mkdtemp(join(tmpdir(), 'godwit-schema-'));
  const beat = setInterval(() => heartbeat(), HEARTBEAT_EVERY_MS);
  try {
    const file = join(folder, 'schema');
    await program(join(binaries, 'pg_dump'), env, [
      '--format=custom',
      '--compress=0',
      '--schema-only',
      '--encoding=UTF8',
      '--exclude-schema=godwit',
      '--no-publications',
      '--no-subscriptions',
      '--no-tablespaces',
      `--lock-wait-timeout=${LOCK_WAIT_TIMEOUT_MS}`,
      `--file=${file}`,
      ...without.map((table) => `--exclude-table=${exactly(table)}`),
    ]);
    const script = (section: string): Promise<string> =>
      program(join(binaries, 'pg_restore'), env, [
        '--verbose',
        '--no-tablespaces',
        `--section=${section}`,
        '--file=-',
        file,
      ]);
    return { before: parseScript(await script('pre-data')), after: parseScript(await script('post-data')) };
  } finally {
    clearInterval(beat);
    await rm(folder, { recursive: true, force: true });
  }
}

/** As a pattern that names this table alone: within quotes nothing is a wildcard. */
const exactly = (table: TableName): string => qualified(table);

async function program(command: string, env: Record<string, string>, args: string[]): Promise<string> {
  try {
    const { stdout } = await run(command, args, {
      env: { ...env, PGAPPNAME: 'godwit schema', PGCONNECT_TIMEOUT: '10', LC_ALL: 'C' },
      maxBuffer: OUTPUT_LIMIT_BYTES,
      signal: cancellation(),
    });
    return stdout;
  } catch (error) {
    cancellation().throwIfAborted();
    const output = error instanceof Error && 'stderr' in error ? String(error.stderr) : '';
    const complaint = output.split('\n').find((line) => line.includes('error:')) ?? 'it ended with an error';
    const type = /lock timeout|could not obtain lock/.test(output)
      ? 'Blocked'
      : /permission denied/.test(output)
        ? 'PermissionDenied'
        : /connection to server|could not connect/.test(output)
          ? 'DatabaseUnreachable'
          : 'Unexpected';
    throw failure(type, `could not read the schema of the source: ${complaint.trim()}`, 'Nothing was changed');
  }
}

const HEADER = new RegExp(
  String.raw`^--\n-- TOC entry (\d+) \(class (\d+) OID (\d+)\)\n(?:-- Dependencies: ([\d ]+)\n)?` +
    String.raw`-- Name: (.*); Type: (.*); Schema: (.*); Owner: (.*)\n(?:-- Data Pos: .*\n)?--\n`,
  'gm',
);

/** Splits what `pg_restore --verbose --file=-` prints. What comes before the first entry is settings, which we make ourselves. */
export function parseScript(script: string): DumpEntry[] {
  const body = script.replace(TRAILER, '\n');
  const headers = [...body.matchAll(HEADER)];
  return headers.map((header, i) => {
    const [text, id, catalog, object, dependsOn, name, type, schema, owner] = header;
    const end = headers[i + 1]?.index ?? body.length;
    return {
      id: Number(id),
      class: catalog ?? '0',
      object: object ?? '0',
      dependsOn: (dependsOn ?? '').split(' ').filter(Boolean).map(Number),
      type: type ?? '',
      schema: schema === '-' ? '' : (schema ?? ''),
      name: name ?? '',
      owner: owner ?? '',
      statement: withoutSettings(body.slice(header.index + text.length, end)),
    };
  });
}

/** Newer minor versions end a script with a line for psql alone. */
const TRAILER = /\n(-- Completed on .*\n\n)?--\n-- PostgreSQL database dump complete\n--\n[^]*$/;

/** Between entries stand settings for the next one; with tablespaces left out they say what is the default anyway. */
function withoutSettings(statement: string): string {
  return statement.replace(/(\nSET default_(tablespace|table_access_method) = .*;\n)+\s*$/, '\n').trim();
}

/** The oldest pg_dump that is new enough: newer ones write settings that older targets don't know. */
export async function findDump(sourceMajor: number): Promise<string> {
  const folders = [
    ...versionsIn('/usr/lib/postgresql', 'bin'),
    ...versionsIn('/usr', 'bin', /^pgsql-/),
    ...(process.env['PATH'] ?? '').split(':'),
  ].filter((folder) => existsSync(join(folder, 'pg_dump')) && existsSync(join(folder, 'pg_restore')));
  const found: { folder: string; major: number }[] = [];
  for (const folder of new Set(folders)) {
    const { stdout } = await run(join(folder, 'pg_dump'), ['--version']).catch(() => ({ stdout: '' }));
    const major = Number(/\(PostgreSQL\) (\d+)/.exec(stdout)?.[1] ?? 0);
    if (major > 0) found.push({ folder, major });
  }
  const fitting = found.filter((dump) => dump.major >= sourceMajor).sort((a, b) => a.major - b.major)[0];
  if (fitting) return fitting.folder;
  const versions = [...new Set(found.map((dump) => dump.major))].sort((a, b) => a - b).join(', ') || 'none';
  throw failure(
    'PreflightFailed',
    `copying the schema needs pg_dump ${sourceMajor} or newer where the worker runs; found ${versions}`,
    `Install postgresql-client-${sourceMajor}, or make the schema yourself and set schema: existing`,
  );
}

function versionsIn(root: string, below: string, pattern = /^\d+$/): string[] {
  if (!existsSync(root)) return [];
  return readdirSync(root)
    .filter((name) => pattern.test(name))
    .map((name) => join(root, name, below));
}
