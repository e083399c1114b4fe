/** Settings of a database and of roles in it, which no dump of a schema has: carried where the target says nothing else. */
import { sqlState } from '../errors.js';
import type { Session } from '../session.js';
import { identifier, literal, statement } from '../statements.js';

const DATABASE_SETTINGS = statement(import.meta.url, '../sql/database_settings.sql');

export interface DatabaseSetting {
  /** Null: of everybody. */
  role: string | null;
  name: string;
  value: string;
}

export async function settingsOf(session: Session): Promise<DatabaseSetting[]> {
  return session.rows<DatabaseSetting & Record<string, unknown>>(DATABASE_SETTINGS);
}

export const settingKey = ({ role, name }: DatabaseSetting): string => JSON.stringify([role, name]);

/** `ALTER DATABASE … SET …`, or `ALTER ROLE … IN DATABASE … SET …`. */
export function settingStatement(database: string, setting: DatabaseSetting): string {
  return `${whose(database, setting)} SET ${setting.name.split('.').map(identifier).join('.')} TO ${valueOf(setting)}`;
}

const whose = (database: string, { role }: DatabaseSetting): string =>
  role === null
    ? `ALTER DATABASE ${identifier(database)}`
    : `ALTER ROLE ${identifier(role)} IN DATABASE ${identifier(database)}`;

/**
 * These are kept as lists of quoted names, and are written as lists of texts.
 * https://github.com/postgres/postgres/blob/master/src/bin/pg_dump/dumputils.c (variable_is_guc_list_quote)
 */
const LISTS = ['local_preload_libraries', 'search_path', 'session_preload_libraries', 'temp_tablespaces'];

function valueOf({ name, value }: DatabaseSetting): string {
  if (!LISTS.includes(name.toLowerCase())) return literal(value);
  const members = [...value.matchAll(/"((?:[^"]|"")*)"|([^\s,]+)/g)];
  const texts = members.map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '');
  return texts.length === 0 ? `''` : texts.map(literal).join(', ');
}

/** SQLSTATEs of what this role may not set, and of what the target's version doesn't know; preflight lists those. */
const NOT_HERE = ['42501', '42704', '22023', '0A000', '55P02'];

/**
 * Sets on the target what the source has and the target hasn't, and writes it down for `dropSettings`. What the target has
 * with another value is somebody's wish, and stays. For a transaction.
 */
export async function carrySettings(source: Session, target: Session, key: string): Promise<void> {
  const there = new Set((await settingsOf(target)).map(settingKey));
  const database = await databaseOf(target);
  for (const setting of await settingsOf(source)) {
    if (there.has(settingKey(setting))) continue;
    await target.run('savepoint godwit_setting');
    try {
      await target.run(settingStatement(database, setting));
      await target.run('insert into godwit.carried_setting (scope, role, name, value) values ($1, $2, $3, $4)', [
        key,
        setting.role ?? '',
        setting.name,
        setting.value,
      ]);
    } catch (error) {
      if (!NOT_HERE.includes(sqlState(error) ?? '')) throw error;
      await target.run('rollback to savepoint godwit_setting');
    }
    await target.run('release savepoint godwit_setting');
  }
}

/** Takes back what was carried, unless somebody has changed it since. */
export async function dropSettings(target: Session, key: string): Promise<void> {
  const known = await target.row<{ known: boolean }>(
    `select to_regclass('godwit.carried_setting') is not null as known`,
  );
  if (!known?.known) return;
  await target.transaction(async () => {
    const database = await databaseOf(target);
    const now = await settingsOf(target);
    const carried = await target.rows<{ role: string; name: string; value: string }>(
      'delete from godwit.carried_setting where scope = $1 returning role, name, value',
      [key],
    );
    for (const { role, name, value } of carried) {
      const setting: DatabaseSetting = { role: role === '' ? null : role, name, value };
      if (!now.some((one) => settingKey(one) === settingKey(setting) && one.value === value)) continue;
      await target.run(`${whose(database, setting)} RESET ${name.split('.').map(identifier).join('.')}`);
    }
  });
}

async function databaseOf(session: Session): Promise<string> {
  return (await session.row<{ name: string }>('select current_database() as name'))?.name ?? '';
}
