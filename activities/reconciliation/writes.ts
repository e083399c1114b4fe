/**
 * Writes single rows, as text in and out, so that each value arrives exactly as it was read: a parameter takes the type of its
 * column, and goes through that type's own input.
 */
import type { Session } from '../postgres/session.js';
import { identifier, literal, qualified, type TableName } from '../postgres/statements.js';
import type { Image, Key, TableStatements } from '../postgres/validation/compared-table.js';
import { keyColumns } from '../postgres/validation/compared-table.js';

export type Change =
  | { action: 'insert'; after: Image }
  | { action: 'update'; before: Image; after: Image }
  | { action: 'delete'; before: Image };

/** How one side's table is written to. */
export class RowWrites {
  static readonly #known = new WeakMap<TableStatements, RowWrites>();

  private constructor(
    readonly statements: TableStatements,
    /** Without generated ones, which the server computes. */
    readonly writable: Set<string>,
    /** Of a table that others inherit from: theirs are rows of theirs, even under the same key. */
    readonly only: '' | 'ONLY ',
  ) {}

  /** Asked of the catalog once a table, side and description: batches and single rows ask again and again. */
  static async of(session: Session, statements: TableStatements): Promise<RowWrites> {
    const known = RowWrites.#known.get(statements);
    if (known !== undefined) return known;
    const writes = await RowWrites.#described(session, statements);
    RowWrites.#known.set(statements, writes);
    return writes;
  }

  static async #described(session: Session, statements: TableStatements): Promise<RowWrites> {
    const rows = await session.rows<{ name: string }>(
      `select attname as name from pg_attribute
       where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = ''`,
      [qualified(statements.name)],
    );
    const children = await session.row(`select from pg_inherits where inhparent = $1::regclass limit 1`, [
      qualified(statements.name),
    ]);
    const only = children === undefined || statements.name.whole === true ? '' : 'ONLY ';
    return new RowWrites(statements, new Set(rows.map(({ name }) => name)), only);
  }

  get #table(): string {
    return qualified(this.statements.name);
  }

  /** Columns that a change of a row sets. */
  #changed(before: Image, after: Image): string[] {
    return Object.keys(after).filter((name) => this.writable.has(name) && before[name] !== after[name]);
  }

  /** Answers the number of rows that it touched: not 1 where somebody was faster. */
  async write(session: Session, key: Key, change: Change): Promise<number> {
    switch (change.action) {
      case 'insert': {
        const columns = Object.keys(change.after).filter((name) => this.writable.has(name));
        return session.run(
          columns.length === 0
            ? `insert into ${this.#table} default values`
            : `insert into ${this.#table} (${columns.map(identifier).join(', ')}) overriding system value
               values (${columns.map((_, index) => `$${index + 1}`).join(', ')})`,
          columns.map((name) => change.after[name] ?? null),
        );
      }
      case 'update': {
        const columns = this.#changed(change.before, change.after);
        if (columns.length === 0) return 1;
        return session.run(
          `update ${this.only}${this.#table} as r set ${columns.map((name, index) => `${identifier(name)} = $${index + 1}`).join(', ')}
           where ${this.statements.keyCondition(columns.length + 1)}`,
          [...columns.map((name) => change.after[name] ?? null), ...key],
        );
      }
      case 'delete':
        return session.run(`delete from ${this.only}${this.#table} as r where ${this.statements.keyCondition(1)}`, key);
    }
  }

  /** The same for people: values as literals, those of masked columns as stars. */
  inWords(key: Key, change: Change, masked: string[]): string {
    const value = (name: string, image: Image): string => {
      const written = image[name] ?? null;
      if (written === null) return 'NULL';
      return masked.includes(name) ? "'***'" : literal(written);
    };
    const keys = keyColumns(this.statements.shape.key).map(({ name }, index) => {
      const part = key[index] ?? '';
      return `${identifier(name)} = ${masked.includes(name) ? "'***'" : literal(part)}`;
    });
    const where = keys.join(' AND ');
    switch (change.action) {
      case 'insert': {
        const columns = Object.keys(change.after).filter((name) => this.writable.has(name));
        const values = columns.map((name) => value(name, change.after));
        return `INSERT INTO ${this.#table} (${columns.map(identifier).join(', ')}) VALUES (${values.join(', ')})`;
      }
      case 'update': {
        const sets = this.#changed(change.before, change.after).map(
          (name) => `${identifier(name)} = ${value(name, change.after)}`,
        );
        return `UPDATE ${this.only}${this.#table} SET ${sets.join(', ')} WHERE ${where}`;
      }
      case 'delete':
        return `DELETE FROM ${this.only}${this.#table} WHERE ${where}`;
    }
  }
}

/** What makes a row of one side that of the other; null: they are the same. */
export function changeOf(is: Image | null, should: Image | null): Change | null {
  if (is === null) return should === null ? null : { action: 'insert', after: should };
  if (should === null) return { action: 'delete', before: is };
  const differs = Object.keys(should).some((name) => is[name] !== should[name]);
  return differs ? { action: 'update', before: is, after: should } : null;
}

/** Tables such that each comes after those that its foreign keys refer to; in a circle, by name. */
export async function inReferenceOrder(session: Session, tables: TableName[]): Promise<TableName[]> {
  const edges = await session.rows<{ child: string; parent: string }>(
    `select distinct cn.nspname || '.' || c.relname as child, pn.nspname || '.' || p.relname as parent
     from pg_constraint k
     join pg_class c on c.oid = k.conrelid join pg_namespace cn on cn.oid = c.relnamespace
     join pg_class p on p.oid = k.confrelid join pg_namespace pn on pn.oid = p.relnamespace
     where k.contype = 'f' and k.conrelid <> k.confrelid`,
  );
  const nameOf = ({ schema, name }: TableName): string => `${schema}.${name}`;
  const left = new Map(tables.map((table) => [nameOf(table), table]));
  const ordered: TableName[] = [];
  while (left.size > 0) {
    const free = [...left.keys()].filter(
      (child) => !edges.some((edge) => edge.child === child && edge.parent !== child && left.has(edge.parent)),
    );
    // a circle: its constraints are deferred where they can be, and refuse what can't be done
    for (const name of free.length > 0 ? free.sort() : [...left.keys()].sort().slice(0, 1)) {
      const table = left.get(name);
      if (table !== undefined) ordered.push(table);
      left.delete(name);
    }
  }
  return ordered;
}
