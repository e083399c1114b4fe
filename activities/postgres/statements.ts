/** SQL lives in files of its own, next to what runs it. */
import { readFileSync } from 'node:fs';
import pg from 'pg';

/**
 * Reads a file of SQL once, at import: `statement(import.meta.url, './sql/tables.sql')`.
 * Throws if the file is missing, so that a broken build fails at start and not in a switch.
 */
export function statement(moduleUrl: string, path: string): string {
  return readFileSync(new URL(path, moduleUrl), 'utf8');
}

/** Quotes a name for SQL. */
export const identifier = (name: string): string => pg.escapeIdentifier(name);

/** Quotes a text for SQL, where a parameter can't stand (utility statements, function bodies). */
export const literal = (text: string): string => pg.escapeLiteral(text);

export interface TableName {
  schema: string;
  name: string;
}

export const qualified = (table: TableName): string => `${identifier(table.schema)}.${identifier(table.name)}`;

/** Tells tables apart, as a key of maps and sets: names hold any character. */
export const nameOf = ({ schema, name }: TableName): string => JSON.stringify([schema, name]);
