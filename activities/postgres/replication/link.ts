/**
 * Whether the server that will receive reaches the one that sends, as its subscription will: by its own resolver, network,
 * password file and certificates. Tried by a subscription that is rolled back, since nothing else connects in the same way;
 * otherwise a wrong password would show when the rows have been copied, hours later.
 */
import type { FailureType } from '../../../spec/failures.js';
import type { Primary } from '../../../spec/status.js';
import type { DatabaseMove } from '../../contract.js';
import { failure } from '../../failure.js';
import { publisherOf, urlOf } from '../connection.js';
import { sqlState } from '../errors.js';
import { scopeNames } from '../names.js';
import type { Session } from '../session.js';
import { otherSide } from '../sides.js';
import { trySubscription } from './subscription.js';

/** A packet that a firewall drops is answered by nobody; the system itself would wait for two minutes. */
export const LINK_PATIENCE_MS = 10_000;

export interface LinkProblem {
  type: FailureType;
  /** Both ends, and why. */
  message: string;
  repair: string;
}

/**
 * @param receiver session on the side that receives
 * @param published name of a publication that is there, whose tables are proven to be here, too; null: only the way is tried
 */
export async function linkProblem(
  receiver: Session,
  move: DatabaseMove,
  sender: Primary,
  published: string | null,
): Promise<LinkProblem | null> {
  const name = `${scopeNames(move.key).slot(sender)}_try`;
  const publisher = publisherOf(move.database, sender);
  try {
    await trySubscription(receiver, { name, publication: published ?? name, publisher }, LINK_PATIENCE_MS);
    return null;
  } catch (error) {
    return explainLink(error, move, sender);
  }
}

/** Fails, naming both ends and the repair, unless the server that receives reaches the one that sends. */
export async function requireLink(receiver: Session, move: DatabaseMove, sender: Primary): Promise<void> {
  const problem = await linkProblem(receiver, move, sender, scopeNames(move.key).publication);
  if (problem !== null) throw failure(problem.type, problem.message, problem.repair);
}

/** What CREATE SUBSCRIPTION has said, for the person who has to mend it. */
export async function explainLink(error: unknown, move: DatabaseMove, sender: Primary): Promise<LinkProblem> {
  const receiver = otherSide(sender);
  const { url } = publisherOf(move.database, sender);
  const { host, port, user } = await urlOf(sender, url);
  const place = `${host ?? 'localhost'}:${port ?? '5432'}`;
  const who = user === null ? '' : ` as ${user}`;
  const option = `${sender}.replication.url`;
  const told = error instanceof Error ? error.message.replaceAll(/\s+/g, ' ') : String(error);
  const late = sqlState(error) === '57014';
  const reason = late ? `no answer within ${LINK_PATIENCE_MS / 1_000} s` : told;
  const { type, repair } = late ? UNREACHABLE : kindOf(told, sqlState(error));
  return {
    type,
    message: `the server of the ${receiver} can't subscribe to the ${sender} at ${place}${who}: ${reason}`,
    repair: repair({ receiver, sender, place, option }),
  };
}

interface Ends {
  receiver: Primary;
  sender: Primary;
  place: string;
  option: string;
}

interface Kind {
  type: FailureType;
  repair: (ends: Ends) => string;
}

const UNREACHABLE: Kind = {
  type: 'DatabaseUnreachable',
  repair: ({ receiver, sender, place, option }) =>
    `Let the server of the ${receiver} reach ${place} (firewall, security group, pg_hba.conf of the ${sender}, certificates); where it has to use another address, name that one in ${option}`,
};

const UNKNOWN_LOGIN: Kind = {
  type: 'AuthenticationFailed',
  repair: ({ receiver, sender, option }) =>
    `Correct user and password in ${option} (${sender}.url stands for it where it is not set), and let the server of the ${receiver} in by pg_hba.conf of the ${sender}`,
};

const NO_RIGHT: Kind = {
  type: 'PermissionDenied',
  repair: ({ receiver, sender }) =>
    `"godwit plan --grants" prints what the roles need on the ${sender} and on the ${receiver}; a role without superuser also needs a password in the URL, and a pg_hba.conf that asks for it`,
};

/** The words are the publisher's, as libpq hands them on; without their code. In another language they count as unreachable. */
function kindOf(told: string, state: string | undefined): Kind {
  if (/password authentication failed|no password supplied|pg_hba\.conf|role ".*" does not exist/.test(told)) {
    return UNKNOWN_LOGIN;
  }
  if (state === '42501' || state === '2F003') return NO_RIGHT;
  if (/permission denied|password is required|must be superuser/.test(told)) return NO_RIGHT;
  return UNREACHABLE;
}
