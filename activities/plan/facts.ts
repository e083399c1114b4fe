/** What a plan is made from, read from both sides. */
import type { DatabaseFacts } from '../../spec/plan.js';
import type { DatabaseMove } from '../contract.js';
import { resolveTables, type ScopeTable } from '../postgres/scope.js';
import type { Session } from '../postgres/session.js';
import { statement } from '../postgres/statements.js';
import { readShape, signatureOf } from './shape.js';
import { readSize, type Size } from './size.js';

const SYSTEM = statement(import.meta.url, './sql/system.sql');

export interface Reading {
  facts: DatabaseFacts;
  size: Size;
  tables: ScopeTable[];
  /** Which sides let the role of the migration make event triggers. */
  eventTriggers: { source: boolean; target: boolean };
}

interface System {
  systemIdentifier: string;
  serverVersion: string;
  database: string;
  superuser: boolean;
}

/** Both sessions in transactions that can't write. Fails with `InvalidSpec` if the patterns name no table. */
export async function readFacts(move: DatabaseMove, source: Session, target: Session): Promise<Reading> {
  const tables = await resolveTables(source, move.database.tables);
  const [here, there] = [await readSystem(source), await readSystem(target)];
  const size = await readSize(source, tables);
  const schemaSignature = signatureOf(await readShape(source, tables));
  return {
    tables,
    size,
    eventTriggers: { source: here.superuser, target: there.superuser },
    facts: {
      unit: move.database.unit,
      source: identityOf(here),
      target: identityOf(there),
      tables: tables.length,
      bytes: size.bytes,
      rowsEstimate: size.rows,
      schemaSignature,
    },
  };
}

function identityOf({ systemIdentifier, serverVersion, database }: System): DatabaseFacts['source'] {
  return { systemIdentifier, serverVersion, database };
}

async function readSystem(session: Session): Promise<System> {
  const system = await session.row<System & Record<string, unknown>>(SYSTEM);
  if (!system) throw new Error('pg_control_system() gave no row');
  return system;
}
