/** The activity `planDatabase`: what will be done to one database, without doing any of it. */
import type { DatabaseMove, PlanPart } from '../contract.js';
import { bothSides } from '../postgres/sides.js';
import { readUrl } from '../postgres/url.js';
import { preflightDatabase } from '../preflight/preflight.js';
import { resolveSecret } from '../secrets.js';
import { readFacts } from './facts.js';
import { stepsOf } from './steps.js';

const READ_ONLY = 'begin transaction read only';

/** Reads only. Fails when either side can't be reached, since a plan without facts would bind to nothing. */
export async function planDatabase(move: DatabaseMove): Promise<PlanPart> {
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
  const url = readUrl(await resolveSecret(database.target));
  const entries = database.endpoints.map((endpoint): [string, string] => {
    const { host, port } = endpoint.hosts.target ?? { host: url.host ?? '127.0.0.1', port: Number(url.port ?? 5432) };
    return [endpoint.name, `${host}:${port}`];
  });
  return new Map(entries);
}
