/** The connections of a comparison: each lane compares one piece of work at a time, on three of its own. */
import type { Primary } from '../../../spec/status.js';
import type { DatabaseMove } from '../../contract.js';
import { Session } from '../session.js';
import { backendOf, type Backend } from './cancel.js';
import { otherSide } from '../sides.js';

/**
 * What the hash's text forms depend on beyond the settings of every session, and how these sessions behave: JIT costs
 * 0.3 s on each of the many statements; 64 MB hold the 65,536 groups of a pass, which Postgres would sort all rows for,
 * since it takes each row for a group of its own (1.65 times the time of the hash alone; without sorting 1.22); a marker
 * needs no standby's word, and would wait for ever where one is missing.
 */
const PINNED = `select set_config('lc_monetary', 'C', false), set_config('jit', 'off', false),
  set_config('work_mem', '64MB', false), set_config('enable_sort', 'off', false), set_config('synchronous_commit', 'local', false),
  case when current_setting('server_version_num')::int >= 140000
       then set_config('client_connection_check_interval', '5s', false) end`;

/** As the certificate names them. */
export const PINNED_SETTINGS = {
  DateStyle: 'ISO, YMD',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  bytea_output: 'hex',
  extra_float_digits: '1',
  lc_monetary: 'C',
  client_encoding: 'UTF8',
};

export interface Lane {
  primary: Session;
  standby: Session;
  /** On the primary too: holds locks while a marker passes, which a transaction of its own must write. */
  locker: Session;
  signal: AbortSignal;
}

export class Lanes {
  readonly #move: DatabaseMove;
  readonly backends: Backend[] = [];
  readonly lanes: Lane[] = [];

  private constructor(move: DatabaseMove) {
    this.#move = move;
  }

  static async open(move: DatabaseMove, primary: Primary, count: number, signal: AbortSignal): Promise<Lanes> {
    const opened = new Lanes(move);
    try {
      for (let index = 0; index < count; index += 1) {
        opened.lanes.push({
          primary: await opened.#session(primary),
          locker: await opened.#session(primary),
          standby: await opened.#session(otherSide(primary)),
          signal,
        });
      }
      return opened;
    } catch (error) {
      await opened[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #session(side: Primary): Promise<Session> {
    const session = await Session.open(side, this.#move.database[side], {
      purpose: `${this.#move.key} validation`,
    });
    this.backends.push(await backendOf(session, side));
    await session.rows(PINNED);
    return session;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.backends.map(({ session }) => session.close()));
  }
}

/** For a comparison on sessions of somebody else. */
export async function pin(session: Session): Promise<void> {
  await session.rows(`select set_config('lc_monetary', 'C', false)`);
}
