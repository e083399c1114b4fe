/**
 * Sequences that would hand out a value which a unique index has already. On the primary that fails INSERTs now. On a standby
 * it is as expected, since logical replication carries no sequences: a switch has to set them first.
 */
import { otherSide } from '../../postgres/sides.js';
import type { Primary } from '../../../spec/status.js';
import { matches } from '../../postgres/scope.js';
import type { Session } from '../../postgres/session.js';
import { identifier, literal, nameOf, statement, type TableName } from '../../postgres/statements.js';
import type { Check, CheckRun, Finding, NotChecked } from '../findings.js';
import { attempted, drift, isInRecovery, reading, sessionOf, SIDES, usually } from './reading.js';

const DRAWN = statement(import.meta.url, './sql/drawn_sequences.sql');

/** Without an index that begins with the column its greatest value costs a pass: larger tables aren't read for it. */
const READ_WHOLE = 100_000;

interface Drawn extends TableName, Record<string, unknown> {
  column: string;
  sequence: string;
  /** Quoted, and for FROM. */
  quoted: string;
  rows: string;
  ascending: boolean;
  estimatedRows: number;
  readable: boolean;
  indexed: boolean;
}

export const sequences: Check = async (run) => {
  const findings: Finding[] = [];
  const notChecked: NotChecked[] = [];
  for (const side of SIDES) {
    const what = `sequences of the ${side}`;
    findings.push(...((await attempted(run, what, notChecked, () => behindOn(run, side, notChecked))) ?? []));
  }
  return { findings, notChecked };
};

async function behindOn(run: CheckRun, side: Primary, notChecked: NotChecked[]): Promise<Finding[]> {
  const session = sessionOf(run, side);
  const standby = side === otherSide(run.primary);
  // Streaming replication carries them.
  if (standby && (await isInRecovery(session))) return [];
  const moving = standby ? await inScope(session) : new Set<string>();
  const findings: Finding[] = [];
  for (const drawn of await session.rows<Drawn>(DRAWN, [JSON.stringify(run.tables)])) {
    if (moving.has(nameOf(drawn)) || isExcluded(run, drawn)) continue;
    const what = `sequence ${drawn.sequence} of the ${side}`;
    const why = cantBeRead(drawn);
    if (why !== null) {
      notChecked.push({ what, why });
      continue;
    }
    // Twice: setval() may be on its way.
    let distance: string | null = null;
    for (let look = 0; look < 2; look += 1) {
      distance = await attempted(run, what, notChecked, () => distanceOf(run, session, drawn));
      if (distance === null) break;
    }
    if (distance !== null) findings.push(findingOf(run, side, drawn, distance));
  }
  return findings;
}

/** A migration of Godwit's own sets the sequences of its tables at the switch, and caps those of the side that ceded. */
async function inScope(session: Session): Promise<Set<string>> {
  const known = await session.row<{ known: boolean }>(`select to_regclass('godwit.scope_table') is not null as known`);
  if (!known?.known) return new Set();
  const rows = await session.rows<TableName & Record<string, unknown>>(
    'select schema_name as schema, table_name as name from godwit.scope_table',
  );
  return new Set(rows.map(nameOf));
}

const isExcluded = (run: CheckRun, drawn: Drawn): boolean =>
  run.normal.columns.some((rule) => matches(rule.tables, drawn) && rule.exclude.includes(drawn.column));

function cantBeRead({ readable, indexed, estimatedRows, name, column }: Drawn): string | null {
  if (!readable) return `the role may not read it or its column ${name}.${column}; GRANT SELECT on both`;
  if (indexed || (estimatedRows >= 0 && estimatedRows <= READ_WHOLE)) return null;
  return `no index begins with ${name}.${column}, so its greatest value can't be had without reading the whole table`;
}

/** Values up to and with the one furthest ahead in the column; null: the sequence is ahead. The column is read before it. */
async function distanceOf(run: CheckRun, session: Session, drawn: Drawn): Promise<string | null> {
  const { quoted, rows, sequence, ascending } = drawn;
  const [end, step] = ascending ? ['max', 1] : ['min', -1];
  const found = await reading(run, session, () =>
    session.row<{ distance: string }>(
      `select ((top - next) * ${step} + 1)::text as distance
       from (select ${end}(${quoted})::numeric as top from ${rows}) t
       cross join lateral (
         select case when s.is_called then s.last_value::numeric + q.seqincrement else s.last_value end as next
         from ${sequence} s join pg_catalog.pg_sequence q on q.seqrelid = ${literal(sequence)}::regclass
       ) n
       where (top - next) * ${step} >= 0`,
    ),
  );
  return found?.distance ?? null;
}

function findingOf(run: CheckRun, side: Primary, drawn: Drawn, distance: string): Finding {
  const { schema, name: table, column, sequence } = drawn;
  const values = `its next value is ${distance} short of the first that is free in ${identifier(column)}`;
  const primary = side === run.primary;
  return drift({
    schema,
    table,
    columns: [column],
    side,
    detail: primary
      ? `sequence ${sequence} is behind on the primary: ${values}, so INSERTs fail on duplicates`
      : `sequence ${sequence} is behind on the standby, which logical replication doesn't carry: ${values}; set it before this side takes writes`,
    ...usually(run, 'drift', primary ? 'high' : 'low'),
  });
}
