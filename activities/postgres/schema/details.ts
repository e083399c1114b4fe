/** Owners, grants, comments and all else that no replication needs, and that people miss: what differs between the two sides. */
import type { ScopeTable } from '../scope.js';
import type { Session } from '../session.js';
import { statement } from '../statements.js';
import { settingKey, settingsOf, settingStatement } from './settings.js';

const DETAILS = statement(import.meta.url, '../sql/schema_details.sql');

interface Detail extends Record<string, unknown> {
  object: string;
  fact: string;
  value: string;
}

export interface DetailDifferences {
  /** In words. */
  details: string[];
  /** Of the database and of roles in it, with the statement that makes the target as the source is. */
  settings: { what: string; sql: string; role: string | null; unset: boolean }[];
}

export async function compareDetails(
  source: Session,
  target: Session,
  tables: ScopeTable[],
): Promise<DetailDifferences> {
  const input = [JSON.stringify(tables)];
  const [wanted, found] = await Promise.all([source.rows<Detail>(DETAILS, input), target.rows<Detail>(DETAILS, input)]);
  const keyOf = (detail: Detail): string => JSON.stringify([detail.object, detail.fact]);
  const there = new Map(found.map((detail) => [keyOf(detail), detail.value]));
  const here = new Set(wanted.map(keyOf));
  const missing = wanted.flatMap((detail) => {
    const value = there.get(keyOf(detail));
    if (value === detail.value) return [];
    return [
      `${detail.object}: ${detail.fact} is ${shown(detail, value)}, on the source ${shown(detail, detail.value)}`,
    ];
  });
  const added = found.filter((detail) => !here.has(keyOf(detail)));
  return {
    details: [
      ...missing,
      ...added.map(
        (detail) => `${detail.object}: ${detail.fact} is ${shown(detail, detail.value)}, on the source none`,
      ),
    ],
    settings: await compareSettings(source, target),
  };
}

/** A digest tells nobody anything. */
function shown({ fact }: Detail, value: string | undefined): string {
  if (value === undefined) return 'none';
  return fact === 'body and settings' ? 'another' : value;
}

async function compareSettings(source: Session, target: Session): Promise<DetailDifferences['settings']> {
  const there = new Map((await settingsOf(target)).map((setting) => [settingKey(setting), setting.value]));
  const database = await target.row<{ name: string }>('select current_database() as name');
  return (await settingsOf(source)).flatMap((setting) => {
    const value = there.get(settingKey(setting));
    if (value === setting.value) return [];
    const whose = setting.role === null ? 'of the database' : `of the role ${setting.role} in the database`;
    return [
      {
        what: `${setting.name} ${whose} is ${value ?? 'not set'} on the target, on the source ${setting.value}`,
        sql: settingStatement(database?.name ?? '', setting),
        role: setting.role,
        unset: value === undefined,
      },
    ];
  });
}
