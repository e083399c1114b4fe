/**
 * The switch: moves the writes of one scope from one side to the other, either way. Steps stand in the order of the
 * protocol; each says what a crash right after it leaves behind. Whoever comes next decides by what the two databases say
 * (`settle`), never by memory.
 *
 *     prepare → pause → fence, marker → re-check → unlogged → ready → CEDE → stop → advance, open → flip, resume → reverse
 *
 * Before the cede everything is undone; after it, everything goes forward only.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import type { Milliseconds } from '../../spec/normal.js';
import type { Primary, SwitchFigures } from '../../spec/status.js';
import { counting, heartbeat } from '../activity-context.js';
import type { DatabaseMove, SwitchInput, SwitchOutcome } from '../contract.js';
import { Endpoints, type Images } from '../endpoints.js';
import { faultPoint } from '../fault.js';
import { failure } from '../failure.js';
import { Attempt, otherSide, readAuthority, type AuthorityRow } from './authority.js';
import { blockersOf, endAutovacuum, outwaitAutovacuum } from './blockers.js';
import { sqlState } from './errors.js';
import {
  fenceStatements,
  leaseHoldsExpression,
  lockStatements,
  lookStatements,
  prepareLook,
  resetBreach,
  type FenceState,
  type FenceView,
} from './fence.js';
import { awaitMarker, insertMarker, newMarker } from './marker.js';
import { scopeNames } from './names.js';
import { explainLink, LINK_PATIENCE_MS } from './replication/link.js';
import { dropSlot, ensureSlot } from './replication/slot.js';
import {
  dropStatements,
  dropSubscription,
  enableSubscription,
  ensureSubscription,
  stopSubscription,
} from './replication/subscription.js';
import { scopeTables, unloggedTables, type ScopeTable } from './scope.js';
import {
  aheadStatements,
  capAgain,
  capStatements,
  endStatements,
  forgetLimits,
  lastValuesExpression,
  passedItsEnd,
  promiseSequences,
  readLimits,
  requireSequences,
  sharedSequences,
  type PromisedSequence,
  type SequenceLimit,
} from './sequences.js';
import type { Session } from './session.js';
import { bothSides } from './sides.js';
import { requireStandbys, requireStandbysSeen, standbysHaveFlushed } from './standbys.js';
import { identifier, literal } from './statements.js';
import { Carriage } from './unlogged.js';
import { hasSuspects, recheckSuspects } from './validation/recheck.js';

/** A heartbeat time-out of 2 s makes a dead worker cost seconds; this leaves room for one that is merely slow. */
const HEARTBEAT_EVERY_MS = 500;

/**
 * One try to lock the tables. Far below `deadlock_timeout` (1 s): a client that holds one table and waits for another that
 * we have is let go by our giving way, and never killed. Everybody who queues behind a try waits no longer than this.
 */
const LOCK_TRY_MS = 50;
/** Tries in which writers may end their transactions in peace, before new ones are refused. */
const GENTLE_TRIES = 2;

/** The lease outlives the budget a little, so that an attempt on its last millisecond can still undo itself in peace. */
const LEASE_SLACK_MS = 1_000;

/** Making a slot and a subscription holds others up; what has queued behind it would otherwise lengthen the pause. */
const BREATH_MS = 500;

/** Part of the budget that the pooler's PAUSE may take: what it waits for, all other clients wait for, too. */
const PAUSE_SHARE = 0.5;

/**
 * One attempt. Answers `switched` at once if the writes are there already, so that a lost answer costs nothing.
 *
 * @throws `Blocked` and the like never: what may do later is `not-now`. `AuthorityLost`, `SystemChanged`,
 * `PermissionDenied`: nothing was switched. `StandbyBehind`: past the point of no return, call again. `DatabaseUnreachable`, `EndpointFailed`: call again; the next attempt finds out.
 */
export async function switchWrites(input: SwitchInput): Promise<SwitchOutcome> {
  return alive(async () => {
    await using attempt = await Attempt.takeCharge(input.move);
    const from: Primary = input.direction === 'forward' ? 'source' : 'target';
    const primary = await settleWith(attempt, input.move);
    if (primary !== from) return { kind: 'switched', figures: await lastFigures(attempt, primary, input) };
    await using endpoints = await Endpoints.open({ move: input.move, attempt });
    return await new Switch(input, attempt, endpoints).run();
  });
}

/**
 * Brings a scope that an attempt left half-way to one side or the other: before the point of no return undone, after it
 * completed. Fine at any time, and when nothing is there.
 */
