/**
 * Foreign keys of the side that follows. Applied changes fire no foreign-key triggers, so rows that refer to nothing would
 * go unnoticed until an application meets them after the switch: where a parent is out of scope, say, or a trigger deleted it.
 */
import type { DatabaseMove } from '../contract.js';
import { cancellation, heartbeat } from '../activity-context.js';
import { failure } from '../failure.js';
import { readAuthority } from './authority.js';
import { scopeTables } from './scope.js';
import type { Session } from './session.js';
import { bothSides } from './sides.js';
import { identifier, statement, type TableName } from './statements.js';
import { backendOf, cancelledBy } from './validation/cancel.js';

const REFERENCES = statement(import.meta.url, './sql/references.sql');

/** Enough to say that it is so; counting on would read all of a large table to no use. */
const COUNTED = 1_000;
const NAMED = 10;

export interface Reference extends Record<string, unknown> {
  name: string;
  child_schema: string;
  child_table: string;
  parent_schema: string;
  parent_table: string;
  /** Quoted, for FROM. */
  child_rows: string;
  parent_rows: string;
  match_full: boolean;
  /** NOT VALID: nobody was ever promised that its rows refer to something. NOT ENFORCED (18) the same. */
  validated: boolean;
  /** Column here, column there, operator that compares there with here, type here. */
  columns: { mine: string; theirs: string; equals: string; type: string }[];
}

export const referencesOf = (session: Session, tables: TableName[]): Promise<Reference[]> =>
  session.rows<Reference>(REFERENCES, [JSON.stringify(tables)]);

/** FROM and WHERE of the rows `c` that refer to nothing. */
export function danglingRows(reference: Reference): string {
  const same = reference.columns
    .map(({ mine, theirs, equals }) => `p.${identifier(theirs)} ${equals} c.${identifier(mine)}`)
    .join(' and ');
  return `from ${reference.child_rows} c
    where ${referringRows(reference)} and not exists (select from ${reference.parent_rows} p where ${same})`;
}

/** Condition on rows `c`: those that refer to something at all. */
export const referringRows = ({ columns, match_full }: Reference): string =>
  `(${columns.map(({ mine }) => `c.${identifier(mine)} is not null`).join(match_full ? ' or ' : ' and ')})`;

/**
 * One anti-join a foreign key, each in a snapshot of its own: changes are applied transaction by transaction, so a
 * snapshot never shows a child before its parent. Takes no lock that holds anybody up. Fails with `ValidationDiffers`.
 */
export async function checkReferences(move: DatabaseMove): Promise<void> {
  await using sides = await bothSides(move, 'references');
  const target = await readAuthority(sides.target, move.key);
  const follower = target?.state === 'open' ? sides.source : sides.target;
  const backend = await backendOf(follower, target?.state === 'open' ? 'source' : 'target');
  const dangling = await cancelledBy(cancellation(), move, [backend], () => danglingOf(follower, move.key));
  if (dangling.length === 0) return;
  const more = dangling.length - NAMED;
  throw failure(
    'ValidationDiffers',
    `foreign keys dangle on the ${follower.side}: ${dangling.slice(0, NAMED).join('; ')}${more > 0 ? `; and ${more} more` : ''}`,
    `Give these rows of the ${follower.side} their parents, or see whether the other side lacks them, too; then retry`,
  );
}

async function danglingOf(session: Session, key: string): Promise<string[]> {
  const dangling: string[] = [];
  // Rows of an unlogged table are those of the last switch: the next one carries them anew, with all their parents there.
  const tables = (await scopeTables(session, key)).filter(({ unlogged }) => unlogged == null);
  for (const reference of await referencesOf(session, tables)) {
    if (!reference.validated) continue;
    cancellation().throwIfAborted();
    heartbeat();
    const rows = await countDangling(session, reference);
    if (rows > 0) dangling.push(describe(reference, rows));
  }
  return dangling;
}

function describe({ name, ...tables }: Reference, rows: number): string {
  const count = rows >= COUNTED ? `${COUNTED} or more rows` : rows === 1 ? '1 row' : `${rows} rows`;
  const [child, parent] = [
    `${tables.child_schema}.${tables.child_table}`,
    `${tables.parent_schema}.${tables.parent_table}`,
  ];
  return `${count} of ${child} without a row in ${parent} (${name})`;
}

async function countDangling(session: Session, reference: Reference): Promise<number> {
  const row = await session.row<{ rows: string }>(
    `select count(*) as rows from (select ${danglingRows(reference)} limit ${COUNTED}) dangling`,
  );
  return Number(row?.rows ?? 0);
}
