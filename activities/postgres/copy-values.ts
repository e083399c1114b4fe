/** Large values as they are: in an answer to a query they come as text, twice as long, and are held twice more until they are bytes again. */
import { to as copyTo } from 'pg-copy-streams';
import { postgresFailure } from './errors.js';
import type { Session } from './session.js';

/** Signature, flags, and the length of an extension that there is none of. */
const HEADER_BYTES = 19;
/** Of each row: how many columns it has, and the length of the only one. */
const ROW_BYTES = 6;
const END = -1;

/**
 * The only column of each row of `query`, a bytea that is never null, in their order. `take` answers whether it wants more; what comes
 * then is passed over, as it is after a throw, so that the session is as it was. Fails as statements do.
 * https://www.postgresql.org/docs/current/sql-copy.html (binary format)
 */
export async function copyValues(session: Session, query: string, take: (value: Buffer) => boolean): Promise<boolean> {
  const values = new Values();
  let wanted = true;
  let thrown: { error: unknown } | null = null;
  try {
    for await (const chunk of session.raw.query(copyTo(`copy (${query}) to stdout (format binary)`))) {
      if (!wanted || thrown !== null) continue;
      try {
        wanted = values.add(chunk as Buffer).every(take);
      } catch (error) {
        thrown = { error };
      }
    }
  } catch (error) {
    throw postgresFailure(error, `run a statement on the ${session.side}`);
  }
  if (thrown !== null) throw thrown.error;
  return wanted;
}

/** Puts together what comes in pieces. */
class Values {
  #held: Buffer[] = [];
  #size = 0;
  /** Bytes before there is anything more to be told. */
  #next = HEADER_BYTES + ROW_BYTES;
  #begun = false;

  add(chunk: Buffer): Buffer[] {
    this.#held.push(chunk);
    this.#size += chunk.length;
    if (this.#size < this.#next) return [];
    const bytes = Buffer.concat(this.#held);
    const found: Buffer[] = [];
    let at = this.#begun ? 0 : HEADER_BYTES;
    this.#begun = true;
    this.#next = ROW_BYTES;
    while (at + ROW_BYTES <= bytes.length && bytes.readInt16BE(at) !== END) {
      const end = at + ROW_BYTES + bytes.readInt32BE(at + 2);
      if (end > bytes.length) {
        this.#next = end - at;
        break;
      }
      found.push(bytes.subarray(at + ROW_BYTES, end));
      at = end;
    }
    this.#held = [bytes.subarray(at)];
    this.#size = bytes.length - at;
    return found;
  }
}
