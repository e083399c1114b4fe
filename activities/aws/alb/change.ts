/** The listener's traffic: captured, moved, finalized and put back. Every write is one of lists that the before-image gives. */
import type { Action } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { NormalAlb } from '../../../spec/normal-traffic.js';
import { failure } from '../../failure.js';
import { faultPoint } from '../../fault.js';
import type { AlbImage, AlbPlace, TrafficMove } from '../../traffic-contract.js';
import { clientsOf, type AwsClients } from '../clients.js';
import { lookUntil, PATIENCE } from '../patience.js';
import {
  actionsAt,
  actionsPutBack,
  describeActions,
  elsewhere,
  finalActions,
  groupsOf,
  MOST_TARGET_GROUPS,
  sameActions,
  stickinessOf,
} from './actions.js';
import { findPlace, placeName, readListener, readPlace, resourceOf, rulesOf, writePlace } from './places.js';
import { attributesOf, differingSettings, restoreSettings } from './target-group.js';
import { lock, ownersText, unlock } from './tags.js';

/** One listener, with what reaches it. */
export interface AlbMove {
  move: TrafficMove;
  route: NormalAlb;
  clients: AwsClients;
}

export function albMove(move: TrafficMove, route: NormalAlb): AlbMove {
  return { move, route, clients: clientsOf(move.traffic) };
}

export async function captureAlb({ route, clients }: AlbMove): Promise<AlbImage> {
  const listener = await readListener(clients, route);
  const places: AlbPlace[] = [];
  for (const rule of rulesOf(route)) {
    const actions = await readPlace(clients, route, rule);
    mustGoToBlue(route, rule, actions);
    places.push({ rule, actions });
  }
  return {
    kind: 'alb',
    loadBalancer: listener.LoadBalancerArn ?? '',
    places,
    settings: route.settings === 'apply' ? await differingSettings(clients, route) : null,
  };
}

/** Fails with `TrafficMismatch` where it doesn't, or where green has no room beside it. */
export function mustGoToBlue(route: NormalAlb, rule: AlbPlace['rule'], actions: Action[]): void {
  const where = elsewhere(actions, route);
  if (where !== null) {
    throw failure(
      'TrafficMismatch',
      `the traffic of ${placeName(route, rule)} has to go to blue alone, ${route.blue}; found: ${where}`,
      'Name as blue where the traffic goes, or take the weight from the others; nothing was changed',
    );
  }
  const groups = new Set([route.green, ...groupsOf(actions).map(({ TargetGroupArn }) => TargetGroupArn)]);
  if (groups.size > MOST_TARGET_GROUPS) {
    throw failure(
      'TrafficMismatch',
      `${placeName(route, rule)} forwards to ${groups.size - 1} target groups, and an action has room for ${MOST_TARGET_GROUPS}, green among them`,
      'Remove one that has no weight; nothing was changed',
    );
  }
}

/** All places, or none. */
export async function lockAlb({ move, route, clients }: AlbMove): Promise<void> {
  const resources = rulesOf(route).map((rule) => resourceOf(route, rule));
  const locked = await Promise.allSettled(resources.map((resource) => lock(clients, move, resource)));
  const failed = locked.find((one) => one.status === 'rejected');
  if (failed === undefined) return;
  // Those alone that were got here: what failed has given way itself, or is unknown and tried again.
  const got = resources.filter((_, index) => locked[index]?.status === 'fulfilled');
  await Promise.all(got.map((resource) => unlock(clients, move.key, resource)));
  throw failed.reason;
}

/**
 * Nothing is written before all places are known to hold what this migration wrote last, or what it is to write. A change
 * by somebody else between that look and the write can't be told from none: the API has no condition for writes.
 */
export async function setAlb(alb: AlbMove, image: AlbImage, from: number | null, to: number): Promise<void> {
  const stateOf = (weight: number | null) => (place: AlbPlace) =>
    weight === null ? place.actions : actionsAt(place.actions, alb.route, weight);
  await writeAll(alb, image, [stateOf(from)], stateOf(to));
}

/** Only green is left, in blue's place. Traffic must all be there already. */
export async function finalizeAlb(alb: AlbMove, image: AlbImage): Promise<void> {
  const final = (place: AlbPlace): Action[] => finalActions(place.actions, alb.route);
  const whole = (place: AlbPlace): Action[] => actionsAt(place.actions, alb.route, 100);
  await writeAll(alb, image, [whole], final);
  await Promise.all(image.places.map(({ rule }) => unlock(alb.clients, alb.move.key, resourceOf(alb.route, rule))));
}

type State = (place: AlbPlace) => Action[];

async function writeAll(alb: AlbMove, image: AlbImage, expected: State[], wanted: State): Promise<void> {
  const { route, clients } = alb;
  const due: AlbPlace[] = [];
  for (const place of image.places) {
    const found = await believable(alb, place, [...expected, wanted]);
    if (!sameActions(found, wanted(place))) due.push(place);
  }
  for (const place of due) {
    await writePlace(clients, route, place.rule, wanted(place));
    await faultPoint('traffic.written');
  }
  for (const place of due) await readBack(alb, place, expected, wanted);
}

