/** The activity `grantsDatabase`: what an administrator runs on each side of one database. Reads only. */
import type { Grant, Platform, SideGrants } from '../../spec/grants.js';
import type { DatabaseMove } from '../contract.js';
import { failure } from '../failure.js';
import { followerOf } from '../postgres/connection.js';
import { resolveTables } from '../postgres/scope.js';
import { bothSides, type Sides } from '../postgres/sides.js';
import { WAYS } from './platform.js';
import { rightsOn, rightsToCopy, type Right, type SideRights } from './rights.js';
import { specialRights } from './special.js';

const READ_ONLY = 'begin transaction read only';

/** Both roles have to exist, with LOGIN and a password: nobody else can tell what they lack. */
export async function grantsDatabase(input: { move: DatabaseMove; platform: Platform | null }): Promise<SideGrants[]> {
  await using sides = await bothSides(input.move, 'grants');
  const { source, target } = sides;
  return await source.transaction(
    () => target.transaction(() => grantsOf(input.move, sides, input.platform), READ_ONLY),
    READ_ONLY,
  );
}

async function grantsOf(move: DatabaseMove, sides: Sides, platform: Platform | null): Promise<SideGrants[]> {
  const tables = await resolveTables(sides.source, move.database.tables);
  const toCopy = await rightsToCopy(sides.source, sides.target, move, tables);
  const made: SideGrants[] = [];
  for (const side of ['source', 'target'] as const) {
    const seen = await rightsOn(sides.of(side), tables, await followerOf(move.database, side), platform);
    if (seen === null) throw failure('Unexpected', `the ${side} does not know the role of its own session`);
    const special = await specialRights(sides, side, move, tables);
    made.push(sideGrants(move, side, seen, [...(side === 'target' ? toCopy : []), ...seen.rights, ...special]));
  }
  return made;
}

function sideGrants(move: DatabaseMove, side: 'source' | 'target', seen: SideRights, rights: Right[]): SideGrants {
  const { facts, platform, impossible } = seen;
  const logical = facts.walLevel === 'logical';
  return {
    unit: move.database.unit,
    side,
    role: facts.role,
    database: facts.database,
    serverVersion: facts.version,
    platform,
    superuser: facts.superuser,
    statements: unique(rights),
    settings: logical
      ? []
      : [{ name: 'wal_level', found: facts.walLevel, wanted: 'logical', how: WAYS[platform].walLevel }],
    impossible,
  };
}

/** A role may be needed for two reasons; one statement does. */
function unique(rights: Right[]): Grant[] {
  const first = new Map<string, Grant>();
  for (const { sql, why, held } of rights) if (!first.has(sql)) first.set(sql, { sql, why, held });
  return [...first.values()];
}
