/** The listener's traffic: captured, moved, finalized and put back. Every write is one of lists that the before-image gives. */
import type { Action } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { NormalAlb } from '../../../spec/normal-traffic.js';
import { failure } from '../../failure.js';
import { faultPoint } from '../../fault.js';
import type { AlbImage, AlbPlace, TrafficMove, TrafficPutBack } from '../../traffic-contract.js';
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
import { holderOf, holdersText, lock, ownersText, unlock } from './tags.js';

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
export async function undoAlbShift(alb: AlbMove, image: AlbImage): Promise<TrafficPutBack> {
  const left: Left[] = [];
  for (const place of image.places) left.push(await putBack(alb, place, true));
  return concluded(left);
}

/**
 * Runs to its end and then says what is left different, since what can be put back must be: a rule that is gone or that
 * somebody else has changed keeps the others from nothing.
 */
export async function undoAlb(alb: AlbMove, image: AlbImage): Promise<TrafficPutBack> {
  const { move, route, clients } = alb;
  const left: Left[] = [];
  for (const place of image.places) left.push(await putBack(alb, place, false));
  const isTheirs = left.some(({ was }) => was === 'theirs');
  if (image.settings !== null && !isTheirs) {
    const foreign = await restoreSettings(clients, route.green, image.settings);
    left.push({ was: 'nothing', different: foreign.length === 0 ? null : foreign.join('; ') });
  }
  for (const { rule } of image.places) left.push(await giveUp(alb, move, rule));
  return concluded(left);
}

/** What an undo has met at one place: something of ours, a lock of another migration, or nothing that it knows. */
interface Left {
  was: 'ours' | 'theirs' | 'nothing';
  /** In words; null: it is as it was. */
  different: string | null;
}

/**
 * Fails with what is left different as long as something of ours was there, so that a person hears of it; run again, it is only
 * told. An undo that failed each time would never end, since nobody but that other one can make it as it was.
 */
function concluded(left: Left[]): TrafficPutBack {
  const different = left.flatMap((one) => one.different ?? []).join('; ');
  if (different === '') return { different: null };
  if (left.every(({ was }) => was !== 'ours')) return { different };
  throw failure(
    'TrafficChanged',
    `blue has its traffic back as far as it goes: ${different}`,
    'To leave it so, undo once more',
  );
}

async function giveUp({ route, clients }: AlbMove, { key }: TrafficMove, rule: AlbPlace['rule']): Promise<Left> {
  const resource = resourceOf(route, rule);
  if ((await findPlace(clients, route, rule)) === null) return { was: 'nothing', different: null };
  const { kind } = await holderOf(clients, key, resource);
  await unlock(clients, key, resource);
  return { was: kind === 'ours' ? 'ours' : 'nothing', different: null };
}

async function putBack(alb: AlbMove, place: AlbPlace, keepGreen: boolean): Promise<Left> {
  const { move, route, clients } = alb;
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
  const name = placeName(route, place.rule);
  if (found === null) return { was: 'nothing', different: `${name} is gone` };
  const resource = resourceOf(route, place.rule);
  const holder = await holderOf(clients, move.key, resource);
  if (holder.kind === 'theirs') {
    // The weights that are there are its own, also where they look like ours.
    if (sameActions(found, place.actions)) return { was: 'theirs', different: null };
    const different = `${name} is held by ${holdersText(holder.tags)} and left as it is: ${describeActions(found)}`;
    return { was: 'theirs', different };
  }
  if (isKnown(found)) {
    // Where the image itself is there, nothing was attached yet.
    const attached = keepGreen && !sameActions(found, place.actions);
    const wanted = attached ? (one: AlbPlace) => actionsAt(one.actions, route, 0) : image;
    await settleAt(alb, place, found, wanted);
    return { was: sameActions(found, wanted(place)) ? 'nothing' : 'ours', different: null };
  }
  const owners = await ownersText(clients, [...new Set([resource, route.listener])]);
  const back = actionsPutBack(found, place.actions, route, keepGreen);
  const was = sameActions(found, back) ? 'nothing' : 'ours';
  await settleAt(alb, place, found, () => back);
  const different = `somebody else changed ${name}, so it is not as it was (${describeActions(place.actions)}) but: ${describeActions(back)}${owners}`;
  return { was, different };
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