export async function settle(move: DatabaseMove): Promise<{ primary: Primary }> {
  return alive(async () => {
    if (!(await claimed(move))) return { primary: 'source' };
    await using attempt = await Attempt.takeCharge(move);
    return { primary: await settleWith(attempt, move) };
  });
}

/**
 * Moves the writes back to the source, if they aren't there. Tries until it succeeds; what stands in the way is in the
 * heartbeat. Fine when nothing of the scope is there.
 */
export async function undoSwitch(move: DatabaseMove): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const reason = await triedBack(move, attempt);
    if (reason === null) return;
    heartbeat(
      counting({
        unit: move.database.unit,
        phase: 'rollback',
        what: 'tables',
        done: 0,
        total: 1,
        detail: reason,
      }),
    );
    await alive(() => sleep(Math.min(move.database.cutover.waitBetweenAttempts, 5_000)));
  }
}

/** Null: the writes are on the source; else why not yet. */
async function triedBack(move: DatabaseMove, attempt: number): Promise<string | null> {
  try {
    if ((await settle(move)).primary === 'source') return null;
    const outcome = await switchWrites({ move, direction: 'back', mode: 'switch', attempt });
    if (outcome.kind === 'switched') return null;
    return outcome.kind === 'not-now' ? outcome.reason : '';
  } catch (error) {
    // A standby that hears of it later; whoever undoes waits as the switch itself does.
    if (typeOf(error) === 'StandbyBehind' && error instanceof Error) return error.message;
    throw error;
  }
}

/** Whether the scope is in either database. Its rows are made on the source first and removed there last. */
async function claimed(move: DatabaseMove): Promise<boolean> {
  await using sides = await bothSides(move, 'settle');
  const [source, target] = await Promise.all([
    readAuthority(sides.source, move.key),
    readAuthority(sides.target, move.key),
  ]);
  return source !== null && target !== null;
}

/** Which side takes the writes after everything half-way has been undone or completed. */
export async function settleWith(attempt: Attempt, move: DatabaseMove): Promise<Primary> {
  const [source, target] = await Promise.all([attempt.read('source'), attempt.read('target')]);
  const readAt = performance.now();
  for (const [from, to] of [
    [source, target],
    [target, source],
  ] as const) {
    if (from.state === 'closed' && to.state === 'ready') {
      await complete(attempt, move, from.side, from.epoch);
      await conform(attempt, move, to.side, interrupted(from, readAt));
      return to.side;
    }
    if ((from.state === 'open' || from.state === 'leased') && (to.state === 'closed' || to.state === 'ready')) {
      await takeBack(attempt, from.side);
      await conform(attempt, move, from.side, from.state === 'open' ? interrupted(to, readAt) : null);
      return from.side;
    }
  }
  throw failure(
    'AuthorityLost',
    `the two databases contradict each other: source ${source.state} at epoch ${source.epoch}, target ${target.state} at epoch ${target.epoch}`,
    'No switch leads there: somebody changed godwit.authority or restored a backup. Nothing was changed now; decide which side holds the truth',
  );
}

/** A switch whose attempt died after the cede: how to measure its pause once it is completed. Null: none. */
interface Interrupted {
  direction: SwitchFigures['direction'];
  pausedForMs: Milliseconds;
  fencedForMs: Milliseconds;
  readAt: number;
}

function interrupted(ceded: AuthorityRow, readAt: number): Interrupted | null {
  if (ceded.state !== 'closed' || ceded.pausedForMs === null) return null;
  return {
    direction: ceded.side === 'source' ? 'forward' : 'back',
    pausedForMs: ceded.pausedForMs,
    fencedForMs: ceded.fencedForMs ?? ceded.pausedForMs,
    readAt,
  };
}

/** Undoes an attempt that has not ceded: the promise on the other side first, then the lease. */
async function takeBack(attempt: Attempt, from: Primary): Promise<void> {
  const key = attempt.key;
  const to = otherSide(from);
  await attempt.guarded(to, { states: ['closed', 'ready'] }, async (row) => {
    if (row.state === 'closed') return;
    await capAgain(attempt.sides.of(to), key);
    await setState(attempt, to, 'closed', row.epoch - 1);
  });
  // A crash here leaves the lease: it runs out by itself, and the next attempt comes this way again.
  await attempt.guarded(from, { states: ['open', 'leased'] }, async (row) => {
    if (row.state === 'open') return;
    await attempt.sides.of(from).batch(openStatements(attempt, from, row.epoch));
  });
}

