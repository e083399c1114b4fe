/** Foreign keys and CHECK constraints: on one side only, never validated, or not enforced. */
import type { Primary } from '../../../spec/status.js';
import { statement, type TableName } from '../../postgres/statements.js';
import type { Check, CheckRun, Finding, NotChecked } from '../findings.js';
import { attempted, drift, sessionOf, SIDES } from './reading.js';
import { settledCatalogs } from './settled.js';

const CONSTRAINTS = statement(import.meta.url, './sql/constraints.sql');

interface Constraint extends TableName, Record<string, unknown> {
  constraint: string;
  definition: string;
  validated: boolean;
  /** Its triggers are: `ALTER TABLE … DISABLE TRIGGER ALL`. */
  disabled: boolean;
}

export const constraints: Check = async (run) => {
  const notChecked: NotChecked[] = [];
  const what = 'constraints';
  const findings = await attempted(run, what, notChecked, () =>
    settledCatalogs(run, what, notChecked, () => differences(run)),
  );
  return { findings: findings ?? [], notChecked };
};

async function differences(run: CheckRun): Promise<Finding[]> {
  const input = [JSON.stringify(run.tables)];
  const on: Record<Primary, Constraint[]> = {
    source: await run.source.rows<Constraint>(CONSTRAINTS, input),
    target: await run.target.rows<Constraint>(CONSTRAINTS, input),
  };
  // A table that is missing is said once, and not with each of its constraints.
  const both = (await tablesOfBoth(run)).map(({ schema, name }) => JSON.stringify([schema, name]));
  return SIDES.flatMap((side) => {
    const others = new Set(on[side === 'source' ? 'target' : 'source'].map(identityOf));
    return on[side].flatMap((constraint) => {
      const alone =
        !others.has(identityOf(constraint)) && both.includes(JSON.stringify([constraint.schema, constraint.name]));
      return [
        ...(alone ? [said(constraint, side, `is on the ${side} only`)] : []),
        ...(constraint.validated
          ? []
          : [said(constraint, side, `is NOT VALID on the ${side}: rows from before may break it`)]),
        ...(constraint.disabled
          ? [said(constraint, side, `is not enforced on the ${side}: its triggers are disabled`)]
          : []),
      ];
    });
  });
}

export async function tablesOfBoth(run: CheckRun): Promise<TableName[]> {
  const there = await Promise.all(
    SIDES.map((side) =>
      sessionOf(run, side).rows<TableName & Record<string, unknown>>(
        `select t.schema, t.name from json_to_recordset($1::json) as t(schema text, name text)
         join pg_catalog.pg_namespace n on n.nspname = t.schema
         join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.name`,
        [JSON.stringify(run.tables)],
      ),
    ),
  );
  const [here = [], other = []] = there;
  return here.filter((table) => other.some(({ schema, name }) => schema === table.schema && name === table.name));
}

/** Names are made by each server: the same constraint may have another one there. */
const identityOf = ({ schema, name, definition }: Constraint): string => JSON.stringify([schema, name, definition]);

const said = ({ schema, name, constraint, definition }: Constraint, side: Primary, what: string): Finding =>
  drift({ schema, table: name, side, detail: `constraint ${constraint} ${what} (${definition})` });
