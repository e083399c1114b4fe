/** Reads what tables look like on both sides, and makes sure that they can be compared. */
import { failure } from '../../failure.js';
import type { Session } from '../session.js';
import { nameOf, statement, type TableName } from '../statements.js';
import { TableStatements, type ComparedTable, type SideShape, type TableToCompare } from './compared-table.js';
import { isInteger, type ColumnShape, type Dialect, type KeyShape, type TypeShape } from './expression.js';

const TABLES = statement(import.meta.url, '../sql/validation/tables.sql');
const TYPES = statement(import.meta.url, '../sql/validation/types.sql');

interface TypedName {
  name: string;
  type: string;
}

interface TypedColumn extends TypedName {
  notNull: boolean;
}

interface TableRow extends TableName {
  oid: string;
  estimatedRows: number;
  bytes: number;
  columns: TypedColumn[] | null;
  key: (TypedColumn & { equals: string | null })[] | null;
}

interface TypeRow {
  oid: string;
  name: string;
  schema: string;
  kind: string;
  builtin: boolean;
  castName: string;
  part: string | null;
  attributes: TypedName[] | null;
  send: string | null;
  output: string;
}

export interface DescribedTable extends TableName {
  shape: SideShape;
  bytes: number;
  estimatedRows: number;
}

/**
 * The tables as both sides have them, with the same columns in the same order, and the key of the primary.
 * Fails with `SchemaMismatch`, naming the first table that differs and how.
 */
export async function describeTables(
  primary: Session,
  standby: Session,
  tables: TableToCompare[],
  dialect: Dialect,
): Promise<ComparedTable[]> {
  const described = await describeComparable(primary, standby, tables, dialect);
  for (const { name, why } of described) if (why !== null) throw mismatch(name, why);
  return described.flatMap(({ table }) => (table === null ? [] : [table]));
}

/** One table as it can be compared; or why it can't. */
export type Comparable =
  { name: TableToCompare; table: ComparedTable; why: null } | { name: TableToCompare; table: null; why: string };

/** The same, table by table: one that can't be compared keeps no other from it. */
export async function describeComparable(
  primary: Session,
  standby: Session,
  tables: TableToCompare[],
  dialect: Dialect,
): Promise<Comparable[]> {
  if (tables.length === 0) return [];
  const [here, there] = await Promise.all([describeSide(primary, tables), describeSide(standby, tables)]);
  return tables.map((name) => {
    const cannot = (why: string): Comparable => ({ name, table: null, why });
    const mine = here.get(nameOf(name));
    const theirs = there.get(nameOf(name));
    if (mine === undefined || theirs === undefined) {
      return cannot(`it does not exist on the ${mine === undefined ? primary.side : standby.side}`);
    }
    const shapes = bothShapes(name, mine.shape, theirs.shape);
    if (typeof shapes === 'string') return cannot(shapes);
    const ours = new TableStatements(name, shapes.primary, dialect);
    const others = new TableStatements(name, shapes.standby, dialect);
    if (ours.form !== others.form) return cannot(`${primary.side} ${ours.form}, ${standby.side} ${others.form}`);
    const [source, target] = primary.side === 'source' ? [ours, others] : [others, ours];
    return {
      name,
      why: null,
      table: {
        schema: name.schema,
        name: name.name,
        source,
        target,
        estimatedRows: mine.estimatedRows,
        bytesOfARow: mine.bytes / Math.max(1, mine.estimatedRows),
      },
    };
  });
}

/** Without the columns that aren't compared; a key among those is an answer in words. */
function bothShapes(
  name: TableToCompare,
  primary: SideShape,
  standby: SideShape,
): { primary: SideShape; standby: SideShape } | string {
  const excluded = new Set(name.excluded ?? []);
  const without = (shape: SideShape): SideShape =>
    excluded.size === 0 ? shape : { ...shape, columns: shape.columns.filter((one) => !excluded.has(one.name)) };
  const inKey = keyNames(primary.key).find((column) => excluded.has(column));
  if (inKey !== undefined) return `column ${inKey} is part of its key, and can't be left out`;
  const here = without(primary);
  const there = matched(here, without(standby));
  if (typeof there === 'string') return there;
  const columns = [...here.columns, ...there.columns];
  const nullable = new Set(columns.filter(({ notNull }) => notNull !== true).map(({ name: column }) => column));
  return { primary: agreed(here, nullable), standby: agreed(there, nullable) };
}

/** With those columns as NOT NULL that are so on both sides. */
function agreed(shape: SideShape, nullable: Set<string>): SideShape {
  const column = (one: ColumnShape): ColumnShape => ({ ...one, notNull: !nullable.has(one.name) });
  const key: KeyShape =
    shape.key.kind === 'columns' ? { kind: 'columns', columns: shape.key.columns.map(column) } : shape.key;
  return { ...shape, columns: shape.columns.map(column), key };
}

