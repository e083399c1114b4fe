/** The activities on traffic: what is common to load balancers and records, and which code has the rest. */
import { failure } from '../failure.js';
import type { AlbImage, Route53Image, TrafficActivities, TrafficImage, TrafficMove } from '../traffic-contract.js';
import {
  albMove,
  captureAlb,
  deregistrationDelay,
  finalizeAlb,
  lockAlb,
  longestStickiness,
  setAlb,
  undoAlb,
  undoAlbShift,
  type AlbMove,
} from './alb/change.js';
import { proveAlb } from './alb/proof.js';
import { applySettings, groupHealth } from './alb/target-group.js';
import { serveCertificate, undoServing } from './acm/listener.js';
import { lookAtCertificate, requestCertificate, undoCertificate } from './acm/request.js';
import { readValidation, undoValidation, writeValidation } from './acm/validation.js';
import { preflightTraffic } from './preflight/preflight.js';
import {
  captureRecords,
  finalizeRecords,
  lockRecords,
  recordHealth,
  recordMove,
  setRecords,
  undoRecords,
  undoRecordShift,
  type RecordMove,
} from './route53/change.js';
import { proveRecords } from './route53/proof.js';

/** Of blue's targets, so many must be healthy before traffic goes back to it: what it leaves is worse. */
const BLUE_SHARE = 0.5;

type Done<Name extends keyof TrafficActivities> = Awaited<ReturnType<TrafficActivities[Name]>>;

/** The code of the route's kind, with an image of the same kind. */
function routed<T>(
  { move, image }: { move: TrafficMove; image: TrafficImage },
  on: { alb: (alb: AlbMove, image: AlbImage) => T; route53: (records: RecordMove, image: Route53Image) => T },
): T {
  const { route } = move.traffic;
  if (route.kind === 'alb' && image.kind === 'alb') return on.alb(albMove(move, route), image);
  if (route.kind === 'route53' && image.kind === 'route53') return on.route53(recordMove(move, route), image);
  throw failure(
    'Unexpected',
    `${move.traffic.unit} is a unit of ${route.kind}, and its before-image is one of ${image.kind}`,
  );
}

export const trafficActivities = {
  preflightTraffic,

  requestCertificate,
  readValidation,
  writeValidation,
  lookAtCertificate,
  serveCertificate,
  undoServing,
  undoValidation,
  undoCertificate,

  captureTraffic: (move): Promise<TrafficImage> => {
    const { route } = move.traffic;
    return route.kind === 'alb' ? captureAlb(albMove(move, route)) : captureRecords(recordMove(move, route));
  },

  lockTraffic: (change) =>
    routed(change, {
      alb: (alb) => lockAlb(alb),
      route53: (records) => lockRecords(records),
    }),

  prepareGreen: (change) =>
    routed(change, {
      alb: async ({ clients, route }, { settings }) => {
        if (settings !== null) await applySettings(clients, route.green, settings.wanted);
      },
      route53: () => Promise.resolve(),
    }),

  greenHealth: (change) =>
    routed(change, {
      alb: ({ clients, route }) => groupHealth(clients, route.green, 1),
      route53: (records, { green }) => recordHealth(records, green),
    }),

  blueHealth: (change) =>
    routed(change, {
      alb: ({ clients, route }) => groupHealth(clients, route.blue, BLUE_SHARE),
      route53: (records, { blue }) => recordHealth(records, blue),
    }),

  setTraffic: ({ from, to, ...change }) =>
    routed<Promise<Done<'setTraffic'>>>(change, {
      alb: async (alb, image) => {
        await setAlb(alb, image, from, to);
        return { weight: to, settlesInMs: 0 };
      },
      route53: async (records, image) => {
        return { weight: to, settlesInMs: await setRecords(records, image, from, to) };
      },
    }),

  proveTraffic: ({ weight, sinceMs, ...change }) =>
    routed(change, {
      alb: (alb, image) => proveAlb(alb, image, weight, Date.now() - sinceMs),
      route53: (records, image) => proveRecords(records, image, weight),
    }),

  finalizeTraffic: ({ sinceMs = Infinity, ...change }) =>
    routed<Promise<Done<'finalizeTraffic'>>>(change, {
      alb: async (alb, image) => {
        const sticky = longestStickiness(image) - sinceMs;
        if (sticky > 0) return { detached: false, settlesInMs: sticky };
        await finalizeAlb(alb, image);
        return { detached: true, settlesInMs: await deregistrationDelay(alb) };
      },
      route53: async (records, image) => {
        await finalizeRecords(records, image);
        return { detached: true, settlesInMs: 0 };
      },
    }),

  undoShift: (change) =>
    routed(change, {
      alb: (alb, image) => undoAlbShift(alb, image),
      route53: (records, image) => undoRecordShift(records, image),
    }),

  undoTraffic: (change) =>
    routed(change, {
      alb: (alb, image) => undoAlb(alb, image),
      route53: (records, image) => undoRecords(records, image),
    }),
} satisfies Omit<TrafficActivities, 'planTraffic'>;
