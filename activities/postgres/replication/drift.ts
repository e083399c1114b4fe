/**
 * DDL during a migration. Logical replication carries none, so a change of a table in scope has to be made on both sides by
 * a person or by the user's own tool; until then the migration holds. The switch looks at the same signature under its locks.
 */
import type { Primary } from '../../../spec/status.js';
import type { DatabaseMove, Drift } from '../../contract.js';
import { failure } from '../../failure.js';
import { guarded, readAuthority, type AuthorityRow } from '../authority.js';
import { signatureOf } from '../fence.js';
import { compareTables } from '../schema/compare.js';
import { scopeTables } from '../scope.js';
import type { Session } from '../session.js';
import { bothSides } from '../sides.js';
import { statement } from '../statements.js';

const NEW_PARTITIONS = statement(import.meta.url, '../sql/drift.sql');

/** Differences named to a person; the rest is counted. */
const NAMED = 10;

/** Null: the tables are what they were when the fence was installed, or it isn't installed yet. */
export async function driftOf(
  sessions: Record<Primary, Session | null>,
  rows: Record<Primary, AuthorityRow | null>,
  key: string,
): Promise<Drift | null> {
  const changed: Primary[] = [];
  for (const side of ['source', 'target'] as const) {
    const session = sessions[side];
    const was = rows[side]?.signature ?? '';
    if (session !== null && was !== '' && (await signatureOf(session, key)) !== was) changed.push(side);
  }
  const { source, target } = sessions;
  if (changed.length === 0) return null;
  if (source === null || target === null) return { changed, differences: ['the other side does not answer'] };
  return { changed, differences: await differencesOf(source, target, key) };
}

async function differencesOf(source: Session, target: Session, key: string): Promise<string[]> {
  const differences = await compareTables(source, target, await scopeTables(source, key));
  for (const side of [source, target]) {
    const added = await side.rows<{ partition: string; root: string }>(NEW_PARTITIONS, [key]);
    differences.push(
      ...added.map(
        ({ partition, root }) =>
          `${root}: its partition ${partition} on the ${side.side} came after the migration began, which doesn't move it`,
      ),
    );
  }
  const more = differences.length - NAMED;
  return more > 0 ? [...differences.slice(0, NAMED), `and ${more} more`] : differences;
}

/**
 * What a person's `retry` asks for after DDL. Takes the shape of the tables as it is now on each side, if both have the same.
 * Fails with `SchemaMismatch`, naming what differs. Rows are not looked at: a default that was evaluated on each side, such
 * as a random one, may have made them differ, so validate again.
 */
export async function adoptShape(move: DatabaseMove): Promise<{ adopted: boolean }> {
  await using sides = await bothSides(move, 'adopt');
  const rows = {
    source: await readAuthority(sides.source, move.key),
    target: await readAuthority(sides.target, move.key),
  };
  const drift = await driftOf(sides, rows, move.key);
  if (drift === null) return { adopted: false };
  if (drift.differences.length > 0) {
    throw failure(
      'SchemaMismatch',
      `the two sides still differ: ${drift.differences.join('; ')}`,
      'Make the same change on both, or undo it',
    );
  }
  for (const side of ['source', 'target'] as const) {
    await guarded(sides.of(side), move.key, { states: ['open', 'leased', 'closed', 'ready'], side }, async () => {
      await sides
        .of(side)
        .run('update godwit.authority set signature = $2 where scope = $1', [
          move.key,
          await signatureOf(sides.of(side), move.key),
        ]);
    });
  }
  return { adopted: true };
}
