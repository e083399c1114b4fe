/** The activity `preflightDatabase`: runs every check that can run, each in a transaction that can't write. */
import type { Finding } from '../../spec/findings.js';
import { cancellation, heartbeat } from '../activity-context.js';
import type { DatabaseMove } from '../contract.js';
import { resolveTables, scopeTables, type ScopeTable } from '../postgres/scope.js';
import type { Session } from '../postgres/session.js';
import type { Check, Found, Look } from './check.js';
import { CHECKS } from './checks.js';
import { connect, CONNECTION_RULES, disconnect, notOpened, type Connections } from './connections.js';

const SEVERITIES: Finding['severity'][] = ['error', 'warning', 'info'];

/** Changes nothing: reads, and rolls back what it tries. Errors come first; whatever could not be reached or looked at is a finding, too. */
export async function preflightDatabase(move: DatabaseMove): Promise<Finding[]> {
  return preflightWith(move, CHECKS);
}

/** As `preflightDatabase`, with some of the checks alone. */
export async function preflightWith(move: DatabaseMove, checks: Check[]): Promise<Finding[]> {
  const connections = await connect(move);
  try {
    const findings = await examine(move, checks, connections);
    return SEVERITIES.flatMap((severity) => findings.filter((finding) => finding.severity === severity));
  } finally {
    await disconnect(connections);
  }
}

async function examine(move: DatabaseMove, checks: Check[], connections: Connections): Promise<Finding[]> {
  const findings = connections.findings;
  const look = await lookAround(move, connections);
  for (const check of checks) {
    cancellation().throwIfAborted();
    heartbeat();
    findings.push(...(await runCheck(check, look, connections)));
  }
  return findings;
}

async function lookAround(move: DatabaseMove, connections: Connections): Promise<Look> {
  const { source, target } = connections;
  let tables: ScopeTable[] = [];
  let claimed = false;
  if (source) {
    try {
      tables = await readOnly([source], () => resolveTables(source, move.database.tables));
    } catch (error) {
      connections.findings.push(complaint(move, 'table-unknown', 'source', error));
    }
  }
  for (const session of [source, target]) {
    // Refused: then it isn't claimed by this role.
    const held = session ? await readOnly([session], () => scopeTables(session, move.key)).catch(() => []) : [];
    claimed ||= held.length > 0;
  }
  return { move, tables, claimed };
}

/** The findings of one check; one that fails is a finding, and the others go on. */
export async function runCheck(check: Check, look: Look, connections: Connections): Promise<Finding[]> {
  const { source, target, endpoints } = connections;
  const findings: Finding[] = [];
  const collect = async (
    side: Finding['side'],
    used: (Session | undefined)[],
    find: () => Promise<Found<string>[]>,
  ) => {
    if (used.some((session) => session?.lost)) return;
    try {
      const found = await readOnly(used, find);
      findings.push(...found.map((one) => findingOf(check, look.move, side, one)));
    } catch (error) {
      findings.push(...lostOrFailed(check, look.move, side, used, error));
    }
  };
  switch (check.on) {
    case 'each side':
      if (source) await collect('source', [source], () => check.find(source, look));
      if (target) await collect('target', [target], () => check.find(target, look));
      return findings;
    case 'source':
      if (source) await collect('source', [source], () => check.find(source, look));
      return findings;
    case 'target':
      if (target) await collect('target', [target], () => check.find(target, look));
      return findings;
    case 'both':
      if (source && target) await collect('both', [source, target], () => check.find({ source, target }, look));
      return findings;
    case 'endpoint': {
      const sessions = { ...(source ? { source } : {}), ...(target ? { target } : {}) };
      for (const open of endpoints) {
        await collect('endpoint', [source, target], () => check.find(open, look, sessions));
      }
      return findings;
    }
    case 'specification':
      await collect('endpoint', [], () => check.find(look));
      return findings;
    case 'source and all endpoints':
      if (source) await collect('source', [source], () => check.find(source, endpoints, look));
      return findings;
  }
}

/** `work` in a transaction on each session that refuses to write. */
async function readOnly<T>(sessions: (Session | undefined)[], work: () => Promise<T>): Promise<T> {
  const [session, ...others] = sessions;
  if (sessions.length === 0) return work();
  const inner = (): Promise<T> => readOnly(others, work);
  return session ? session.transaction(inner, 'begin transaction read only') : inner();
}

function findingOf(check: Check, move: DatabaseMove, side: Finding['side'], found: Found<string>): Finding {
  const rule = check.rules[found.id];
  if (!rule) throw new Error(`a check of ${check.topic} reports ${found.id}, which has no rule`);
  const { severity, title } = rule;
  const { id, evidence, repair } = found;
  return { id, severity, unit: move.database.unit, side: found.side ?? side, title, evidence, repair };
}

function lostOrFailed(
  check: Check,
  move: DatabaseMove,
  side: Finding['side'],
  used: (Session | undefined)[],
  error: unknown,
): Finding[] {
  const lost = used.filter((session) => session?.lost);
  if (lost.length > 0) {
    return lost.map((session) => notOpened(move, session?.side === 'source' ? 'source' : 'target', error));
  }
  return [complaint(move, 'check-failed', side, error, Object.keys(check.rules).join(', '))];
}

function complaint(
  move: DatabaseMove,
  id: 'check-failed' | 'table-unknown',
  side: Finding['side'],
  error: unknown,
  what?: string,
): Finding {
  const { severity, title, mend } = CONNECTION_RULES[id];
  const message = error instanceof Error ? error.message : 'unknown error';
  const evidence = what === undefined ? message : `${what}: ${message}`;
  return { id, severity, unit: move.database.unit, side, title, evidence, repair: [mend] };
}
