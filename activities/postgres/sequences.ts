/**
 * Sequences in a switch. Triggers don't cover them: without care both sides hand out the same id. Their values are read
 * under the fence and set, with a margin, on the side that will take the writes; the cede then caps them on the old side,
 * in its own transaction, and requires that none has passed what was set. So an attempt that dies before the cede leaves
 * no capped sequence behind a lease that runs out.
 *
 * A shared sequence, from which tables draw that stay, is set ahead too, and never capped: those tables need it. Both sides
 * then hand out its values, each to tables of its own.
 */
import { failure } from '../failure.js';
import { sqlState } from './errors.js';
import type { Session } from './session.js';
import { literal, qualified, statement, type TableName } from './statements.js';

const SEQUENCES = statement(import.meta.url, './sql/sequences.sql');

/** Values left out at each switch. Postgres logs 32 ahead (SEQ_LOG_VALS), so a crash skips as many anyway. */
const MARGIN = 32n;

const INVALID_PARAMETER = '22023';

interface SequenceRow extends TableName {
  oid: string;
  /** Null: never called. */
  lastValue: string | null;
  increment: string;
  minValue: string;
  maxValue: string;
  start: string;
  cycle: boolean;
  /** Values that each session takes at once. */
  cache: string;
  /** Tables out of scope draw from it too, as this side sees it. */
  shared: boolean;
}

/** What one sequence was on the old side under the fence, and what it was set to on the new one. */
export interface PromisedSequence extends SequenceRow {
  /** Null: not called yet on either side. */
  upTo: bigint | null;
}

async function readSequences(session: Session, key: string): Promise<SequenceRow[]> {
  return session.rows<SequenceRow & Record<string, unknown>>(SEQUENCES, [key]);
}

/**
 * Before anybody waits: every sequence that will be carried over is on the other side, too.
 * Fails with `SchemaMismatch`, naming one that isn't: it was made since the schema was copied.
 */
export async function requireSequences(from: Session, to: Session, key: string): Promise<void> {
  const sequences = await readSequences(from, key);
  const missing = await to.row<{ name: string }>(
    `select s.name from unnest($1::text[]) as s(name) where to_regclass(s.name) is null limit 1`,
    [sequences.map(qualified)],
  );
  if (missing === undefined) return;
  throw failure(
    'SchemaMismatch',
    `sequence ${missing.name} of the ${from.side} is missing on the ${to.side}: it was made since the schema was copied`,
    'Make it there as well; nothing was switched',
  );
}

/** Names of those that are shared on either side: the target may hold nothing but the scope. */
export async function sharedSequences(from: Session, to: Session, key: string): Promise<Set<string>> {
  const both = await Promise.all([readSequences(from, key), readSequences(to, key)]);
  return new Set(both.flat().flatMap((sequence) => (sequence.shared ? [qualified(sequence)] : [])));
}

/**
 * What the sequences of the fenced side are, and what the closed one's will be set to.
 * @param shared from `sharedSequences`
 */
export async function promiseSequences(from: Session, key: string, shared: Set<string>): Promise<PromisedSequence[]> {
  return (await readSequences(from, key)).map((sequence) => ({
    ...promise(sequence),
    shared: shared.has(qualified(sequence)),
  }));
}

const ownOf = (promised: PromisedSequence[]): PromisedSequence[] => promised.filter((one) => !one.shared);

/**
 * Sets the sequences of the closed side ahead of those of the fenced one. For a guarded transaction of the closed side.
 * @param limits those of the closed side, which it had before it ceded: `readLimits`
 */
