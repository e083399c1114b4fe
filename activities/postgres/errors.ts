/**
 * Postgres errors as failures of the closed list. `detail`, `where` and `internalQuery` are dropped: Postgres puts
 * rows into them, and everything thrown here ends in a workflow history.
 */
import { ApplicationFailure } from '@temporalio/common';
import pg from 'pg';
import type { FailureType } from '../../spec/failures.js';
import { failure } from '../failure.js';

/** SQLSTATE of a failure made from a Postgres error, kept in `details`; undefined for others. */
export function sqlState(error: unknown): string | undefined {
  if (error instanceof ApplicationFailure) {
    const first = error.details?.[0];
    return typeof first === 'object' && first !== null && 'sqlState' in first ? String(first.sqlState) : undefined;
  }
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

/** Classes and codes: https://www.postgresql.org/docs/current/errcodes-appendix.html */
function typeOf(code: string): FailureType {
  if (code === '28P01' || code === '28000') return 'AuthenticationFailed';
  if (code === '3D000') return 'InvalidSpec';
  if (code === '42501') return 'PermissionDenied';
  if (code === '55P03' || code === '40P01' || code === '57014') return 'Blocked';
  if (code === '53100') return 'DiskFull';
  if (code.startsWith('08') || code.startsWith('57P') || code.startsWith('53')) return 'DatabaseUnreachable';
  return 'Unexpected';
}

export function postgresFailure(
  error: unknown,
  wanted: string,
  at?: { host: string; port: number },
): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error;
  const place = at ? ` at ${at.host}:${at.port}` : '';
  if (error instanceof pg.DatabaseError) {
    const code = error.code ?? 'XX000';
    const made = failure(typeOf(code), `could not ${wanted}${place}: ${error.message} (SQLSTATE ${code})`);
    return ApplicationFailure.create({
      type: made.type ?? 'Unexpected',
      message: made.message,
      nonRetryable: made.nonRetryable ?? false,
      details: [{ sqlState: code }],
    });
  }
  const reason = error instanceof Error ? error.message || error.name : String(error);
  return failure('DatabaseUnreachable', `could not ${wanted}${place}: ${reason}`);
}
