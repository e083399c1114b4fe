/** What a TAB may offer that only a server or a folder knows. Whatever takes too long is left out. */
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { connect, type ConnectionFlags, type Temporal } from '../connection.js';
import { listMigrations } from '../migrations.js';
import { viewMigration } from '../view.js';

export interface Candidate {
  value: string;
  description: string;
}

export interface Candidates {
  ids: Candidate[];
  gates: Candidate[];
  units: Candidate[];
}

/** A person waits with the finger on TAB. */
const PATIENCE_MS = 900;

const NONE: Candidates = { ids: [], gates: [], units: [] };

/** @param id the migration that is on the command line already, if any */
export async function candidates(
  env: NodeJS.ProcessEnv,
  flags: ConnectionFlags,
  id: string | null,
): Promise<Candidates> {
  const late = new Promise<Candidates>((resolve) => setTimeout(resolve, PATIENCE_MS, NONE).unref());
  return Promise.race([ask(env, flags, id).catch(() => NONE), late]);
}

async function ask(env: NodeJS.ProcessEnv, flags: ConnectionFlags, id: string | null): Promise<Candidates> {
  const temporal = await connect(flags, env, PATIENCE_MS);
  try {
    return id === null ? { ...NONE, ids: await knownIds(temporal) } : await knownParts(temporal, id);
  } finally {
    await temporal.connection.close();
  }
}

async function knownIds(temporal: Temporal): Promise<Candidate[]> {
  const known = await listMigrations(temporal, { all: true, limit: 50 });
  const newest = new Map(known.toReversed().map((migration) => [migration.id, migration]));
  return [...newest.values()].map(({ id, state, execution }) => ({
    value: id,
    description: state ?? execution.toLowerCase(),
  }));
}

async function knownParts(temporal: Temporal, id: string): Promise<Candidates> {
  const { status } = await viewMigration(temporal, id);
  return {
    ids: [],
    gates: status.gates
      .filter(({ state }) => state !== 'off')
      .map((gate) => ({ value: gate.id, description: gate.state })),
    units: status.units.map(({ unit, state }) => ({ value: unit, description: state })),
  };
}

/** Folders, and files that may be a specification or a plan. */
export function fileCandidates(typed: string): Candidate[] {
  const folder = typed.endsWith('/') ? typed : dirname(typed);
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
      const path = folder === '.' ? entry.name : join(folder, entry.name);
      if (entry.isDirectory()) return entry.name.startsWith('.') ? [] : [{ value: `${path}/`, description: '' }];
      return /\.(ya?ml|json|plan)$/.test(entry.name) ? [{ value: path, description: '' }] : [];
    });
  } catch {
    return [];
  }
}
