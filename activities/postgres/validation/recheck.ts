/** The last look at what validation left open: under the cutover's fence, when nothing writes and all has arrived. */
import type { Milliseconds } from '../../../spec/normal.js';
import type { DatabaseMove } from '../../contract.js';
import { sqlState } from '../errors.js';
import type { Session } from '../session.js';
import { nameOf, statement, type TableName } from '../statements.js';
import { hasCertificates } from './certificate.js';
import { statementsOn, type Key } from './compared-table.js';
import { describeTables } from './describe.js';
import { dialectOf } from './expression.js';
import { serverOf } from './server.js';
import { pin } from './lanes.js';

const SUSPECTS = statement(import.meta.url, '../sql/validation/suspects.sql');

interface Suspect extends TableName {
  id: string;
  key: Key;
}

/** Whether `recheckSuspects` has anything to do. Asked while nobody waits: no validation runs beside a switch. */
export async function hasSuspects(target: Session, key: string): Promise<boolean> {
  return (await hasCertificates(target)) && (await target.rows(SUSPECTS, [key])).length > 0;
}

/**
 * Compares the open suspects of the newest certificate by key, and writes down what they are. To be called outside of a
 * transaction, with the primary fenced and a marker seen on the standby after the fence. Without suspects it is one
 * statement. What isn't done `deadlineMs` after the call stays `open`; a statement under way is ended by then.
 */
export async function recheckSuspects(
  primary: Session,
  standby: Session,
  move: DatabaseMove,
  deadlineMs: Milliseconds,
): Promise<{ open: number; differences: number }> {
  const deadline = Date.now() + deadlineMs;
  const target = primary.side === 'target' ? primary : standby;
  if (!(await hasCertificates(target))) return { open: 0, differences: 0 };
  const suspects = await target.rows<Suspect>(SUSPECTS, [move.key]);
  if (suspects.length === 0) return { open: 0, differences: 0 };
  const tables = groupByTable(suspects);
  const outcome = { cleared: new Array<string>(), confirmed: new Array<string>() };
  try {
    await Promise.all([limit(primary, deadline), limit(standby, deadline)]);
    const dialect = dialectOf(await serverOf(primary), await serverOf(standby));
    const described = await describeTables(
      primary,
      standby,
      [...tables.values()].map(([first]) => first),
      dialect,
    );
    for (const table of described) {
      const open = tables.get(nameOf(table)) ?? [];
      const keys = open.map((suspect) => suspect.key);
      await Promise.all([limit(primary, deadline), limit(standby, deadline)]);
      const [here, there] = await Promise.all([
        statementsOn(table, primary).read(primary, keys),
        statementsOn(table, standby).read(standby, keys),
      ]);
      open.forEach((suspect, index) => {
        const same = here[index]?.signature === there[index]?.signature;
        (same ? outcome.cleared : outcome.confirmed).push(suspect.id);
      });
    }
  } catch (error) {
    if (sqlState(error) !== '57014') throw error;
  } finally {
    for (const session of [primary, standby]) if (!session.lost) await session.run('set statement_timeout = 0');
  }
  await target.run(
    `update godwit.validation_difference set state = case when id = any ($1::bigint[]) then 'cleared' else 'confirmed' end
     where id = any ($1::bigint[] || $2::bigint[])`,
    [outcome.cleared, outcome.confirmed],
  );
  return {
    open: suspects.length - outcome.cleared.length - outcome.confirmed.length,
    differences: outcome.confirmed.length,
  };
}

function groupByTable(suspects: Suspect[]): Map<string, [Suspect, ...Suspect[]]> {
  const tables = new Map<string, [Suspect, ...Suspect[]]>();
  for (const suspect of suspects) {
    const known = tables.get(nameOf(suspect));
    if (known) known.push(suspect);
    else tables.set(nameOf(suspect), [suspect]);
  }
  return tables;
}

async function limit(session: Session, deadline: number): Promise<void> {
  await pin(session);
  await session.run(`set statement_timeout = ${Math.max(1, Math.ceil(deadline - Date.now()))}`);
}