/** The other side's shape with columns and key in the primary's order; or, in words, why there is none. */
function matched(primary: SideShape, standby: SideShape): SideShape | string {
  const known = new Map(standby.columns.map((column) => [column.name, column]));
  const lacking = primary.columns.find(({ name }) => !known.has(name));
  if (lacking !== undefined) return `column ${lacking.name} is missing on the standby`;
  const find = (wanted: ColumnShape): ColumnShape => known.get(wanted.name) ?? wanted;
  const columns = primary.columns.map(find);
  const extra = standby.columns.find((column) => !columns.includes(column));
  if (extra !== undefined) return `column ${extra.name} is there on the standby only`;
  const key: KeyShape =
    primary.key.kind === 'integer'
      ? { kind: 'integer', column: find(primary.key.column) }
      : primary.key.kind === 'columns'
        ? { kind: 'columns', columns: primary.key.columns.map(find) }
        : primary.key;
  // an extension may live in another schema there, and so may its operators
  const sameKey = JSON.stringify(keyNames(standby.key)) === JSON.stringify(keyNames(key));
  return { columns, key, equals: sameKey ? standby.equals : primary.equals };
}

function keyNames(key: KeyShape): string[] {
  if (key.kind === 'none') return [];
  return key.kind === 'integer' ? [key.column.name] : key.columns.map((column) => column.name);
}

function mismatch(table: TableName, what: string): Error {
  return failure(
    'SchemaMismatch',
    `${table.schema}.${table.name} can't be compared: ${what}`,
    'Bring both sides to the same schema, then validate again',
  );
}

/** Tables as one side has them, by `nameOf`; those that it hasn't are left out. */
export async function describeSide(session: Session, tables: TableName[]): Promise<Map<string, DescribedTable>> {
  const wanted = JSON.stringify(tables.map((table) => ({ schema: table.schema, name: table.name })));
  const rows = await session.rows<TableRow>(TABLES, [wanted]);
  const oids = rows.flatMap((row) => [...(row.columns ?? []), ...(row.key ?? [])].map((column) => column.type));
  const types = await readTypes(session, oids);
  const column = ({ name, type, notNull }: TypedColumn): ColumnShape => ({ name, type: shapeOf(types, type), notNull });
  return new Map(
    rows.map((row) => [
      nameOf(row),
      {
        schema: row.schema,
        name: row.name,
        bytes: row.bytes,
        estimatedRows: row.estimatedRows,
        shape: {
          columns: (row.columns ?? []).map(column),
          key: keyOf((row.key ?? []).map(column)),
          equals: (row.key ?? []).map((part) => part.equals ?? '='),
        },
      },
    ]),
  );
}

function keyOf(columns: ColumnShape[]): KeyShape {
  const [first] = columns;
  if (first === undefined) return { kind: 'none' };
  return columns.length === 1 && isInteger(first.type)
    ? { kind: 'integer', column: first }
    : { kind: 'columns', columns };
}

/** These, and every type that they contain, at any depth: elements, bounds, attributes and what domains stand on. */
async function readTypes(session: Session, oids: string[]): Promise<Map<string, TypeRow>> {
  const types = new Map<string, TypeRow>();
  let wanted = new Set(oids);
  while (wanted.size > 0) {
    const rows = await session.rows<TypeRow>(TYPES, [[...wanted]]);
    for (const row of rows) types.set(row.oid, row);
    const parts = rows.flatMap(({ part, attributes }) => [
      ...(part === null ? [] : [part]),
      ...(attributes ?? []).map(({ type }) => type),
    ]);
    wanted = new Set(parts.filter((oid) => !types.has(oid)));
  }
  return types;
}

/** A type can't contain itself, so this ends. */
function shapeOf(types: Map<string, TypeRow>, oid: string): TypeShape {
  const row = types.get(oid);
  if (row === undefined) throw failure('SchemaMismatch', `type ${oid} disappeared while it was read`);
  const { name, castName } = row;
  const part = (): TypeShape => shapeOf(types, row.part ?? '0');
  switch (row.kind) {
    case 'array':
      return { kind: 'array', name, castName, element: part() };
    case 'd':
      return { kind: 'domain', name, castName, base: part() };
    case 'r':
      return { kind: 'range', name, castName, bound: part() };
    case 'm':
      return { kind: 'multirange', name, castName, bound: part() };
    case 'e':
      return { kind: 'enum', name, castName };
    case 'c': {
      const attributes = (row.attributes ?? []).map((attribute) => ({
        name: attribute.name,
        type: shapeOf(types, attribute.type),
      }));
      return { kind: 'composite', name, castName, attributes };
    }
    default:
      return { kind: 'base', name, castName, builtin: row.builtin, send: row.send, output: row.output };
  }
}
