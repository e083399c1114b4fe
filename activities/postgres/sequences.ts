/**
 * Sequences in a switch. Triggers don't cover them: without care both sides hand out the same id. Their values are read
 * under the fence and set, with a margin, on the side that will take the writes; the cede then caps them on the old side,
 * in its own transaction, and requires that none has passed what was set. So an attempt that dies before the cede leaves
 * no capped sequence behind a lease that runs out.
 */
import { failure } from '../failure.js';
import type { Session } from './session.js';
import { qualified, statement, type TableName } from './statements.js';

const SEQUENCES = statement(import.meta.url, './sql/sequences.sql');

/** Values left out at each switch. Postgres logs 32 ahead (SEQ_LOG_VALS), so a crash skips as many anyway. */
const MARGIN = 32n;

interface SequenceRow extends TableName {
  /** Null: never called. */
  lastValue: string | null;
  increment: string;
  minValue: string;
  maxValue: string;
  start: string;
  cycle: boolean;
  /** Values that each session takes at once. */
  cache: string;
}

/** What one sequence was set to on the new side. */
export interface PromisedSequence extends TableName {
  /** Null: not called yet on either side. */
  upTo: bigint | null;
  increment: bigint;
  /** Whether sessions of the new side may hold values of their own. */
  cached: boolean;
}

async function readSequences(session: Session, key: string): Promise<SequenceRow[]> {
  return session.rows<SequenceRow & Record<string, unknown>>(SEQUENCES, [key]);
}

/** Sets the sequences of the closed side ahead of those of the fenced one. Run it in a guarded transaction of the closed side. */
export async function setSequencesAhead(from: Session, to: Session, key: string): Promise<PromisedSequence[]> {
  const sequences = await readSequences(from, key);
  const promised = sequences.map((sequence) => promise(sequence));
  if (promised.length === 0) return [];
  await restoreLimits(to, key);
  const called = promised.filter((one) => one.upTo !== null);
  // setval() leaves values that other sessions have cached as they are; ALTER SEQUENCE voids them.
  const restarted = called.filter((one) => one.cached);
  await inOneGo(
    to,
    restarted.map((one) => `alter sequence ${qualified(one)} restart with ${one.upTo}`),
  );
  await to.rows(
    `select setval(format('%I.%I', t.schema, t.name)::regclass, t."upTo", true)
     from json_to_recordset($1::json) as t(schema text, name text, "upTo" bigint)`,
    [JSON.stringify(called.map(({ schema, name, upTo }) => ({ schema, name, upTo: String(upTo) })))],
  );
  return promised;
}

/** Many statements in one round trip: a switch waits for each. */
async function inOneGo(session: Session, statements: string[]): Promise<void> {
  if (statements.length > 0) await session.run(statements.join(';\n'));
}

function promise(sequence: SequenceRow): PromisedSequence {
  const increment = BigInt(sequence.increment);
  const same = { schema: sequence.schema, name: sequence.name, increment, cached: BigInt(sequence.cache) > 1n };
  if (sequence.lastValue === null) return { ...same, upTo: null };
  const last = BigInt(sequence.lastValue);
  const ahead = last + MARGIN * increment;
  const fits = increment > 0n ? ahead <= BigInt(sequence.maxValue) : ahead >= BigInt(sequence.minValue);
  // Near its end a margin would use up ids that the application still has: the cede's own look has to do.
  return { ...same, upTo: fits ? ahead : last };
}

/**
 * Within the cede's transaction: caps every sequence at its last value, which stops values that sessions have cached, too.
 * Fails with `Blocked` (so that the cede rolls back) if one went past what was promised, or one that had not been called
 * was.
 */
