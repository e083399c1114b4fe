/**
 * One entry of `[databases]` in pgbouncer.ini, read and replaced; every other byte of the file stays as it is. So lines are
 * bytes (a character each, as in latin1): a comment may be in any encoding.
 */
import { randomUUID } from 'node:crypto';
import { chmod, chown, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { failure } from '../failure.js';

const BYTES = 'latin1';
const toBytes = (text: string): string => Buffer.from(text, 'utf8').toString(BYTES);
const fromBytes = (bytes: string): string => Buffer.from(bytes, BYTES).toString('utf8');

/** The line of `database`, without its end. Fails with `EndpointFailed` if the file or the entry is missing. */
export async function readEntry(file: string, database: string): Promise<string> {
  const lines = (await read(file)).split('\n');
  return lines[indexOf(lines, file, database)] ?? '';
}

/** Replaces the line of `database`. Atomic where the folder allows it: a crash leaves the old file or the new one. */
export async function writeEntry(file: string, database: string, entry: string): Promise<void> {
  const lines = (await read(file)).split('\n');
  lines[indexOf(lines, file, database)] = entry;
  const text = lines.join('\n');
  // A link stays one: what it leads to is replaced.
  const path = await realpath(file);
  const { mode, uid, gid } = await stat(path);
  const beside = `${path}.${randomUUID()}`;
  try {
    await writeFile(beside, text, { mode, encoding: BYTES });
    await chmod(beside, mode);
    await chown(beside, uid, gid);
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    // A file mounted on its own (a Kubernetes subPath, a Docker bind) can't be renamed over, only written.
    if (!(
      error instanceof Error &&
      'code' in error &&
      ['EBUSY', 'EXDEV', 'EACCES', 'EPERM'].includes(String(error.code))
    ))
      throw error;
    await writeFile(path, text, BYTES);
  }
}

/** `line` with some of its `key=value` pairs replaced, or added at the end. Values are quoted as PgBouncer reads them. */
export function withParameters(line: string, parameters: Record<string, string>): string {
  const equals = line.indexOf('=');
  const head = line.slice(0, equals + 1);
  const pairs = parsePairs(line.slice(equals + 1));
  for (const [key, value] of Object.entries(parameters)) {
    const found = pairs.find((pair) => pair.key === key);
    if (found) found.value = toBytes(value);
    else pairs.push({ key, value: toBytes(value) });
  }
  return `${head} ${pairs.map(({ key, value }) => `${key}=${quote(value)}`).join(' ')}`;
}

/** The `key=value` pairs of an entry: `name = host=… port=… dbname='…'`, quotes doubled inside quotes. */
export function parametersOf(line: string): Record<string, string> {
  const pairs = parsePairs(line.slice(line.indexOf('=') + 1));
  return Object.fromEntries(pairs.map(({ key, value }) => [key, fromBytes(value)]));
}

function parsePairs(text: string): { key: string; value: string }[] {
  // Not \s: the byte A0 is a space of latin1, and half a letter of UTF-8.
  const pattern = /([a-z_]+)[ \t]*=[ \t]*(?:'((?:[^']|'')*)'|([^ \t\r]*))/g;
  return [...text.matchAll(pattern)].map(([, key = '', quoted, plain]) => ({
    key,
    value: quoted === undefined ? (plain ?? '') : quoted.replaceAll("''", "'"),
  }));
}

function quote(value: string): string {
  return /^[A-Za-z0-9_.:/,-]+$/.test(value) ? value : `'${value.replaceAll("'", "''")}'`;
}

function indexOf(lines: string[], file: string, database: string): number {
  let section = '';
  for (const [index, line] of lines.entries()) {
    const header = /^\s*\[(\w+)\]/.exec(line);
    if (header) section = header[1] ?? '';
    if (section !== 'databases' || /^\s*[;#]/.test(line)) continue;
    const name = /^[ \t]*(?:"((?:[^"]|"")*)"|([^ \t="]+))[ \t]*=/.exec(line);
    if (name && (name[1]?.replaceAll('""', '"') ?? name[2]) === toBytes(database)) return index;
  }
  throw failure(
    'EndpointFailed',
    `${file} has no entry ${database} in its section [databases]`,
    'Name the entry that clients use in endpoints[].pgbouncer.database',
  );
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, BYTES);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw failure(
      'EndpointFailed',
      `the worker can't read ${file} (${code})`,
      'Mount the configuration of PgBouncer where the worker runs',
    );
  }
}