/** Whether the new side is known to apply no more. */
type Stopped = 'stopped' | 'unknown';

/** After the cede of epoch `ceded` by `from`: the new side stops following, its own changes begin to count, and it opens. */
async function complete(
  attempt: Attempt,
  move: DatabaseMove,
  from: Primary,
  ceded: number,
  stopped: Stopped = 'unknown',
): Promise<void> {
  const names = scopeNames(attempt.key);
  const to = otherSide(from);
  const opening = attempt.sides.of(to);
  // Stop: before version 16, both directions alive at once ended as different rows on the two sides.
  const [following] = await Promise.all([
    stopped === 'unknown' ? stopSubscription(opening, names.slot(from)) : true,
    standbysHaveFlushed(attempt.sides.of(from), move),
  ]);
  await faultPoint('switch.stop');
  // A crash before this commits leaves both sides closed, and the next attempt comes this way again.
  await attempt.guardedBatch(to, { states: ['ready'], epoch: ceded + 1 }, [
    // Advance: all that was applied is on the old side already. Only while `ready`: once open, it would skip real writes.
    advance(names.slot(to)),
    ...(following ? dropStatements(names.slot(from)) : []),
    ...openStatements(attempt, to, ceded + 1),
  ]);
}

const advance = (slot: string): string =>
  `select pg_replication_slot_advance(${literal(slot)}, pg_current_wal_flush_lsn())`;

/**
 * Brings everything around an open side in line with it: endpoints first, since clients wait for them; then what the other
 * direction left; then replication to the closed side. Does nothing where nothing is to do.
 */
async function conform(
  attempt: Attempt,
  move: DatabaseMove,
  primary: Primary,
  before: Interrupted | null,
): Promise<void> {
  const openFor = before === null ? 0 : performance.now() - before.readAt;
  // Without its image no attempt has come far enough to touch an endpoint, and one that can't be reached is in nobody's way.
  const images = await readImages(attempt);
  if (images !== null) {
    await alignedIfItFails(attempt, primary, async () => {
      await using endpoints = await Endpoints.open({ move, attempt }, Object.keys(images));
      await endpoints.moveTo(primary, images);
      await endpoints.sweep(primary);
    });
  }
  if (before !== null) {
    const resumedFor = performance.now() - before.readAt;
    await keepFigures(attempt, primary, {
      direction: before.direction,
      attempt: 0,
      at: new Date().toISOString(),
      pauseMs: round(before.pausedForMs + resumedFor),
      fencedMs: round(before.fencedForMs + openFor),
      steps: [{ name: 'completed by a later attempt', ms: round(resumedFor) }],
    });
  }
  await alignReplication(attempt, primary);
}

async function keepFigures(attempt: Attempt, primary: Primary, figures: SwitchFigures): Promise<void> {
  await attempt.sides
    .of(primary)
    .run('update godwit.authority set figures = $2 where scope = $1', [attempt.key, JSON.stringify(figures)]);
}

/**
 * Clients wait for their endpoints, so these come before replication. One that fails may do so for hours, though, and each
 * attempt with it; changes have to flow to the closed side meanwhile, or the open one keeps all its WAL, and nothing leads back.
 */
async function alignedIfItFails(attempt: Attempt, primary: Primary, lead: () => Promise<void>): Promise<void> {
  try {
    await lead();
  } catch (error) {
    // What fails here, too, is for the next attempt: whoever called has to hear of the endpoint.
    await alignReplication(attempt, primary).catch(() => undefined);
    throw error;
  }
}

async function alignReplication(attempt: Attempt, primary: Primary): Promise<void> {
  const names = scopeNames(attempt.key);
  const standby = otherSide(primary);
  await dropSubscription(attempt.sides.of(primary), names.slot(standby));
  await dropSlot(attempt.sides.of(standby), names.slot(standby));
  const following = await attempt.sides
    .of(standby)
    .row<{ enabled: boolean }>('select subenabled as enabled from pg_subscription where subname = $1', [
      names.slot(primary),
    ]);
  if (following?.enabled === false) await enableSubscription(attempt.sides.of(standby), names.slot(primary));
  const row = await attempt.read(primary);
  await attempt.guarded(standby, { states: ['closed'] }, () => setState(attempt, standby, 'closed', row.epoch));
}

/** For a guarded transaction. */
function openStatements(attempt: Attempt, side: Primary, epoch: number): string[] {
  return [
    ...fenceStatements(attempt.key, { kind: 'open' }, attempt.ddlFenced.has(side)),
    forgetLimits(attempt.key),
    stateStatement(attempt.key, 'open', epoch),
  ];
}

