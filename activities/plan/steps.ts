/** Every step of one database, in the order in which the workflows take them, with what it touches and its undo. */
import { rulesOf, type NormalDatabase } from '../../spec/normal.js';
import type { PlanStep } from '../../spec/plan.js';
import type { Primary } from '../../spec/status.js';
import type { DatabaseMove, PlanPart } from '../contract.js';
import { scopeNames, SCHEMA } from '../postgres/names.js';
import { filtered } from '../postgres/row-filter.js';
import { unloggedTables } from '../postgres/scope.js';
import { heldBy, hintedBy, movedBy, restoredBy, unhintedBy } from './endpoints.js';
import { copyEstimate, none, upTo, validationEstimate } from './estimates.js';
import type { Reading } from './facts.js';

type Step = PlanPart['steps'][number];

const SIDES: Primary[] = ['source', 'target'];

/** Steps that change nothing have nothing to undo; null would mean that there is no way back. */
const NOTHING_TO_UNDO = 'nothing to undo: it changes nothing that stays';

/** @param places where each endpoint will lead, by its name */
export function stepsOf(move: DatabaseMove, reading: Reading, places: Map<string, string>): Step[] {
  const unit = move.database.unit;
  const step = (stage: PlanStep['stage'], rest: Omit<Step, 'unit' | 'stage'>): Step => ({ unit, stage, ...rest });
  return [
    step('prepare', claim(move)),
    step('prepare', schema(move.database, reading)),
    step('prepare', fence(move, reading)),
    step('prepare', publication(move, reading)),
    step('prepare', copy(move, reading)),
    step('prepare', catchUp(move)),
    step('prepare', validation(move, reading)),
    step('switch', switchWrites(move, reading, places)),
    step('watch', watch(move)),
    step('finalize', finalize(move)),
  ];
}

type Described = Omit<Step, 'unit' | 'stage'>;

const unloggedText = (count: number): string => (count === 1 ? '1 unlogged table' : `${count} unlogged tables`);
const tablesText = (count: number): string => (count === 1 ? '1 table' : `${count} tables`);

function claim({ key }: DatabaseMove): Described {
  return {
    title: 'Take the tables, so that no other migration may',
    touches: SIDES.map((side) => `${side}: schema ${SCHEMA}, with the rows of scope ${key}`),
    undo: 'give the tables up and remove the authority rows of both sides',
    estimate: upTo(1, 'two short transactions'),
  };
}

function schema(database: NormalDatabase, { facts }: Reading): Described {
  const tables = tablesText(facts.tables);
  const hints = database.endpoints.flatMap(hintedBy);
  const undo = ['drop what the migration made in the schema of the target', ...database.endpoints.flatMap(unhintedBy)];
  if (database.schema === 'existing') {
    return {
      title: 'Compare the schema of the target with that of the source',
      touches: [...hints, `target: tables of schema ${SCHEMA} for the progress of the copy`],
      undo: undo.join('; '),
      estimate: upTo(1, 'it only reads the catalogs'),
    };
  }
  return {
    title: 'Copy the schema to the target, without keys and indexes',
    touches: [...hints, `target: ${tables}, with their types, functions, views and sequences`],
    undo: undo.join('; '),
    estimate: none('pg_dump takes a second, or minutes for thousands of tables'),
  };
}

function fence({ key }: DatabaseMove, { facts, tables: inScope, eventTriggers }: Reading): Described {
  const names = scopeNames(key);
  const tables = tablesText(facts.tables);
  const partly = filtered(inScope).length;
  return {
    title: 'Raise the fences: the source open, the target closed',
    touches: SIDES.flatMap((side) => [
      `${side}: function ${SCHEMA}.${names.fence}, ${side === 'source' ? 'which lets every write pass' : 'which refuses every write but those of the copy and of replication'}`,
      `${side}: triggers ${names.trigger} and ${names.truncateTrigger} on ${tables}`,
      ...(eventTriggers[side] ? [`${side}: event triggers ${names.ddlFence}_end and ${names.ddlFence}_drop`] : []),
      ...(partly > 0 && side === 'target'
        ? [
            `${side}: trigger ${names.truncateGuard} on ${tablesText(partly)}, which refuses TRUNCATE where rows stay behind`,
          ]
        : []),
      `${side}: table ${SCHEMA}.${names.marker}, sequence ${SCHEMA}.${names.breach}`,
    ]),
    undo: 'remove the fences and marker tables of both sides',
    estimate: none('each table is locked for a moment, which may wait for its writers'),
  };
}

