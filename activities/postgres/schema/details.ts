/** Owners, grants, comments and all else that no replication needs, and that people miss: what differs between the two sides. */
import type { Primary } from '../../../spec/status.js';
import type { ScopeTable } from '../scope.js';
import type { Session } from '../session.js';
import { statement, type TableName } from '../statements.js';
import { settingKey, settingsOf, settingStatement } from './settings.js';

const DETAILS = statement(import.meta.url, '../sql/schema_details.sql');

interface Detail extends Record<string, unknown> {
  object: string;
  fact: string;
  value: string;
}

/** Of the database, or of a role in it, with the statement that makes the target as the source is. */
export interface SettingDifference {
  name: string;
  what: string;
  sql: string;
  role: string | null;
  unset: boolean;
}

export interface DetailDifferences {
  /** In words. */
  details: string[];
  settings: SettingDifference[];
}

export interface DetailDifference {
  object: string;
  fact: string;
  /** Null: none. */
  source: string | null;
  target: string | null;
}

export async function compareDetails(
  source: Session,
  target: Session,
  tables: ScopeTable[],
): Promise<DetailDifferences> {
  const details = (await detailDifferences(source, target, tables)).map(
    (one) => `${one.object}: ${one.fact} is ${shownDetail(one, 'target')}, on the source ${shownDetail(one, 'source')}`,
  );
  return { details, settings: await compareSettings(source, target) };
}

/** Those that the target lacks or has otherwise, then those that only the target has. */
export async function detailDifferences(
  source: Session,
  target: Session,
  tables: TableName[],
): Promise<DetailDifference[]> {
  const input = [JSON.stringify(tables)];
  const [wanted, found] = await Promise.all([source.rows<Detail>(DETAILS, input), target.rows<Detail>(DETAILS, input)]);
  const keyOf = (detail: Detail): string => JSON.stringify([detail.object, detail.fact]);
  const there = new Map(found.map((detail) => [keyOf(detail), detail.value]));
  const here = new Set(wanted.map(keyOf));
  return [
    ...wanted.map((detail) => ({ ...detail, source: detail.value, target: there.get(keyOf(detail)) ?? null })),
    ...found
      .filter((detail) => !here.has(keyOf(detail)))
      .map((detail) => ({ ...detail, source: null, target: detail.value })),
  ].filter((detail) => detail.source !== detail.target);
}

/** A digest tells nobody anything. */
export function shownDetail(difference: DetailDifference, side: Primary): string {
  const value = difference[side];
  if (value === null) return 'none';
  return difference.fact === 'body and settings' ? 'another' : value;
}

export async function compareSettings(source: Session, target: Session): Promise<SettingDifference[]> {
  const there = new Map((await settingsOf(target)).map((setting) => [settingKey(setting), setting.value]));
  const database = await target.row<{ name: string }>('select current_database() as name');
  return (await settingsOf(source)).flatMap((setting) => {
    const value = there.get(settingKey(setting));
    if (value === setting.value) return [];
    const whose = setting.role === null ? 'of the database' : `of the role ${setting.role} in the database`;
    return [
      {
        name: setting.name,
        what: `${setting.name} ${whose} is ${value ?? 'not set'} on the target, on the source ${setting.value}`,
        sql: settingStatement(database?.name ?? '', setting),
        role: setting.role,
        unset: value === undefined,
      },
    ];
  });
}
