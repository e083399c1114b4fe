/**
 * Looks at one database all the time before its writes are switched, while other phases copy, compare or wait for people: for
 * weeks if need be, so it continues as new, which a migration with an open phase could not. It changes nothing by itself,
 * but for giving up a slot where the specification says so; what it finds, its migration is told.
 */
import { condition, continueAsNew, getExternalWorkflowHandle, setHandler, workflowInfo } from '@temporalio/workflow';
import type { DatabaseMove, Observation } from '../activities/contract.js';
import { lookoutOf, type Milliseconds } from '../spec/normal.js';
import { lookSignal, reportSignal, type LookoutReport } from './lookout-messages.js';
import { judge, NOTHING_SEEN, type Concern, type Memory } from './judgement.js';
import { describe, isFailureOfStep } from './problem.js';
import { bulkActivities, lightActivities, switchActivities } from './proxies.js';

/** About thirty looks, a quarter of an hour. */
const LONG_HISTORY = 300;
/** Looks in a row that could see nothing, before that is said as a concern: no evidence is not good evidence. */
const BLIND_LOOKS = 3;

/** So long is told of a client that came past the pooler: jobs come and go, and each report is an event of the migration's history. */
const REMEMBERED_MS = 60 * 60_000;

/** The figures of a concern that stays are told again. */
const RETELL_MS = 60 * 60_000;

export interface LookoutInput {
  move: DatabaseMove;
  /** Workflow id of the migration. */
  parent: string;
  carry?: Carry;
}

interface Carry {
  memory: Memory;
  concern: Concern | null;
  blindLooks: number;
  /** The last report and its time, to tell only what is new. */
  told: string;
  toldAt: number;
  /** A new sync has been asked for: until a slot is there again, its absence is no news. */
  resyncing: boolean;
  /** The slot was given up, in words, until a person has seen it. */
  gaveUp: string | null;
  /** Clients that were seen to come past the pooler, and when last. Absent from before they were looked for. */
  bypassing?: Record<string, number>;
}

/** Nothing to say is no news until something was said. */
const QUIET: Omit<LookoutReport, 'unit'> = { concern: null, warnings: [], then: 'nothing', stop: false };