function publication({ key }: DatabaseMove, { tables }: Reading): Described {
  const partly = filtered(tables).length;
  const { publication: name } = scopeNames(key);
  return {
    title: 'Publish the tables on both sides, for the way there and the way back',
    touches: SIDES.map(
      (side) =>
        `${side}: publication ${name}${partly > 0 && side === 'source' ? `, with row filters for ${tablesText(partly)}` : ''}`,
    ),
    undo: 'drop the publications',
    estimate: upTo(1, 'two short transactions'),
  };
}

function copy({ key, database }: DatabaseMove, { facts, size }: Reading): Described {
  const slot = scopeNames(key).slot('source');
  return {
    title: 'Copy the rows, build keys and indexes, and let changes flow',
    touches: [
      `source: replication slot ${slot}, which holds back WAL`,
      `target: the rows of ${tablesText(facts.tables)}`,
      'target: their keys, indexes and foreign keys',
      `target: subscription ${slot}`,
    ],
    undo: 'drop subscriptions and slots, and the rows that were copied',
    estimate: copyEstimate(size, database.copy),
  };
}

function catchUp({ key, database }: DatabaseMove): Described {
  return {
    title: `Catch up, until a marker arrives within ${database.cutover.maxLag} ms`,
    touches: [`source: rows of ${SCHEMA}.${scopeNames(key).marker}`],
    undo: NOTHING_TO_UNDO,
    estimate: none('it depends on the writes during the copy'),
  };
}

function validation({ key, database }: DatabaseMove, { size }: Reading): Described {
  const { lockTimeout, exclude } = database.validation;
  const asked = rulesOf(database).asked.map(({ name }) => name);
  return {
    title: 'Compare both sides under live writes',
    touches: [
      `source: rows of ${SCHEMA}.${scopeNames(key).marker}`,
      `source: locks on rows in doubt, waited for at most ${lockTimeout} ms each`,
      ...(exclude.length > 0 ? [`not compared: ${exclude.join(', ')}`] : []),
      ...(asked.length > 0 ? [`rules of your own, asked in transactions that read only: ${asked.join(', ')}`] : []),
    ],
    undo: NOTHING_TO_UNDO,
    estimate: validationEstimate(size),
  };
}

function switchWrites({ key, database }: DatabaseMove, { tables }: Reading, places: Map<string, string>): Described {
  const names = scopeNames(key);
  const unlogged = unloggedTables(tables);
  const filled = unlogged.filter((table) => table.unlogged === 'copy').length;
  return {
    title: 'Move the writes to the target, in one atomic step',
    touches: [
      `target: replication slot ${names.slot('target')}, for the way back`,
      ...database.endpoints.flatMap(heldBy),
      `source: fence ${SCHEMA}.${names.fence} closed, sequences capped`,
      `target: fence ${SCHEMA}.${names.fence} open, sequences set ahead of the source's`,
      ...(unlogged.length > 0
        ? [`target: ${unloggedText(unlogged.length)} emptied, and ${filled} of them filled with the source's rows`]
        : []),
      `target: subscription ${names.slot('source')} dropped; source: its slot, too`,
      ...database.endpoints.map((endpoint) => movedBy(endpoint, places.get(endpoint.name) ?? 'the target')),
      `source: subscription ${names.slot('target')}, so that every write flows back`,
    ],
    undo: ['move the writes back to the source', ...database.endpoints.flatMap(restoredBy)].join('; '),
    estimate: upTo(
      database.cutover.maxPause / 1000,
      'at most cutover.maxPause, past which an attempt undoes itself; 25 to 30 ms were measured at 2,500 transactions a second',
    ),
  };
}

function watch({ key, database }: DatabaseMove): Described {
  return {
    title: 'Watch, with the way back open',
    touches: [
      `target: rows of ${SCHEMA}.${scopeNames(key).marker}`,
      `source: the rows that applications write on the target`,
    ],
    undo: 'move the writes back to the source',
    estimate: { seconds: database.watch.for / 1000, basis: 'watch.for' },
  };
}

function finalize({ key }: DatabaseMove): Described {
  const names = scopeNames(key);
  return {
    title: 'End the way back, and remove what the migration made',
    touches: [
      `source: subscription ${names.slot('target')} dropped; target: its slot, too`,
      ...SIDES.map((side) => `${side}: publication ${names.publication} dropped`),
      `target: fence, triggers and the rows of scope ${key} removed`,
      'source: stays fenced, so that nobody writes into the past',
    ],
    undo: null,
    estimate: upTo(5, 'a few short transactions'),
  };
}