export function aheadStatements(promised: PromisedSequence[], limits: SequenceLimit[]): string[] {
  if (promised.length === 0) return [];
  const called = promised.flatMap((one) => (one.upTo === null ? [] : [{ ...one, end: one.upTo }]));
  const own = called.filter((one) => !one.shared);
  const shared = called.filter((one) => one.shared);
  // setval() leaves values that other sessions have cached as they are; ALTER SEQUENCE voids them.
  const cached = own.filter((one) => BigInt(one.cache) > 1n);
  return [
    ...limits.map(restore),
    ...cached.map((one) => `alter sequence ${qualified(one)} restart with ${one.end}`),
    ...setValues(own),
    ...shared.flatMap(neverBack),
  ];
}

/** ALTER SEQUENCE keeps nextval() out until the transaction ends, so that no value is handed out between look and set. */
function neverBack(sequence: PromisedSequence & { end: bigint }): string[] {
  const behind = BigInt(sequence.increment) > 0n ? '<' : '>';
  const name = literal(qualified(sequence));
  return [
    `alter sequence ${qualified(sequence)} cache ${sequence.cache}`,
    `select setval(${name}::regclass, ${sequence.end}, true)
     where coalesce(pg_sequence_last_value(${name}::regclass) ${behind} ${sequence.end}, true)`,
  ];
}

function promise(sequence: SequenceRow): PromisedSequence {
  const increment = BigInt(sequence.increment);
  if (sequence.lastValue === null) return { ...sequence, upTo: null };
  const last = BigInt(sequence.lastValue);
  const ahead = last + MARGIN * increment;
  const fits = increment > 0n ? ahead <= BigInt(sequence.maxValue) : ahead >= BigInt(sequence.minValue);
  // Near its end a margin would use up ids that the application still has: the cede's own look has to do.
  return { ...sequence, upTo: fits ? ahead : last };
}

/**
 * For the cede's transaction: ends every sequence at what was promised, which stops values that sessions have cached, too:
 * ALTER SEQUENCE gives it a new file, and they notice. Its lock is held until the cede commits, so what is read after this
 * is final. One that has passed its end already fails with SQLSTATE 22023: see `passedItsEnd`.
 */
export function capStatements(key: string, promised: PromisedSequence[]): string[] {
  const own = ownOf(promised);
  return own.length === 0 ? [] : [rememberLimits(key, own), ...endsOf(own).map(cap)];
}

/** Last values by OID as a JSON object, null for one never called; without the catalogs that say which are in scope. */
export function lastValuesExpression(promised: PromisedSequence[]): string {
  const oids = ownOf(promised)
    .map(({ oid }) => oid)
    .join(',');
  return `(select coalesce(json_object_agg(s.oid, pg_sequence_last_value(s.oid)::text), '{}')
           from unnest('{${oids}}'::oid[]) as s(oid))`;
}

/**
 * The end of it, after the look at the last values: no session gets another value. Throws `Blocked` (so that the cede rolls
 * back) if one went past what was promised, or one that had not been called was.
 */
export function endStatements(
  from: Session,
  promised: PromisedSequence[],
  lastValues: Record<string, string | null>,
): string[] {
  const own = ownOf(promised);
  for (const one of own) {
    if (wentPast(lastValues[one.oid] ?? null, one)) throw movedOn(from, `sequence ${one.schema}.${one.name}`);
  }
  // In the new files, so this is undone with the cede. A first nextval() answers the start value whatever the bounds are.
  return setValues(endsOf(own));
}

/** "RESTART value … cannot be greater than MAXVALUE", as `Blocked`; any other error as it is. */
export function passedItsEnd(from: Session, error: unknown): unknown {
  return sqlState(error) === INVALID_PARAMETER ? movedOn(from, 'a sequence') : error;
}

const endsOf = (promised: PromisedSequence[]): End[] =>
  promised.map((one) => ({ ...one, end: endAt(one, one.upTo ?? BigInt(one.start)) }));

function movedOn(session: Session, what: string): Error {
  return failure('Blocked', `${what} of the ${session.side} moved on while its value was carried over`);
}

interface End extends SequenceRow {
  end: bigint;
}

