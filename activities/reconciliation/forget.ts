/** Removes all that a reconciliation keeps; runs of others in the same database, and migrations, keep theirs. */
import type { NormalReconciliation } from '../../spec/reconciliation.js';
import { failure } from '../failure.js';
import { Session } from '../postgres/session.js';
import { statement } from '../postgres/statements.js';
import { hasState } from './state.js';
import { dropStreams } from './streams.js';

const DROP = statement(import.meta.url, './sql/drop_state.sql');

/** Fails with `Blocked` while a run goes on. Fine when nothing is there. */
export async function forgetReconciliation({ normal }: { normal: NormalReconciliation }): Promise<void> {
  await dropStreams(normal);
  await using target = await Session.open('target', normal.target.url, { purpose: `${normal.name} forget` });
  if (!(await hasState(target))) return;
  await target.transaction(async () => {
    const running = await target.row<{ run: string }>(
      `select t.run from godwit.reconciliation_turn t join pg_locks l on l.pid = t.backend and l.locktype = 'advisory' and l.granted limit 1`,
    );
    if (running !== undefined) {
      throw failure(
        'Blocked',
        `${running.run} goes on in this database`,
        'Nothing was removed; abort it first, or wait',
      );
    }
    for (const table of ['watermark', 'review', 'run']) {
      await target.run(`delete from godwit.reconciliation_${table} where reconciliation = $1`, [normal.name]);
    }
    const others = await target.row('select from godwit.reconciliation_run limit 1');
    if (others === undefined) await target.run(DROP);
  });
}
