/**
 * Foreign keys of the side that follows. Applied changes fire no foreign-key triggers, so rows that refer to nothing would
 * go unnoticed until an application meets them after the switch: where a parent is out of scope, say, or a trigger deleted it.
 */
import type { DatabaseMove } from '../contract.js';
import { cancellation, heartbeat } from '../activity-context.js';
import { failure } from '../failure.js';
import { readAuthority } from './authority.js';
import type { Session } from './session.js';
import { bothSides } from './sides.js';
import { statement } from './statements.js';
import { backendOf, cancelledBy } from './validation/cancel.js';

const REFERENCES = statement(import.meta.url, './sql/references.sql');

/** Enough to say that it is so; counting on would read all of a large table to no use. */
const COUNTED = 1_000;
const NAMED = 10;

interface Reference extends Record<string, unknown> {
  name: string;
  child: string;
  child_name: string;
  parent: string;
  parent_name: string;
  match_full: boolean;
  /** Column here, column there, operator that compares there with here; quoted. */
  columns: [string, string, string][];
}

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
  for (const reference of await session.rows<Reference>(REFERENCES, [key])) {
    cancellation().throwIfAborted();
    heartbeat();
    const rows = await danglingRows(session, reference);
    if (rows > 0) dangling.push(describe(reference, rows));
  }
  return dangling;
}

function describe({ name, child, parent }: Reference, rows: number): string {
  const count = rows >= COUNTED ? `${COUNTED} or more rows` : rows === 1 ? '1 row' : `${rows} rows`;
  return `${count} of ${child} without a row in ${parent} (${name})`;
}

async function danglingRows(session: Session, reference: Reference): Promise<number> {
  const { child_name, parent_name, columns, match_full } = reference;
  const given = columns.map(([mine]) => `c.${mine} is not null`).join(match_full ? ' or ' : ' and ');
  const same = columns.map(([mine, theirs, equals]) => `p.${theirs} ${equals} c.${mine}`).join(' and ');
  const row = await session.row<{ rows: string }>(
    `select count(*) as rows from (
       select from ${child_name} c where (${given}) and not exists (select from ${parent_name} p where ${same})
       limit ${COUNTED}) dangling`,
  );
  return Number(row?.rows ?? 0);
}
