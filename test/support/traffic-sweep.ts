/**
 * Each fault at each call: whole migrations of traffic, one for each fault, over a few places that are used in turns. What a test
 * asks of every one of them is the same, so it is here: it ends as migrated, with exactly what was wanted, or as undone, with
 * what was there to the byte; and where it waits for a person, it says where the traffic is.
 */
import type { Call } from '../../lab/aws/call.js';
import type { Fault } from '../../lab/aws/faults.js';
import type { AwsProxy, LoggedCall } from '../../lab/aws/proxy.js';
import { forgetClients } from '../../activities/aws/clients.js';
import type { StatusDocument } from '../../spec/status.js';
import type { Place } from './traffic-places.js';
import { trafficIn, type Ended, type Run, type TrafficRuns } from './traffic-runs.js';

/** Five times: four are the SDK's, so that Temporal has to try again. One that nothing retries comes once. */
const PAST_THE_SDK = 5;

export const KINDS: Record<string, { fault: Fault; times: number }> = {
  'an internal error': { fault: { kind: 'error', code: 'InternalFailure', status: 500 }, times: PAST_THE_SDK },
  'no connection': { fault: { kind: 'lost before' }, times: PAST_THE_SDK },
  'a lost answer': { fault: { kind: 'lost after' }, times: PAST_THE_SDK },
  'an answer that is late': { fault: { kind: 'slow', ms: 5_000 }, times: 2 },
  throttling: { fault: { kind: 'throttled' }, times: PAST_THE_SDK },
  'a denied right': {
    fault: { kind: 'error', code: 'AccessDenied', status: 403, message: 'no policy allows it' },
    times: 1,
  },
  'expired credentials': { fault: { kind: 'expired credentials' }, times: 1 },
};

/** The whole way to green; or half of it, back by `rollback`, and undone by `abort`. */
export type Walk = 'there' | 'back';

export interface Case {
  walk: Walk;
  operation: string;
  /** Of the calls of that operation in this walk, from 0. */
  nth: number;
  kind: string;
  /** What a person does when asked. */
  answer: 'retry' | 'abort';
}

export const nameOf = ({ walk, operation, nth, kind, answer }: Case): string =>
  `${walk}: ${kind} at ${operation} ${nth + 1}, then ${answer}`;

const isWrite = (operation: string): boolean => !/^(Describe|List|Get)/.test(operation);

/** What a call can meet, as it looks from outside; where there are two to one, they take turns. */
const CLASSES = [
  ['an internal error', 'no connection'],
  ['a lost answer'],
  ['an answer that is late'],
  ['throttling'],
  ['a denied right', 'expired credentials'],
];

/** Of the classes that one write meets. */
const EACH = 2;

/**
 * Each write meets two of the classes, the next one the next two and so on, so that every operation that writes meets all of
 * them. Of each operation that reads, the first call and the last meet one kind each, by turns. A person's answers alternate.
 */
export function casesOf(walk: Walk, calls: string[]): Case[] {
  const kinds = Object.keys(KINDS);
  const first = walk === 'there' ? 0 : EACH;
  let turn = first;
  const cases = [...new Set(calls)].flatMap((operation): Omit<Case, 'answer'>[] => {
    const count = calls.filter((one) => one === operation).length;
    if (isWrite(operation)) {
      return Array.from({ length: count * EACH }, (_, index) => {
        const alternatives = CLASSES[(first + index) % CLASSES.length] ?? [];
        const kind = alternatives[(turn += 1) % alternatives.length] ?? '';
        return { walk, operation, nth: Math.floor(index / EACH), kind };
      });
    }
    return [...new Set([0, count - 1])].map((nth) => ({
      walk,
      operation,
      nth,
      kind: kinds[(turn += 1) % kinds.length] ?? '',
    }));
  });
  return cases.map((one, index) => ({ ...one, answer: index % 2 === 0 ? 'retry' : 'abort' }));
}

/** Alone on two cores a minute; other files run beside it. */
export const SWEEP_MS = 600_000;

/** Milliseconds to the first look of a step, which so is the only one: the calls of a walk are the same each time. */
const LOOK_MS = 3_300;

export class Sweep {
  readonly #free: Place[];

  constructor(
    readonly aws: AwsProxy,
    readonly runs: TrafficRuns,
    readonly places: Place[],
  ) {
    this.#free = [...places];
  }

  /** Operations of a walk without faults, in order. */
  async walked(walk: Walk): Promise<string[]> {
    const [place] = this.places;
    if (place === undefined) throw new Error('there is no place');
    let from = this.aws.calls.length;
    const run = await this.#walk(place, walk, () => void (from = this.aws.calls.length));
    const wrong = await wrongIn(place, await run.ended(), await run.status());
    if (wrong.length > 0) throw new Error(wrong.join('; '));
    const calls = this.aws.calls.slice(from).filter((call: LoggedCall) => place.owns(call));
    await place.restore();
    return calls.map(({ operation }) => operation);
  }