/** What is there, once it is one of `states`. Fails with `TrafficChanged` if it isn't, for longer than reads may lag. */
async function believable(alb: AlbMove, place: AlbPlace, states: State[]): Promise<Action[]> {
  const { route, clients } = alb;
  const ours = (found: Action[]): boolean => states.some((state) => sameActions(found, state(place)));
  const found = await lookUntil(() => readPlace(clients, route, place.rule), ours, PATIENCE.stale);
  if (ours(found)) return found;
  throw await changed(alb, place, states, found);
}

async function readBack(alb: AlbMove, place: AlbPlace, before: State[], wanted: State): Promise<void> {
  const { route, clients } = alb;
  const there = (found: Action[]): boolean => sameActions(found, wanted(place));
  const found = await lookUntil(() => readPlace(clients, route, place.rule), there, PATIENCE.readBack);
  if (there(found)) return;
  const stale = before.some((state) => sameActions(found, state(place)));
  if (!stale) throw await changed(alb, place, [wanted], found);
  throw failure(
    'AwsUnavailable',
    `${placeName(route, place.rule)} still shows ${describeActions(found)}, and not ${describeActions(wanted(place))}`,
  );
}

async function changed({ route, clients }: AlbMove, place: AlbPlace, states: State[], found: Action[]): Promise<Error> {
  const expected = states.map((state) => describeActions(state(place)));
  const owners = await ownersText(clients, [...new Set([resourceOf(route, place.rule), route.listener])]);
  return failure(
    'TrafficChanged',
    `somebody else changed ${placeName(route, place.rule)}: expected ${[...new Set(expected)].join(', or ')}; found ${describeActions(found)}${owners}`,
    'Nothing was written over it. Put it back as expected and retry, or abort',
  );
}

/** All traffic back to blue; green stays attached where it is. As `undoAlb` with what somebody else has changed. */
export async function undoAlbShift(alb: AlbMove, image: AlbImage): Promise<void> {
  const left: string[] = [];
  for (const place of image.places) left.push(...(await undoPlace(alb, place, true)));
  sayWhatIsLeft(left);
}

/**
 * Runs to its end and then says what is left different, since what can be put back must be: a rule that is gone or that
 * somebody else has changed keeps the others from nothing.
 */
export async function undoAlb(alb: AlbMove, image: AlbImage): Promise<void> {
  const { move, route, clients } = alb;
  const left: string[] = [];
  for (const place of image.places) left.push(...(await undoPlace(alb, place, false)));
  if (image.settings !== null) left.push(...(await restoreSettings(clients, route.green, image.settings)));
  for (const { rule } of image.places) {
    const gone = (await findPlace(clients, route, rule)) === null;
    if (!gone) await unlock(clients, move.key, resourceOf(route, rule));
  }
  sayWhatIsLeft(left);
}

function sayWhatIsLeft(left: string[]): void {
  if (left.length === 0) return;
  throw failure('TrafficChanged', `blue has its traffic back as far as it goes: ${left.join('; ')}`);
}

/** Answers what is left different, in words. */
async function undoPlace(alb: AlbMove, place: AlbPlace, keepGreen: boolean): Promise<string[]> {
  const { route, clients } = alb;
  const image: State = ({ actions }) => actions;
  const known: State[] = [
    image,
    (one) => finalActions(one.actions, route),
    ...Array.from(
      { length: 101 },
      (_, weight): State =>
        (one) =>
          actionsAt(one.actions, route, weight),
    ),
  ];
  const isKnown = (found: Action[] | null) => found === null || known.some((state) => sameActions(found, state(place)));
  const found = await lookUntil(() => findPlace(clients, route, place.rule), isKnown, PATIENCE.stale);
  if (found === null) return [`${placeName(route, place.rule)} is gone`];
  if (isKnown(found)) {
    // Where the image itself is there, nothing was attached yet.
    const attached = keepGreen && !sameActions(found, place.actions);
    await settleAt(alb, place, found, attached ? (one) => actionsAt(one.actions, route, 0) : image);
    return [];
  }
  const owners = await ownersText(clients, [...new Set([resourceOf(route, place.rule), route.listener])]);
  const back = actionsPutBack(found, place.actions, route, keepGreen);
  await settleAt(alb, place, found, () => back);
  return [
    `somebody else changed ${placeName(route, place.rule)}, so it is not as it was (${describeActions(place.actions)}) but: ${describeActions(back)}${owners}`,
  ];
}

async function settleAt(alb: AlbMove, place: AlbPlace, found: Action[], wanted: State): Promise<void> {
  if (!sameActions(found, wanted(place))) {
    await writePlace(alb.clients, alb.route, place.rule, wanted(place));
    await faultPoint('traffic.undone');
  }
  await readBack(alb, place, [() => found], wanted);
}

/** Until requests that blue got before it was detached have ended, milliseconds. */
export async function deregistrationDelay({ clients, route }: AlbMove): Promise<number> {
  const { 'deregistration_delay.timeout_seconds': seconds = '300' } = await attributesOf(clients, route.blue);
  return Number(seconds) * 1_000;
}

/** How long clients that were sent to blue may be kept there whatever the weights say, milliseconds; 0: not at all. */
export function longestStickiness(image: AlbImage): number {
  const seconds = image.places.map(({ actions }) => stickinessOf(actions)?.DurationSeconds ?? 0);
  return Math.max(0, ...seconds) * 1_000;
}