async function setState(attempt: Attempt, side: Primary, state: AuthorityRow['state'], epoch: number): Promise<void> {
  await attempt.sides.of(side).run(stateStatement(attempt.key, state, epoch));
}

function stateStatement(key: string, state: AuthorityRow['state'], epoch: number): string {
  return `update godwit.authority
    set state = ${literal(state)}, epoch = ${epoch}, updated_at = clock_timestamp(), paused_at = null, fenced_at = null
    where scope = ${literal(key)}`;
}

async function readImages(attempt: Attempt): Promise<Images | null> {
  const rows = await attempt.sides.source.rows<{ endpoint: string; image: string }>(
    'select endpoint, image from godwit.endpoint_image where scope = $1',
    [attempt.key],
  );
  return rows.length === 0 ? null : Object.fromEntries(rows.map((row) => [row.endpoint, row.image]));
}

/** Figures of the switch that brought the writes here: kept in the database, for callers whose answer was lost. */
async function lastFigures(attempt: Attempt, primary: Primary, input: SwitchInput): Promise<SwitchFigures> {
  const row = await attempt.sides
    .of(primary)
    .row<{ figures: SwitchFigures | null }>('select figures from godwit.authority where scope = $1', [attempt.key]);
  if (row?.figures != null) return { ...row.figures, attempt: input.attempt };
  return {
    direction: input.direction,
    attempt: input.attempt,
    at: new Date().toISOString(),
    pauseMs: 0,
    fencedMs: 0,
    steps: [],
  };
}

interface Ahead {
  /** Validation left rows to be compared under the fence. */
  suspects: boolean;
  /** Of the sequences that the new side capped when it ceded. */
  limits: SequenceLimit[];
  /** Names of sequences that tables out of scope draw from as well. */
  shared: Set<string>;
}

interface Fenced {
  /** A timestamptz by the clock of the fenced side. */
  deadline: string;
  /** Behind the last write that passed. */
  marker: string;
}

/** What the cede must know, read under its locks. */
interface LastLook extends FenceView, Record<string, unknown> {
  lastValues: Record<string, string | null>;
  holds: boolean;
}

/**
 * What will be run while clients wait, run once and rolled back: a backend's first CREATE FUNCTION and ALTER SEQUENCE take
 * three times as long as its second. Of the sequences only our own: the lock on an application's would hold up its writers.
 */
async function warmUp(session: Session, key: string, fences: string[]): Promise<void> {
  const sequence = `godwit.${identifier(scopeNames(key).breach)}`;
  await session.batch(['begin', ...fences, `alter sequence ${sequence} start with 1 no cycle`, 'rollback']);
}

function requireWhole(side: Primary, { broken = [], unchanged }: Partial<FenceView>): void {
  if (broken.length > 0) {
    throw failure(
      'SchemaMismatch',
      `tables of the ${side} lack their fence or are gone: ${broken.slice(0, 5).join(', ')}`,
      'Nothing was switched; abort, or give the tables their triggers back',
    );
  }
  if (unchanged === true) return;
  throw failure(
    'SchemaMismatch',
    `tables of the ${side} have changed since replication began`,
    'Nothing was switched; undo that change, or abort and begin again',
  );
}

/** One attempt, from the side that takes writes now to the other. */
class Switch {
  readonly #move: DatabaseMove;
  readonly #attempt: Attempt;
  readonly #endpoints: Endpoints;
  readonly #input: SwitchInput;
  readonly #from: Primary;
  readonly #to: Primary;
  readonly #steps: SwitchFigures['steps'] = [];
  /** Read while nobody waits. */
  #images: Images | null = null;
  #pausedAt = 0;
  #fencedAt = 0;
  #openedAt = 0;
  /** Set when the attempt was taken back; a switch resumes when its figures are made. */
  #resumedAt = 0;
  /** Null: no table in scope is unlogged. */
  #carriage: Carriage | null = null;

  constructor(input: SwitchInput, attempt: Attempt, endpoints: Endpoints) {
    this.#input = input;
    this.#move = input.move;
    this.#attempt = attempt;
    this.#endpoints = endpoints;
    this.#from = input.direction === 'forward' ? 'source' : 'target';
    this.#to = otherSide(this.#from);
  }

  async run(): Promise<SwitchOutcome> {
    try {
      return await this.#run();
    } finally {
      await this.#carriage?.close();
    }
  }