  /** What went otherwise than it should in any of the cases; as many run at once as there are places. */
  async over(cases: Case[]): Promise<string[]> {
    const queue = [...cases];
    const wrong: string[] = [];
    const work = async (place: Place): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const one = next;
        const found = await this.#try(place, one).catch((error: unknown) => [String(error)]);
        wrong.push(...found.map((what) => `${nameOf(one)}: ${what}`));
      }
    };
    await Promise.all(this.#free.map(work));
    return wrong;
  }

  async #try(place: Place, { walk, operation, nth, kind, answer }: Case): Promise<string[]> {
    const { fault, times } = KINDS[kind] ?? { fault: { kind: 'throttled' }, times: 0 };
    const when = (call: Call): boolean => place.owns(call);
    const given: { met: number; stop(): void }[] = [];
    const arm = (): void => void given.push(this.aws.fail({ operation, when, after: nth, times, fault }));
    try {
      const began = await this.#walk(place, walk, arm, answer);
      const { run, wrong } = await this.#settled(place, began, answer);
      // How often it is looked whether something has come to be, time says: there may be no such look.
      const mayMiss = !isWrite(operation) && nth > 0;
      if (!mayMiss && !given.some(({ met }) => met > 0)) wrong.push('the fault was not met');
      return [...wrong, ...(await wrongIn(place, await run.ended(), await run.status()))];
    } finally {
      for (const one of given) one.stop();
      // What a client has learned of throttling is no matter of the next case.
      forgetClients();
      if ((await place.image()) !== place.before) await place.restore();
    }
  }

  async #walk(place: Place, walk: Walk, arm: () => void, answer: Case['answer'] = 'retry'): Promise<Run> {
    if (walk === 'there') {
      arm();
      const steps = [50, 100].map((weight) => ({ weight, hold: '0s' }));
      return this.runs.begin({ ...place.document, steps, every: `${LOOK_MS}ms`, watch: { for: '0s' } });
    }
    const steps = [
      { weight: 50, hold: '1h' },
      { weight: 100, hold: '0s' },
    ];
    const run = await this.runs.begin({ ...place.document, steps, every: '1h' });
    await run.atWeight(50);
    // The wait for old answers to end is over, and nothing is called until the first look, in an hour.
    await run.until('the hold', ({ reason }) => reason === null);
    arm();
    await run.signal('rollback', { by: 'ana' });
    await answered(run, answer, ({ state }) => state === 'rolled-back');
    // Who was asked may have said so already.
    if (!hasEnded(await run.status())) await run.signal('abort', { by: 'ana' });
    return run;
  }

  /** Until it has ended, by the help of a person where it asks for one. */
  async #settled(place: Place, began: Run, answer: Case['answer']): Promise<{ run: Run; wrong: string[] }> {
    const wrong: string[] = [];
    const asked = async (status: StatusDocument): Promise<void> => {
      wrong.push(...(await misstated(place, status)));
    };
    await answered(began, answer, hasEnded, asked);
    if ((await began.ended()) !== 'failed') return { run: began, wrong };
    // An undo that failed for good lists what is left to do; who aborts again, has it done.
    const { reason } = await began.status();
    if (reason?.includes('By hand: put ') !== true) wrong.push(`failed, and does not say what is left: ${reason}`);
    const again = await began.revive('abort');
    await answered(again, 'retry', hasEnded, asked);
    return { run: again, wrong };
  }
}

const hasEnded = ({ state }: StatusDocument): boolean => ['migrated', 'undone', 'failed'].includes(state);

/** Answers as often as it asks. */
async function answered(
  run: Run,
  answer: Case['answer'],
  isDone: (status: StatusDocument) => boolean,
  asked: (status: StatusDocument) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  for (;;) {
    const status = await run.until('an end', (one) => isDone(one) || hasEnded(one) || one.state === 'needs-attention');
    if (isDone(status) || hasEnded(status)) return;
    await asked(status);
    const mayAbort = answer === 'abort' && status.stage !== 'finalize';
    await run.signal(mayAbort ? 'abort' : 'retry', { by: 'ana' });
    await run.until('an answer to that', ({ state }) => state !== 'needs-attention');
  }
}

/** `Green has 50 % or 100 % of the traffic`, where a step of this unit waits: so it must be. */
async function misstated(place: Place, status: StatusDocument): Promise<string[]> {
  const problem = status.units[0]?.problem;
  if (problem === null || problem === undefined) return [];
  const said = /^Green has (\d+) %(?: or (\d+) %)? of the traffic/.exec(problem.next);
  const mayBe = (said?.slice(1) ?? []).filter((one) => one !== undefined).map(Number);
  const is = (await place.weight()) ?? 0;
  // A stage without a way back says that instead.
  if (mayBe.includes(is) || status.stage === 'finalize') return [];
  return [`asked with "${problem.next}", and green has ${is} %`];
}

async function wrongIn(place: Place, ended: Ended, status: StatusDocument): Promise<string[]> {
  const image = await place.image();
  const { weight, wanted } = trafficIn(status);
  if (ended === 'undone') {
    return [
      ...(image === place.before ? [] : [`undone, and not as it was: ${image}`]),
      ...(weight === null && wanted === null ? [] : [`undone, and status says that green has ${weight} %`]),
    ];
  }
  if (ended === 'failed') return [`failed: ${status.reason ?? ''}`];
  return [
    ...(image === place.after ? [] : [`migrated, and not as wanted: ${image}`]),
    ...(weight === 100 ? [] : [`migrated, and status says that green has ${weight} %`]),
  ];
}