export async function lookout(input: LookoutInput): Promise<void> {
  let { move } = input;
  const carry: Carry = input.carry ?? {
    memory: NOTHING_SEEN,
    concern: null,
    blindLooks: 0,
    told: JSON.stringify(QUIET),
    toldAt: 0,
    resyncing: false,
    gaveUp: null,
    bypassing: {},
  };
  const asked = { look: false, remedy: false };
  setHandler(lookSignal, (given) => {
    move = given.move;
    asked.look = true;
    asked.remedy ||= given.remedy;
  });
  const light = () => lightActivities(move.database.taskQueues.light);
  const tell = async (report: Omit<LookoutReport, 'unit'>): Promise<void> => {
    // Figures change with every look, and each report is an event of the migration's history.
    const text = JSON.stringify(report).replaceAll(/[\d.]+/g, '#');
    const isKnown = text === carry.told && Date.now() - carry.toldAt < RETELL_MS;
    if (report.then === 'nothing' && (isKnown || (text === carry.told && text === JSON.stringify(QUIET)))) return;
    Object.assign(carry, { told: text, toldAt: Date.now() });
    const parent = getExternalWorkflowHandle(input.parent);
    await parent.signal(reportSignal, { unit: move.database.unit, ...report });
  };

  for (;;) {
    const { every } = lookoutOf(move.database);
    await condition(() => asked.look, every);
    const remedy = asked.remedy;
    Object.assign(asked, { look: false, remedy: false });
    try {
      const then = remedy ? await remedied() : 'nothing';
      const warnings = await look(every);
      await tell({ concern: carry.concern, warnings, then, stop: carry.concern?.remedy === 'resync' });
    } catch (error) {
      if (!isFailureOfStep(error)) throw error;
      await tell({ concern: carry.concern, warnings: blind(error, remedy), then: 'nothing', stop: false });
    }
    if (workflowInfo().historyLength > LONG_HISTORY && !asked.look) {
      await continueAsNew<typeof lookout>({ move, parent: input.parent, carry });
    }
  }

  /** Answers warnings; what is of concern is in `carry`. */
  async function look(since: Milliseconds): Promise<string[]> {
    const seen = known(await light().observe(move));
    carry.blindLooks = 0;
    const { memory, concern, warnings } = judge(seen, carry.memory, since, move.database);
    Object.assign(carry, { memory, concern });
    if (concern?.remedy === 'give-up-first' && lookoutOf(move.database).onLimit === 'drop') {
      await light().giveUpSlot(move);
      carry.gaveUp = `${concern.message}, so the slot was given up (lookout.onLimit is drop)`;
    }
    if (carry.gaveUp !== null) carry.concern = givenUp(carry.gaveUp);
    carry.bypassing = seenLately(carry.bypassing ?? {}, seen.bypassing ?? []);
    return [...warnings, ...bypassWarning(Object.keys(carry.bypassing))];
  }

  function blind(error: unknown, remedy: boolean): string[] {
    const { type, message } = describe(error);
    carry.blindLooks += 1;
    const kept = carry.concern?.remedy ?? 'none';
    if (remedy) carry.concern = { type, message, next: 'Mend that, then `retry`', remedy: kept };
    else if (carry.blindLooks >= BLIND_LOOKS && carry.concern === null) {
      const next = 'It goes on by itself once it can be seen again';
      carry.concern = { type, message: `it can't be looked at: ${message}`, next, remedy: kept };
    }
    return carry.concern === null ? [`it could not be looked at: ${message}`] : [];
  }

  /** What the migration asked for can't be news. */
  function known(seen: Observation): Observation {
    // A switch has just brought the writes there; from now on the watch looks.
    if (seen.primary !== 'source') return { ...seen, problems: [], lost: null, drift: null, overLimit: null };
    if (!carry.resyncing) return seen;
    if (seen.replicating !== null && seen.lost == null) carry.resyncing = false;
    return { ...seen, lost: null, problems: seen.lost == null ? seen.problems : [] };
  }

  async function remedied(): Promise<LookoutReport['then']> {
    switch (carry.concern?.remedy) {
      case 'adopt': {
        const partitions = await bulkActivities(move.database.taskQueues).adoptPartitions(move);
        const shape = await light().adoptShape(move);
        return partitions.adopted > 0 || shape.adopted ? 'revalidate' : 'nothing';
      }
      case 'accept-failover': {
        const { resync } = await switchActivities(move.database.taskQueues).acceptFailover(move);
        if (resync) begunAnew();
        return resync ? 'resync' : 'revalidate';
      }
      case 'resync':
        begunAnew();
        return 'resync';
      default:
        return 'nothing';
    }
  }

  function begunAnew(): void {
    Object.assign(carry, { resyncing: true, gaveUp: null, memory: NOTHING_SEEN });
  }
}

function seenLately(before: Record<string, number>, now: string[]): Record<string, number> {
  const at = Date.now();
  const all = [...Object.entries(before), ...now.map((client) => [client, at] as const)];
  return Object.fromEntries(
    all.filter(([, seenAt]) => at - seenAt < REMEMBERED_MS).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function bypassWarning(clients: string[]): string[] {
  if (clients.length === 0) return [];
  const named = clients.slice(0, NAMED_AT_MOST).join(', ');
  const rest = clients.length > NAMED_AT_MOST ? ` and ${clients.length - NAMED_AT_MOST} more` : '';
  return [
    `these came past the pooler within the last hour, and the fence refuses their writes from the switch on: ${named}${rest}`,
  ];
}

const NAMED_AT_MOST = 20;

function givenUp(message: string): Concern {
  return {
    type: 'ReplicationBroken',
    message,
    next: 'The source takes the writes, and lacks nothing. `retry` begins the sync anew: rows that are still equal are kept; or `abort`',
    remedy: 'resync',
  };
}