export async function capSequences(from: Session, key: string, promised: PromisedSequence[]): Promise<void> {
  const before = await readSequences(from, key);
  await rememberLimits(from, key, before);
  await inOneGo(
    from,
    before.map((sequence) => `alter sequence ${qualified(sequence)} ${cap(sequence)}`),
  );
  // ALTER SEQUENCE holds its lock until the cede commits, so what is read now is final.
  const final = await readSequences(from, key);
  for (const sequence of final) {
    const mine = promised.find((one) => one.schema === sequence.schema && one.name === sequence.name);
    if (mine === undefined || wentPast(sequence, mine)) {
      throw failure(
        'Blocked',
        `sequence ${sequence.schema}.${sequence.name} of the ${from.side} moved on while its value was carried over`,
      );
    }
  }
  // A first nextval() answers the start value without looking at the bounds; a gap of one id if the cede rolls back.
  for (const sequence of final.filter((one) => one.lastValue === null)) {
    await from.rows('select setval($1::regclass, $2::bigint, true)', [qualified(sequence), sequence.start]);
  }
}

/** Both bounds at the last value, as near as Postgres takes them: they must differ, and START must lie between them. */
function cap(sequence: SequenceRow): string {
  const value = BigInt(sequence.lastValue ?? sequence.start);
  const ascending = BigInt(sequence.increment) > 0n;
  const lower = ascending ? min(BigInt(sequence.minValue), value - 1n) : value;
  const upper = ascending ? value : max(BigInt(sequence.maxValue), value + 1n);
  return `minvalue ${lower} maxvalue ${upper} start with ${value} no cycle`;
}

function wentPast(sequence: SequenceRow, promised: PromisedSequence): boolean {
  if (sequence.lastValue === null) return false;
  if (promised.upTo === null) return true;
  const now = BigInt(sequence.lastValue);
  return promised.increment > 0n ? now > promised.upTo : now < promised.upTo;
}

async function rememberLimits(session: Session, key: string, sequences: SequenceRow[]): Promise<void> {
  await session.run(
    `insert into godwit.sequence_limit (scope, schema_name, sequence_name, min_value, max_value, start_value, cycle)
     select $1, t.schema, t.name, t."minValue", t."maxValue", t.start, t.cycle
     from json_to_recordset($2::json)
       as t(schema text, name text, "minValue" bigint, "maxValue" bigint, start bigint, cycle boolean)
     on conflict do nothing`,
    [key, JSON.stringify(sequences)],
  );
}

/** Undoes the caps of an earlier cede on this side, and remembers them until `forgetLimits`; fine when there are none. */
export async function restoreLimits(session: Session, key: string): Promise<void> {
  const limits = await session.rows<Omit<SequenceRow, 'lastValue' | 'increment' | 'cache'>>(
    `select schema_name as schema, sequence_name as name, min_value::text as "minValue", max_value::text as "maxValue",
            start_value::text as start, cycle
     from godwit.sequence_limit where scope = $1`,
    [key],
  );
  await inOneGo(
    session,
    limits.map((limit) => {
      const bounds = `minvalue ${limit.minValue} maxvalue ${limit.maxValue} start with ${limit.start}`;
      return `alter sequence if exists ${qualified(limit)} ${bounds} ${limit.cycle ? 'cycle' : 'no cycle'}`;
    }),
  );
}

/** For a promise that is taken back: this side has ceded before, and goes on as it was. Fine when it never has. */
export async function capAgain(session: Session, key: string): Promise<void> {
  const capped = await session.rows<TableName & Record<string, unknown>>(
    'select schema_name as schema, sequence_name as name from godwit.sequence_limit where scope = $1',
    [key],
  );
  if (capped.length === 0) return;
  const sequences = (await readSequences(session, key)).filter((sequence) =>
    capped.some((one) => one.schema === sequence.schema && one.name === sequence.name),
  );
  await inOneGo(
    session,
    sequences.map((sequence) => `alter sequence ${qualified(sequence)} ${cap(sequence)}`),
  );
}

/** What a side does that opens: its limits are its own again. */
export async function forgetLimits(session: Session, key: string): Promise<void> {
  await session.run('delete from godwit.sequence_limit where scope = $1', [key]);
}

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);
