/** Asks preflight for one finding, and does what its repair says. */
import type { DatabaseMove } from '../../activities/contract.js';
import { CHECKS } from '../../activities/preflight/checks.js';
import { preflightWith } from '../../activities/preflight/preflight.js';
import type { PostgresServer } from '../../lab/postgres.js';
import type { Finding } from '../../spec/findings.js';

/** The finding of this id, on this side; undefined when preflight doesn't report it. Runs the one check that knows it. */
export async function find(move: DatabaseMove, id: string, side?: Finding['side']): Promise<Finding | undefined> {
  const findings = await preflightWith(
    move,
    CHECKS.filter((check) => id in check.rules),
  );
  return findings.find((finding) => finding.id === id && (side === undefined || finding.side === side));
}

const STATEMENT = /^(ALTER|CREATE|DROP|GRANT|SELECT|TRUNCATE)\b/;

/** Runs every repair that is a statement, restarts if told to; answers the statements. */
export async function repair(
  finding: Finding | undefined,
  server: PostgresServer,
  database: string,
): Promise<string[]> {
  const statements = (finding?.repair ?? []).filter((text) => STATEMENT.test(text));
  for (const text of statements) await server.query(text, [], database);
  if (finding?.repair.includes('Restart the server')) await server.restart();
  return statements;
}