  async #run(): Promise<SwitchOutcome> {
    const key = this.#move.key;
    const { epoch } = await this.#attempt.read(this.#from);
    const tables = await scopeTables(this.#fromSession, key);
    let stopped: Stopped = 'unknown';
    try {
      // DDL that apply can't follow would show as lag, so the tables come first.
      await this.#step('tables', () => this.#requireTables());
      await requireStandbys(this.#fromSession, this.#move.database);
      await requireSequences(this.#fromSession, this.#toSession, key);
      await this.#step('lag', () => this.#requireLittleLag());
      await this.#step('prepare', () => this.#proveWayBack());
      this.#carriage = await Carriage.prepare(this.#move, this.#attempt.sides, this.#from, unloggedTables(tables));
      const ahead = await this.#step('look-ahead', () => this.#lookAhead());
      await sleep(BREATH_MS);
      await outwaitAutovacuum(this.#fromSession, tables);
      const carriage = this.#carriage;
      if (carriage !== null) await outwaitAutovacuum(this.#toSession, carriage.tables);

      this.#pausedAt = performance.now();
      await this.#step('pause', () => this.#endpoints.pause(this.#left() * PAUSE_SHARE));
      // A crash here leaves the pooler paused: it outlives its admin connection. `settle` resumes first of all.

      const { deadline, marker } = await this.#step('fence', () => this.#fence(tables, epoch));
      // A crash from here to the cede leaves the source leased: it opens by itself at the deadline, and `settle` before.

      const promised = await this.#step('marker', () => this.#awaitAllApplied(marker, ahead.shared));
      await this.#step('re-check', () => this.#recheck(ahead.suspects));

      if (carriage !== null) await this.#step('unlogged', () => this.#carry(carriage));
      // A crash in it rolls back, and after it leaves rows on a side that is closed: the next attempt empties it again.

      // One synchronous commit on the new side makes all that was applied durable: apply itself commits asynchronously.
      await this.#step('ready', () => this.#promise(epoch, promised, ahead.limits));
      // A crash here leaves a promise that only this attempt could have kept: the next one takes it back.

      if (this.#input.mode === 'rehearse') {
        await this.#takeBackAll();
        return { kind: 'rehearsed', figures: this.#figures() };
      }
      stopped = await this.#step('cede', () => this.#stopAndCede(tables, epoch, deadline, promised));
    } catch (error) {
      return this.#giveUp(error);
    }

    // ───────────── point of no return: from here on only forward; a crash anywhere below is completed by `settle` ─────────────
    await this.#step('open', () => complete(this.#attempt, this.#move, this.#from, epoch, stopped));
    this.#openedAt = performance.now();
    await alignedIfItFails(this.#attempt, this.#to, () => this.#step('flip', () => this.#point(this.#to)));
    const figures = this.#figures();
    await keepFigures(this.#attempt, this.#to, figures);
    await this.#step('reverse', () => alignReplication(this.#attempt, this.#to));
    await this.#endpoints.sweep(this.#to);
    return { kind: 'switched', figures: { ...figures, steps: this.#steps } };
  }

  get #fromSession() {
    return this.#attempt.sides.of(this.#from);
  }

  get #toSession() {
    return this.#attempt.sides.of(this.#to);
  }

  /** The first marker may find an apply worker that is only starting (wal_retrieve_retry_interval, 5 s); the second counts. */
  async #requireLittleLag(): Promise<void> {
    const { maxLag } = this.#move.database.cutover;
    const lagging = failure('Blocked', `the ${this.#to} is more than ${maxLag} ms behind the ${this.#from}`);
    for (const timeout of [WORKER_START_MS + maxLag, maxLag]) {
      const marker = await insertMarker(this.#fromSession, this.#move.key);
      const took = await awaitMarker(this.#toSession, this.#move.key, marker, timeout);
      if (took === null) throw lagging;
    }
  }

  /**
   * Slot and subscription of the other direction, made while nobody waits: a slot's creation waits for every transaction
   * that is open in the cluster. The subscription stays disabled; making it proves rights, network path and publication.
   */
  async #proveWayBack(): Promise<void> {
    const name = scopeNames(this.#move.key).slot(this.#to);
    await requireStandbysSeen(this.#fromSession);
    const images = await this.#endpoints.images(await readImages(this.#attempt));
    await this.#rememberImages(images);
    await resetBreach(this.#fromSession, this.#move.key);
    try {
      await withTimeout(this.#toSession, SLOT_PATIENCE_MS, () => ensureSlot(this.#toSession, name));
    } catch (error) {
      if (typeOf(error) === 'Blocked') throw error;
      throw this.#noWayBack(error instanceof Error ? error.message : String(error));
    }
    try {
      await withTimeout(this.#fromSession, LINK_PATIENCE_MS, () =>
        ensureSubscription(this.#fromSession, this.#move.database, this.#move.key, this.#to, false),
      );
    } catch (error) {
      const { message, repair } = await explainLink(error, this.#move, this.#to);
      throw this.#noWayBack(message, repair);
    }
  }

  #noWayBack(reason: string, repair?: string): ApplicationFailure {
    return failure(
      'NoWayBack',
      `replication from the ${this.#to} back to the ${this.#from} can't be set up: ${reason}`,
      repair === undefined ? 'Nothing was switched' : `Nothing was switched. ${repair}`,
    );
  }

  /** All that can be read, or done, while nobody waits yet. */
  async #lookAhead(): Promise<Ahead> {
    const { key } = this.#move;
    this.#images = await readImages(this.#attempt);
    // What `complete` will have to decode: the less the better.
    await this.#attempt.guardedBatch(this.#to, { states: ['closed'] }, [advance(scopeNames(key).slot(this.#to))]);
    await Promise.all([
      warmUp(this.#fromSession, key, this.#fences({ kind: 'leased', deadline: 'infinity' })),
      warmUp(this.#toSession, key, fenceStatements(key, { kind: 'open' }, this.#attempt.ddlFenced.has(this.#to))),
    ]);
    await this.#requireUnchanged(this.#to);
    return {
      suspects: await hasSuspects(this.#attempt.sides.target, key),
      limits: await readLimits(this.#toSession, key),
      shared: await sharedSequences(this.#fromSession, this.#toSession, key),
    };
  }

  /** As the entries stand while they lead to the source: the newest, with what an administrator has changed in them since. */
  async #rememberImages(images: Images): Promise<void> {
    if (this.#from === 'target') return;
    await this.#attempt.sides.source.run(
      `insert into godwit.endpoint_image (scope, endpoint, image)
       select $1, key, value from json_each_text($2::json)
       on conflict (scope, endpoint) do update set image = excluded.image`,
      [this.#move.key, JSON.stringify(images)],
    );
  }

  /**
   * Leased: refuses writes until a deadline by this server's clock. Returns once every transaction that had passed the open
   * fence has ended, with a marker that came after all of them.
   */
  async #fence(tables: ScopeTable[], epoch: number): Promise<Fenced> {
    const marker = newMarker(this.#move.key);
    for (let gentle = 0; gentle < GENTLE_TRIES; gentle += 1) {
      if (gentle > 0) await endAutovacuum(this.#fromSession, tables);
      try {
        // Gently: writers in flight end first, and none of them is refused anything. The marker commits with the fence:
        // whoever wrote before has committed, or would still hold a lock; whoever comes after is refused.
        return { deadline: await this.#lease(epoch, this.#locks(tables), marker.statement), marker: marker.id };
      } catch (error) {
        if (!gaveWay(error)) throw error;
      }
    }
    // Firmly: without a pooler's pause, new writers keep coming and hold one table while they wait for another that we
    // have. They are refused first, and the rest is waited for after, with the marker behind them.
    const deadline = await this.#lease(epoch, []);
    await this.#insist(tables, () => this.#fromSession.transact([...this.#locks(tables), marker.statement]));
    return { deadline, marker: marker.id };
  }

  /** Function and state, until budget and slack are over, behind `locks`. Answers the deadline. */
  async #lease(epoch: number, locks: string[], ...last: string[]): Promise<string> {
    const key = this.#move.key;
    let deadline = '-infinity';
    await this.#attempt.guardedLook<{ deadline: string }>(
      this.#from,
      { states: ['open'], epoch },
      [
        ...locks,
        `update godwit.authority
         set state = 'leased', fenced_at = clock_timestamp(), updated_at = clock_timestamp(),
             paused_at = clock_timestamp() - ${interval(performance.now() - this.#pausedAt)}
         where scope = ${literal(key)}
         returning (clock_timestamp() + ${interval(this.#left() + LEASE_SLACK_MS)})::text as deadline`,
      ],
      (found) => {
        deadline = found.deadline ?? deadline;
        return [...this.#fences({ kind: 'leased', deadline }), ...last];
      },
    );
    this.#fencedAt = performance.now();
    return deadline;
  }

  /** Runs what locks the tables until it succeeds; fails with `Blocked`, naming who is in the way, when the budget is spent. */
  async #insist<T>(tables: ScopeTable[], work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!gaveWay(error)) throw error;
        if (this.#left() > LOCK_TRY_MS) continue;
        const who = await blockersOf(this.#fromSession, tables);
        throw failure('Blocked', `the tables could not be locked: ${who.join('; ') || 'their writers took too long'}`);
      }
    }
  }

  #locks(tables: ScopeTable[]): string[] {
    return lockStatements(tables, Math.min(LOCK_TRY_MS, this.#requireTimeLeft('lock the tables')));
  }

  /**
   * Commit order makes the marker's arrival the proof that everything before the fence is applied. Answers what the
   * sequences were meanwhile.
   */
  async #awaitAllApplied(marker: string, shared: Set<string>): Promise<PromisedSequence[]> {
    const timeout = this.#requireTimeLeft('wait for the last changes');
    const [took, promised] = await Promise.all([
      awaitMarker(this.#toSession, this.#move.key, marker, timeout),
      promiseSequences(this.#fromSession, this.#move.key, shared),
    ]);
    if (took === null)
      throw failure('Blocked', `the last changes did not arrive on the ${this.#to} within ${Math.round(timeout)} ms`);
    return promised;
  }

  async #recheck(suspects: boolean): Promise<void> {
    const timeLeft = this.#requireTimeLeft('re-check rows');
    if (!suspects) return;
    const found = await recheckSuspects(this.#fromSession, this.#toSession, this.#move, timeLeft);
    if (found.differences > 0) {
      throw failure('ValidationDiffers', `${found.differences} rows differ under the fence`, 'Nothing was switched');
    }
    if (found.open > 0) throw failure('Blocked', `${found.open} suspect rows could not be re-read in time`);
  }

  /** The old side is fenced and drained, the new one closed: what is read is all there is, and nobody else writes it. */
  async #carry(carriage: Carriage): Promise<void> {
    this.#requireTimeLeft('carry the unlogged tables');
    await carriage.carry(this.#attempt, this.#to, () => this.#left());
    this.#requireTimeLeft('go on after the unlogged tables');
  }

  /**
   * While nobody waits. The side that cedes is looked at once more, under the cede's locks. The other one only just before the
   * pause: it has been closed all the time, so nothing that happens to its tables meanwhile could make two writers.
   */
  async #requireTables(): Promise<void> {
    await Promise.all([prepareLook(this.#fromSession), prepareLook(this.#toSession)]);
    await Promise.all([this.#requireUnchanged(this.#from), this.#requireUnchanged(this.#to)]);
  }

  async #requireUnchanged(side: Primary): Promise<void> {
    await this.#attempt.sides
      .of(side)
      .lookAndAct<FenceView & Record<string, unknown>>(lookStatements(this.#move.key), (seen) => {
        requireWhole(side, seen);
        return [];
      });
  }

  /** Sequences ahead of the old side's, and the promise of the next epoch, in one synchronous commit. */
  async #promise(epoch: number, promised: PromisedSequence[], limits: SequenceLimit[]): Promise<void> {
    await this.#attempt.guardedBatch(this.#to, { states: ['closed'] }, [
      ...aheadStatements(promised, limits),
      stateStatement(this.#move.key, 'ready', epoch + 1),
    ]);
  }

  /**
   * All that counts has arrived, so the apply worker may end while the old side cedes: 10 ms less for clients that wait.
   * If the cede fails, it is started again with everything else that is taken back.
   */
  async #stopAndCede(
    tables: ScopeTable[],
    epoch: number,
    deadline: string,
    promised: PromisedSequence[],
  ): Promise<Stopped> {
    const stopping = stopSubscription(this.#toSession, scopeNames(this.#move.key).slot(this.#from));
    const [ceded, stopped] = await Promise.allSettled([this.#cede(tables, epoch, deadline, promised), stopping]);
    if (ceded.status === 'rejected') throw ceded.reason;
    // A worker that did not end is no reason to stay: `complete` sees to it before it opens.
    return stopped.status === 'fulfilled' && stopped.value ? 'stopped' : 'unknown';
  }

  /** The old side closes for good. If the answer to COMMIT is lost, only the databases know: the next attempt asks them. */
  async #cede(tables: ScopeTable[], epoch: number, deadline: string, promised: PromisedSequence[]): Promise<void> {
    const session = this.#fromSession;
    const key = this.#move.key;
    const look = (): string[] => [
      // Again, and last: a writer that passed after the deadline, and DDL, are drained or refused by these locks.
      ...this.#locks(tables),
      ...capStatements(key, promised),
      `select ${lastValuesExpression(promised)} as "lastValues", ${leaseHoldsExpression(key, deadline)} as holds`,
      // Where the role may make no event trigger, this is the only look at DDL that came after the fence.
      ...lookStatements(key),
    ];
    const act = ({ lastValues, holds, ...seen }: Partial<LastLook>): string[] => {
      const ends = endStatements(session, promised, lastValues ?? {});
      requireWhole(this.#from, seen);
      if (holds !== true) {
        throw failure('Blocked', 'the lease ran out before the cede, or a write passed after its deadline');
      }
      return [
        ...ends,
        ...this.#fences({ kind: 'closed' }),
        `update godwit.authority set state = 'closed', updated_at = clock_timestamp() where scope = ${literal(key)}`,
      ];
    };
    await this.#insist(tables, async () => {
      try {
        await this.#attempt.guardedLook<LastLook>(this.#from, { states: ['leased'], epoch }, look(), act);
      } catch (error) {
        throw passedItsEnd(session, error);
      }
    });
  }

  #fences(state: FenceState): string[] {
    return fenceStatements(this.#move.key, state, this.#attempt.ddlFenced.has(this.#from));
  }

  /** Undoes everything, if the databases can be reached; what may do later becomes `not-now`. */
  async #giveUp(error: unknown): Promise<SwitchOutcome> {
    const lost = this.#fromSession.lost || this.#toSession.lost;
    if (lost) throw error; // Whether the cede took effect is for the next attempt to find out.
    await this.#takeBackAll();
    const type = typeOf(error);
    if (type === 'Blocked') return { kind: 'not-now', reason: error instanceof Error ? error.message : String(error) };
    throw error;
  }

  async #takeBackAll(): Promise<void> {
    await takeBack(this.#attempt, this.#from);
    this.#openedAt = performance.now();
    await alignedIfItFails(this.#attempt, this.#from, () => this.#point(this.#from));
    this.#resumedAt = performance.now();
    await alignReplication(this.#attempt, this.#from);
  }

  /** Before the images are read, no endpoint was paused or moved. */
  async #point(side: Primary): Promise<void> {
    if (this.#images !== null) await this.#endpoints.moveTo(side, this.#images);
  }

  #figures(): SwitchFigures {
    const resumedAt = this.#resumedAt > 0 ? this.#resumedAt : performance.now();
    return {
      direction: this.#input.direction,
      attempt: this.#input.attempt,
      at: new Date().toISOString(),
      pauseMs: round(resumedAt - this.#pausedAt),
      fencedMs: round(this.#openedAt - this.#fencedAt),
      steps: this.#steps,
    };
  }

  /** Milliseconds of the budget that are left. */
  #left(): Milliseconds {
    return this.#move.database.cutover.maxPause - (performance.now() - this.#pausedAt);
  }

  #requireTimeLeft(wanted: string): Milliseconds {
    const left = this.#left();
    if (left <= 0)
      throw failure('Blocked', `no time left to ${wanted}: maxPause is ${this.#move.database.cutover.maxPause} ms`);
    return left;
  }

  async #step<T>(name: string, work: () => Promise<T>): Promise<T> {
    const began = performance.now();
    try {
      return await work();
    } finally {
      this.#steps.push({ name, ms: round(performance.now() - began) });
      await faultPoint(`switch.${name}`);
    }
  }
}

/** Twice the default of wal_retrieve_retry_interval: how long the launcher may take to start an apply worker. */
const WORKER_START_MS = 10_000;

/** Transactions that hold up a slot's creation are somebody's to end; the attempt gives way and says so. */
const SLOT_PATIENCE_MS = 20_000;

async function withTimeout<T>(
  session: Attempt['sides']['source'],
  timeout: Milliseconds,
  work: () => Promise<T>,
): Promise<T> {
  await session.run(`set statement_timeout = ${timeout}`);
  try {
    return await work();
  } finally {
    if (!session.lost) await session.run('set statement_timeout = 0');
  }
}

const interval = (ms: Milliseconds): string => `make_interval(secs => ${ms} / 1000.0)`;

const round = (ms: Milliseconds): Milliseconds => Math.round(ms * 10) / 10;

/** A lock not had in time, or a deadlock that we were chosen to end. */
const gaveWay = (error: unknown): boolean => ['55P03', '40P01'].includes(sqlState(error) ?? '');

function typeOf(error: unknown): string | null | undefined {
  return error instanceof ApplicationFailure ? error.type : undefined;
}

async function alive<T>(work: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => heartbeat(), HEARTBEAT_EVERY_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
