/** Schema drift: tables, columns and their types, defaults, identity and generation, keys and partitions that differ. */
import type { Primary } from '../../../spec/status.js';
import { compareFacts, compareShapes, type FactDifference } from '../../postgres/schema/compare.js';
import { chosenOf, rootOf, userTables, type UserTable } from '../../postgres/scope.js';
import { nameOf, statement, type TableName } from '../../postgres/statements.js';
import type { Check, CheckRun, Finding, NotChecked } from '../findings.js';
import { columnsOf } from '../tables.js';
import { attempted, drift, usually } from './reading.js';
import { settledCatalogs } from './settled.js';

const COLUMN_DETAILS = statement(import.meta.url, './sql/column_details.sql');

export const structure: Check = async (run) => {
  const notChecked: NotChecked[] = [];
  const what = 'the structure of the tables';
  const findings = await attempted(run, what, notChecked, () =>
    settledCatalogs(run, what, notChecked, () => differences(run)),
  );
  return { findings: findings ?? [], notChecked };
};

async function differences(run: CheckRun): Promise<Finding[]> {
  run.signal.throwIfAborted();
  const { source, target, normal } = run;
  const [here, there] = await Promise.all([userTables(source), userTables(target)]);
  const alone = [
    ...missingFrom(there, chosenOf(here, normal.tables)).map((table) => aloneOn(run, 'source', table)),
    ...missingFrom(here, chosenOf(there, normal.tables)).map((table) => aloneOn(run, 'target', table)),
  ];
  const onBoth = run.tables.filter((table) => hasTable(here, table) && hasTable(there, table));
  const facts = [
    ...(await compareShapes(source, target, onBoth)),
    ...(await compareFacts(source, target, COLUMN_DETAILS, onBoth)),
  ];
  return [...alone, ...facts.filter((fact) => !isExcluded(run, fact)).map(findingOf)];
}

const hasTable = (tables: TableName[], table: TableName): boolean =>
  tables.some((one) => nameOf(one) === nameOf(table));

/** Partitions of a table that isn't partitioned there are missing by nature; that it isn't is said of the table. */
function missingFrom(there: UserTable[], chosen: UserTable[]): UserTable[] {
  const known = new Map(there.map((table) => [nameOf(table), table]));
  return chosen.filter((table) => {
    if (known.has(nameOf(table))) return false;
    const root = rootOf(table);
    return nameOf(root) === nameOf(table) || known.get(nameOf(root))?.kind !== 'r';
  });
}

const aloneOn = (run: CheckRun, side: Primary, { schema, name }: UserTable): Finding =>
  drift({ schema, table: name, side, detail: `the table is on the ${side} only`, ...usually(run, 'drift', 'high') });

/** The column that a fact is about. */
const columnOf = ({ fact }: FactDifference): string | null => /(?:^| )column (.*)$/s.exec(fact)?.[1] ?? null;

function isExcluded(run: CheckRun, difference: FactDifference): boolean {
  const column = columnOf(difference);
  return column !== null && columnsOf(run.normal.columns, difference, 'exclude').includes(column);
}

function findingOf(difference: FactDifference): Finding {
  const { schema, name, fact, source, target } = difference;
  const column = columnOf(difference);
  const only = source === null ? 'target' : target === null ? 'source' : null;
  return drift({
    schema,
    table: name,
    columns: column === null ? null : [column],
    side: only,
    detail:
      only === null
        ? `${fact || 'it'} is ${source ?? ''} on the source, and ${target ?? ''} on the target`
        : `${fact} is on the ${only} only: ${source ?? target ?? ''}`,
  });
}
