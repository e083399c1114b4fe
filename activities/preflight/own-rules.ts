/** The user's own rules, planned and not run: whether the server will take them is known before days of copying. */
import { rulesOf } from '../../spec/normal.js';
import type { BusinessRule } from '../../spec/reconciliation.js';
import type { Primary } from '../../spec/status.js';
import { sqlState } from '../postgres/errors.js';
import { literal } from '../postgres/statements.js';
import type { Session } from '../postgres/session.js';
import { explain } from '../reconciliation/checks/business.js';
import { asUsers, whyOf } from '../reconciliation/checks/reading.js';
import { defineCheck, type Look } from './check.js';
import { each } from './evidence.js';

type Id = 'own-rule-refused';

/** Planning reads catalogs alone; what waits longer waits for a lock. */
const TIMEOUT_MS = 5_000;

export const ownRules = defineCheck<Id>({
  topic: 'Rules of your own',
  on: 'each side',
  rules: {
    'own-rule-refused': {
      severity: 'error',
      title: 'The server refuses rules of your own',
      why: 'A rule that cannot be asked proves nothing, so the migration would hold before its switch, after days of copying. Tables that the target does not have yet, since schema: copy makes them, are no reason.',
      mend: 'Correct validation.rules, GRANT what they read to the role of the migration, or name them in validation.ignoreRules.',
    },
  },
  find: async (session, look) => {
    const refused = await refusals(session, look);
    if (refused.length === 0) return [];
    const repair = each(refused, ({ rule }) => `Correct the rule ${rule}, or what it asks for on the ${session.side}`);
    return [{ id: 'own-rule-refused', evidence: refused.map(({ rule, why }) => `${rule}: ${why}`).join('; '), repair }];
  },
});

async function refusals(session: Session, { move }: Look): Promise<{ rule: string; why: string }[]> {
  const side = session.side === 'source' ? 'source' : 'target';
  const { asked } = rulesOf(move.database);
  if (asked.length === 0) return [];
  const { source, target } = move.database;
  const limits = { statementTimeout: TIMEOUT_MS };
  const { searchPath } = await asUsers(
    { normal: { name: move.key, source: { url: source }, target: { url: target }, limits } },
    side,
  );
  await session.batch([
    `set local statement_timeout = ${TIMEOUT_MS}`,
    `select set_config('search_path', ${literal(searchPath)}, true)`,
  ]);
  const refused: { rule: string; why: string }[] = [];
  for (const rule of asked) {
    const sql = sqlOn(rule, side);
    if (sql === null) continue;
    await session.run('savepoint rule');
    try {
      await explain(session, sql);
    } catch (error) {
      if (session.lost || sqlState(error) === undefined) throw error;
      const comes =
        side === 'target' && move.database.schema === 'copy' && NOT_THERE_YET.includes(sqlState(error) ?? '');
      if (!comes) refused.push({ rule: rule.name, why: whyOf(error, TIMEOUT_MS, 'the time for planning it') });
    }
    await session.run('rollback to savepoint rule');
  }
  return refused;
}

/** undefined_table, invalid_schema_name */
const NOT_THERE_YET = ['42P01', '3F000'];

/** Null: it is not about this side. */
function sqlOn(rule: BusinessRule, side: Primary): string | null {
  if (rule.kind === 'same') return rule.sql[side];
  return rule.on.includes(side) ? rule.sql : null;
}