/** `value`, or the one next to it: bounds must differ, and at the edge of its type nothing lies beyond. */
function endAt(sequence: SequenceRow, value: bigint): bigint {
  if (BigInt(sequence.increment) > 0n) return value > BigInt(sequence.minValue) ? value : value + 1n;
  return value < BigInt(sequence.maxValue) ? value : value - 1n;
}

function cap(sequence: End): string {
  const bound = BigInt(sequence.increment) > 0n ? 'maxvalue' : 'minvalue';
  return `alter sequence ${qualified(sequence)} ${bound} ${sequence.end} start with ${sequence.end} no cycle`;
}

function setValues(sequences: (TableName & { end: bigint })[]): string[] {
  if (sequences.length === 0) return [];
  const rows = sequences.map((one) => `(${literal(qualified(one))}, ${one.end})`);
  return [`select setval(t.name::regclass, t.last, true) from (values ${rows.join(', ')}) as t(name, last)`];
}

function wentPast(lastValue: string | null, promised: PromisedSequence): boolean {
  if (lastValue === null) return false;
  if (promised.upTo === null) return true;
  const now = BigInt(lastValue);
  return BigInt(promised.increment) > 0n ? now > promised.upTo : now < promised.upTo;
}

function rememberLimits(key: string, sequences: SequenceRow[]): string {
  const rows = sequences.map((one) => {
    const names = `${literal(key)}, ${literal(one.schema)}, ${literal(one.name)}`;
    return `(${names}, ${one.minValue}, ${one.maxValue}, ${one.start}, ${one.cycle})`;
  });
  return `insert into godwit.sequence_limit (scope, schema_name, sequence_name, min_value, max_value, start_value, cycle)
    values ${rows.join(', ')} on conflict do nothing`;
}

export type SequenceLimit = Omit<SequenceRow, 'oid' | 'lastValue' | 'increment' | 'cache' | 'shared'>;

/** What the sequences that an earlier cede of this side has capped were before. */
export async function readLimits(session: Session, key: string): Promise<SequenceLimit[]> {
  return session.rows<SequenceLimit & Record<string, unknown>>(
    `select schema_name as schema, sequence_name as name, min_value::text as "minValue", max_value::text as "maxValue",
            start_value::text as start, cycle
     from godwit.sequence_limit where scope = $1`,
    [key],
  );
}

/** Undoes the caps of an earlier cede on this side, and remembers them until `forgetLimits`; fine when there are none. */
export async function restoreLimits(session: Session, key: string): Promise<void> {
  await session.batch((await readLimits(session, key)).map(restore));
}

function restore(limit: SequenceLimit): string {
  const bounds = `minvalue ${limit.minValue} maxvalue ${limit.maxValue} start with ${limit.start}`;
  return `alter sequence if exists ${qualified(limit)} ${bounds} ${limit.cycle ? 'cycle' : 'no cycle'}`;
}

/** For a promise that is taken back: this side has ceded before, and goes on as it was. Fine when it never has. */
export async function capAgain(session: Session, key: string): Promise<void> {
  const capped = await session.rows<TableName & Record<string, unknown>>(
    'select schema_name as schema, sequence_name as name from godwit.sequence_limit where scope = $1',
    [key],
  );
  if (capped.length === 0) return;
  // Locks them, so that none moves between the look at it and its cap.
  await session.batch(capped.map((one) => `alter sequence if exists ${qualified(one)} no cycle`));
  const names = new Set(capped.map(qualified));
  const ends = (await readSequences(session, key))
    .filter((sequence) => names.has(qualified(sequence)))
    .map((sequence) => ({ ...sequence, end: endAt(sequence, BigInt(sequence.lastValue ?? sequence.start)) }));
  await session.batch([...ends.map(cap), ...setValues(ends)]);
}

/** What a side does that opens: its limits are its own again. */
export const forgetLimits = (key: string): string => `delete from godwit.sequence_limit where scope = ${literal(key)}`;
