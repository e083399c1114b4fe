/** Copies one range: straight from source to target, with nothing in between but a meter. */
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { failure } from '../../failure.js';
import { postgresFailure } from '../errors.js';
import type { Session } from '../session.js';
import { identifier, qualified } from '../statements.js';
import { whereOf, type CopyRange, type CopyTable } from './plan.js';
import type { RateLimit } from './rate.js';

/** Between the two sockets; more buys no speed, and memory grows with every range at once. */
const BUFFER_BYTES = 1024 * 1024;

export interface Copied {
  rows: number;
  bytes: number;
}

/**
 * COPY … TO into COPY … FROM, binary where both servers mean the same by it. `onBytes` hears of each chunk.
 * Fails with `CopyFailed`; the target's transaction is the caller's to roll back.
 */
export async function copyRange(
  reader: Session,
  writer: Session,
  table: CopyTable,
  range: CopyRange,
  limit: RateLimit,
  onBytes: (bytes: number) => void,
): Promise<Copied> {
  const columns = table.columns.map(identifier).join(', ');
  const where = whereOf(table, range);
  const output = reader.raw.query(
    copyTo(`copy (select ${columns} from only ${qualified(table)} ${where}) to stdout (format ${table.format})`, {
      highWaterMark: BUFFER_BYTES,
    }),
  );
  const list = columns === '' ? '' : `(${columns})`;
  const input = writer.raw.query(
    copyFrom(`copy ${qualified(table)} ${list} from stdin (format ${table.format})`, { highWaterMark: BUFFER_BYTES }),
  );
  let bytes = 0;
  const meter = new Transform({
    highWaterMark: BUFFER_BYTES,
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      onBytes(chunk.length);
      limit.pass(chunk.length).then(() => done(null, chunk), done);
    },
  });
  try {
    await pipeline(output, meter, input);
  } catch (error) {
    throw copyFailure(error, table);
  }
  return { rows: input.rowCount, bytes };
}

/** Classes 22 and 23 quote values of the row in their message, so only code and place are told. */
function copyFailure(error: unknown, table: CopyTable): Error {
  const place = `${table.schema}.${table.name}`;
  if (!(error instanceof pg.DatabaseError)) return postgresFailure(error, `copy rows of ${place}`);
  const code = error.code ?? 'XX000';
  if (!/^(22|23)/.test(code)) return postgresFailure(error, `copy rows of ${place}`);
  const about = [error.column && `column ${error.column}`, error.constraint && `constraint ${error.constraint}`].filter(
    Boolean,
  );
  return failure(
    'CopyFailed',
    `the target refuses rows of ${place}: SQLSTATE ${code}${about.length > 0 ? `, ${about.join(', ')}` : ''}`,
    'Its server log names the row; the source is untouched',
  );
}
