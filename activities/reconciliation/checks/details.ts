/** Who may do what, and what else happens at a write: owners, grants, row security and its policies, triggers, functions. */
import { detailDifferences, shownDetail, type DetailDifference } from '../../postgres/schema/details.js';
import type { Session } from '../../postgres/session.js';
import type { TableName } from '../../postgres/statements.js';
import type { Check, CheckRun, Finding, NotChecked } from '../findings.js';
import { tablesOfBoth } from './constraints.js';
import { attempted, drift, usually } from './reading.js';
import { settledCatalogs } from './settled.js';

/** What makes a database answer otherwise. The rest of the details is looks and speed; indexes are a check of their own. */
const FACTS = /^(owner|grants|row security|definition|body and settings|of kind .*)$/s;
const OBJECTS_LEFT_OUT = /^(index|statistics|trigger "?truncate_guard_) ?/;

export const details: Check = async (run) => {
  const notChecked: NotChecked[] = [];
  const what = 'owners, grants, policies, triggers and functions';
  const findings = await attempted(run, what, notChecked, () =>
    settledCatalogs(run, what, notChecked, () => differences(run)),
  );
  return { findings: findings ?? [], notChecked };
};

async function differences(run: CheckRun): Promise<Finding[]> {
  const tables = await tablesOfBoth(run);
  const names = await shownNames(run.source, tables);
  return (await detailDifferences(run.source, run.target, tables))
    .filter(({ object, fact }) => FACTS.test(fact) && !OBJECTS_LEFT_OUT.test(object))
    .map((difference) => {
      const table = names.find(({ shown }) => isOf(difference, shown));
      return drift({
        schema: table?.schema ?? '',
        table: table?.name ?? '',
        side: difference.source === null ? 'target' : difference.target === null ? 'source' : null,
        detail:
          `${difference.object}: ${difference.fact} is ${shownDetail(difference, 'source')} on the source, ` +
          `and ${shownDetail(difference, 'target')} on the target`,
        ...usually(run, 'drift', 'low'),
      });
    });
}

/** Tables as the objects of details name them. */
const shownNames = (session: Session, tables: TableName[]): Promise<(TableName & { shown: string })[]> =>
  session.rows<TableName & { shown: string } & Record<string, unknown>>(
    `select schema, name, format('%I.%I', schema, name) as shown
     from json_to_recordset($1::json) as t(schema text, name text)`,
    [JSON.stringify(tables)],
  );

const isOf = ({ object }: DetailDifference, shown: string): boolean =>
  object === `table ${shown}` || object.endsWith(` of table ${shown}`) || object.endsWith(` on ${shown}`);
