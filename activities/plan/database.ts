/** The activity `planDatabase`: what will be done to one database, without doing any of it. */
import type { DatabaseFacts } from '../../spec/plan.js';
import type { DatabaseMove, PlanPart } from '../contract.js';
import { placesOf } from '../places.js';
import { bothSides } from '../postgres/sides.js';
import { preflightDatabase } from '../preflight/preflight.js';
import { readFacts } from './facts.js';
import { stepsOf } from './steps.js';

const READ_ONLY = 'begin transaction read only';

/** Reads only. Fails when either side can't be reached, since a plan without facts would bind to nothing. */
export async function planDatabase(move: DatabaseMove): Promise<PlanPart<DatabaseFacts>> {
  const findings = await preflightDatabase(move);
  await using sides = await bothSides(move, 'plan');
  const { source, target } = sides;
  const reading = await source.transaction(
    () => target.transaction(() => readFacts(move, source, target), READ_ONLY),
    READ_ONLY,
  );
  return { facts: reading.facts, steps: stepsOf(move, reading, await targetPlaces(move)), findings };
}

/** Host and port that each endpoint will lead to; nothing else of the URL, which holds a password. */
async function targetPlaces({ database }: DatabaseMove): Promise<Map<string, string>> {
  const places = await Promise.all(
    database.endpoints.map(async (endpoint): Promise<[string, string]> => {
      const hosts = 'hosts' in endpoint ? endpoint.hosts : { source: null, target: null };
      const { target } = await placesOf(database, hosts);
      return [endpoint.name, `${target.host}:${target.port}`];
    }),
  );
  return new Map(places);
}
