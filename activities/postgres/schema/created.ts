/** What Godwit made on the target, written down in the transaction that makes it, so that undo drops exactly that. */
import { heartbeat } from '../../activity-context.js';
import { failure } from '../../failure.js';
import { faultPoint } from '../../fault.js';
import type { Session } from '../session.js';
import { statement } from '../statements.js';
import { objectsOf, type DatabaseObject } from './selection.js';

const DROP_BLOCKERS = statement(import.meta.url, '../sql/drop_blockers.sql');

/** Runs `work` within the caller's transaction and records every object that wasn't there before. Answers how many. */
export async function recording(target: Session, key: string, work: () => Promise<void>): Promise<number> {
  const nameOf = (object: DatabaseObject): string => `${object.class}/${object.object}`;
  const before = new Set((await objectsOf(target)).map(nameOf));
  await work();
  const created = (await objectsOf(target)).filter((object) => !object.part && !before.has(nameOf(object)));
  // By OID: the order in which they were made, so that undo can go the other way.
  created.sort((a, b) => Number(a.object) - Number(b.object));
  await target.run(
    `insert into godwit.created_object (scope, seq, class, object, undo, type, identity)
     select $1, n.last + row_number() over (), c.class::oid, c.object::oid, 'drop', c.type, c.identity
     from json_to_recordset($2::json) as c(class text, object text, type text, identity text),
          (select coalesce(max(seq), 0) as last from godwit.created_object where scope = $1) n`,
    [key, JSON.stringify(created)],
  );
  return created.length;
}

/** Objects dropped in one transaction: a table holds eight locks or more until it ends, of 6,400 that a server has by default. */
const DROPPED_AT_ONCE = 200;

/**
 * Drops what was recorded. CASCADE, since tables, types and functions may need each other in a circle; what belongs to
 * somebody else and stands on ours is looked for first, and refuses. Interrupted, it goes on where it was.
 */
export async function dropCreated(target: Session, key: string): Promise<void> {
  while ((await dropSome(target, key)) > 0) {
    heartbeat();
    await faultPoint('undo.dropped');
  }
}

/** Answers how many, at most `DROPPED_AT_ONCE`, in one transaction; those that were made last. */
async function dropSome(target: Session, key: string): Promise<number> {
  return target.transaction(async () => {
    const blockers = await target.rows<{ type: string; identity: string }>(DROP_BLOCKERS, [key]);
    if (blockers.length > 0) {
      const names = blockers.map((blocker) => `${blocker.type} ${blocker.identity}`).join(', ');
      throw failure(
        'Blocked',
        `the copied schema can't be dropped from the target: ${names} stand on it, and Godwit didn't make them`,
        'Drop them, then retry; the source is untouched',
      );
    }
    for (let dropped = 0; dropped < DROPPED_AT_ONCE; dropped += 1) {
      // Looked up anew each time: a CASCADE may have taken the next one along, a rename may have changed its name.
      const next = await target.row<{ seq: number; type: string | null; identity: string | null }>(
        `select c.seq, i.type, i.identity
         from godwit.created_object c
         left join lateral pg_identify_object(c.class, c.object, 0) i on true
         where c.scope = $1 and c.undo = 'drop' order by c.seq desc limit 1`,
        [key],
      );
      if (next === undefined) return dropped;
      if (next.type !== null && next.identity !== null) {
        await target.run(`drop ${next.type} if exists ${next.identity} cascade`);
      }
      await target.run('delete from godwit.created_object where scope = $1 and seq = $2', [key, next.seq]);
    }
    return DROPPED_AT_ONCE;
  });
}
