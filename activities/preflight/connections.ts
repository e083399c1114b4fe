/** Opens everything preflight looks at; what can't be opened is a finding, and the rest is looked at all the same. */
import { ApplicationFailure } from '@temporalio/common';
import type { Finding } from '../../spec/findings.js';
import type { SecretReference } from '../../spec/normal.js';
import type { DatabaseMove } from '../contract.js';
import { PgBouncerAdmin } from '../pgbouncer/admin.js';
import { sqlState } from '../postgres/errors.js';
import { Session } from '../postgres/session.js';
import type { OpenEndpoint, Rules, Sessions } from './check.js';

export type ConnectionId =
  | 'database-unreachable'
  | 'authentication-failed'
  | 'secret-unavailable'
  | 'database-missing'
  | 'url-invalid'
  | 'endpoint-unreachable'
  | 'table-unknown'
  | 'check-failed';

export const CONNECTION_RULES: Rules<ConnectionId> = {
  'database-unreachable': {
    severity: 'error',
    title: 'The database cannot be reached',
    why: 'Nothing can be read, so nothing about it was checked.',
    mend: 'Start the server, correct host and port, or let the worker through the firewall. The worker has to reach it, not the CLI.',
  },
  'authentication-failed': {
    severity: 'error',
    title: 'The login was refused',
    why: 'User or password are wrong, or pg_hba.conf or a missing CONNECT right keep the user out.',
    mend: "Correct the secret's user and password, or add a line to pg_hba.conf for the worker's address.",
  },
  'secret-unavailable': {
    severity: 'error',
    title: 'A secret cannot be read',
    why: 'The worker resolves references to secrets where it runs, and found nothing there.',
    mend: 'Set the variable or mount the file where the worker runs, and give it the right to read the secret.',
  },
  'database-missing': {
    severity: 'error',
    title: 'The database does not exist',
    why: 'The server is there, the database that the URL names is not.',
    mend: 'CREATE DATABASE …, or correct the name in the URL.',
  },
  'url-invalid': {
    severity: 'error',
    title: 'The URL cannot be understood',
    why: 'It is not of the form postgres://user:password@host:port/database.',
    mend: 'Correct it. Characters such as @ : / in a password are written percent-encoded.',
  },
  'endpoint-unreachable': {
    severity: 'error',
    title: 'The admin console of PgBouncer cannot be reached',
    why: 'The switch pauses, points and resumes it through its admin console.',
    mend: "Start it, correct its URL, or let the worker's address in.",
  },
  'table-unknown': {
    severity: 'error',
    title: 'Patterns name tables that do not exist, or a part of what moves together',
    why: 'Most likely a name is misspelt, and a table would stay behind. Or a partition or a child would move without its parent, and writes to that one would reach its rows past the fence.',
    mend: 'Correct tables.include and tables.exclude.',
  },
  'check-failed': {
    severity: 'warning',
    title: 'A check could not be made',
    why: 'No evidence is not good evidence: what it looks for may be there.',
    mend: 'Mend what the evidence says, and run preflight again.',
  },
};

/** What the errors of opening mean. */
const BY_FAILURE: Record<string, ConnectionId> = {
  DatabaseUnreachable: 'database-unreachable',
  EndpointFailed: 'endpoint-unreachable',
  AuthenticationFailed: 'authentication-failed',
  PermissionDenied: 'authentication-failed',
  SecretUnavailable: 'secret-unavailable',
  InvalidSpec: 'url-invalid',
};

/** SQLSTATE of "database does not exist". */
const NO_SUCH_DATABASE = '3D000';

export interface Connections extends Partial<Sessions> {
  endpoints: OpenEndpoint[];
  findings: Finding[];
}

export async function connect(move: DatabaseMove): Promise<Connections> {
  const connections: Connections = { endpoints: [], findings: [] };
  const { database } = move;
  const open = async (side: 'source' | 'target', url: SecretReference): Promise<void> => {
    try {
      connections[side] = await Session.open(side, url, { purpose: `${move.key} preflight` });
    } catch (error) {
      connections.findings.push(notOpened(move, side, error));
    }
  };
  await Promise.all([
    open('source', database.source),
    open('target', database.target),
    ...database.endpoints.map(async (endpoint) => {
      if (endpoint.kind !== 'pgbouncer') return;
      try {
        const admin = await PgBouncerAdmin.open(endpoint.name, endpoint.admin);
        connections.endpoints.push({ endpoint, admin });
      } catch (error) {
        connections.findings.push(notOpened(move, 'endpoint', error));
      }
    }),
  ]);
  return connections;
}

export async function disconnect(connections: Connections): Promise<void> {
  await Promise.all([
    connections.source?.close(),
    connections.target?.close(),
    ...connections.endpoints.map(({ admin }) => admin.close()),
  ]);
}

/** The finding of what could not be opened, or was lost. */
export function notOpened(move: DatabaseMove, side: 'source' | 'target' | 'endpoint', error: unknown): Finding {
  const id = meaningOf(error, side);
  const { severity, title, mend } = CONNECTION_RULES[id];
  const message = error instanceof Error ? error.message : 'unknown error';
  return { id, severity, title, unit: move.database.unit, side, evidence: message, repair: [mend] };
}

function meaningOf(error: unknown, side: 'source' | 'target' | 'endpoint'): ConnectionId {
  if (sqlState(error) === NO_SUCH_DATABASE) return 'database-missing';
  // PgBouncer's errors come as EndpointFailed, whatever they are.
  if (
    side === 'endpoint' &&
    error instanceof Error &&
    /authentication failed|no such user|password/i.test(error.message)
  ) {
    return 'authentication-failed';
  }
  const type = error instanceof ApplicationFailure ? error.type : undefined;
  const unreachable = side === 'endpoint' ? 'endpoint-unreachable' : 'database-unreachable';
  return BY_FAILURE[type ?? ''] ?? unreachable;
}
