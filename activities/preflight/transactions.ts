/** What is open right now, and would hold up a slot, a lock or the fence. */
import type { Milliseconds } from '../../spec/normal.js';
import type { Session } from '../postgres/session.js';
import { literal, statement } from '../postgres/statements.js';
import { defineCheck, type Check, type Found } from './check.js';
import { each, listed, secondsText } from './evidence.js';

const TRANSACTIONS = statement(import.meta.url, './sql/transactions.sql');
const PREPARED = statement(import.meta.url, './sql/prepared.sql');
const MAINTENANCE = statement(import.meta.url, './sql/maintenance.sql');

type Id = 'long-transaction' | 'idle-in-transaction' | 'transaction-above-pause';

interface Transaction {
  pid: number;
  user: string;
  application: string;
  database: string;
  state: string;
  /** Seconds since its start, and since its session's last statement began or ended. */
  age: number;
  quiet: number;
  here: boolean;
}

export interface Limits {
  long: Milliseconds;
  idle: Milliseconds;
}

/** A minute is far above what an application's transactions take; 10 s without a statement is one that was forgotten. */
const LIMITS: Limits = { long: 60_000, idle: 10_000 };

/** @param limits smaller ones make a test's transactions long */
export function transactionsWithin(limits: Limits): Check<Id> {
  return defineCheck<Id>({
    topic: 'Open transactions',
    on: 'each side',
    rules: {
      'long-transaction': {
        severity: 'warning',
        title: 'A transaction has been open for more than a minute',
        why: 'The making of a slot waits for all transactions that were open before, of every database of the server, and so does the fence for those on its tables.',
        mend: 'Wait for it, or end it: SELECT pg_terminate_backend(pid).',
      },
      'idle-in-transaction': {
        severity: 'warning',
        title: 'A session is idle in its transaction',
        why: 'It holds its locks and its snapshot without working: the pooler cannot be paused while it stays, and a slot cannot be made.',
        mend: 'Let the application commit, or end it: SELECT pg_terminate_backend(pid). idle_in_transaction_session_timeout keeps it from coming back.',
      },
      'transaction-above-pause': {
        severity: 'warning',
        title: 'Transactions take longer than the pause allowed',
        why: 'A pause waits for open transactions, so with such ones the switch gives up and tries again later.',
        mend: 'Raise cutover.maxPause, or keep these jobs from running in cutover.window.',
      },
    },
    find: async (session, { move }) => {
      const open = await session.rows<Transaction>(TRANSACTIONS);
      const { maxPause } = move.database.cutover;
      const idle = open.filter((row) => row.state.startsWith('idle in') && row.quiet * 1000 > limits.idle);
      const long = open.filter((row) => !idle.includes(row) && row.age * 1000 > limits.long);
      const slow = open.filter((row) => row.here && row.age * 1000 > maxPause);
      return [
        ...reported('long-transaction', long, 'open for', (row) => row.age),
        ...reported('idle-in-transaction', idle, 'idle for', (row) => row.quiet),
        ...aboveThePause(session, slow, maxPause),
      ];
    },
  });
}

export const transactions = transactionsWithin(LIMITS);

const named = (row: Transaction): string =>
  `pid ${row.pid}, user ${row.user}, application ${row.application}, database ${row.database}`;

function reported(id: Id, rows: Transaction[], what: string, seconds: (row: Transaction) => number): Found<Id>[] {
  if (rows.length === 0) return [];
  return [
    {
      id,
      evidence: listed(rows.map((row) => `${named(row)}: ${what} ${secondsText(seconds(row))}`)),
      repair: each(rows, (row) => `SELECT pg_terminate_backend(${row.pid})`),
    },
  ];
}

/** Only the source's matter to the first switch; the target's will, to the way back. */
function aboveThePause(session: Session, rows: Transaction[], maxPause: Milliseconds): Found<Id>[] {
  const longest = rows[0];
  if (session.side !== 'source' || longest === undefined) return [];
  return [
    {
      id: 'transaction-above-pause',
      evidence: `the longest now is ${secondsText(longest.age)} old (${named(longest)}); cutover.maxPause is ${secondsText(maxPause / 1000)}`,
      repair: [
        `Set cutover.maxPause above ${secondsText(longest.age)}, or cutover.window to hours when such transactions don't run`,
      ],
    },
  ];
}

export const preparedTransactions = defineCheck<'prepared-transaction'>({
  topic: 'Open transactions',
  on: 'each side',
  rules: {
    'prepared-transaction': {
      severity: 'error',
      title: 'Prepared transactions are waiting for their second phase',
      why: 'They outlive their sessions and crashes, hold their locks against the fence, and keep slots from being made, on the whole server.',
      mend: "Finish each in its database: COMMIT PREPARED 'gid' or ROLLBACK PREPARED 'gid', as its transaction manager says.",
    },
  },
  find: async (session) => {
    const rows = await session.rows<{ gid: string; owner: string; database: string; age: number }>(PREPARED);
    if (rows.length === 0) return [];
    return [
      {
        id: 'prepared-transaction',
        evidence: listed(
          rows.map((row) => `${row.gid} of ${row.owner} in database ${row.database}, for ${secondsText(row.age)}`),
        ),
        repair: each(
          rows,
          ({ gid, database }) =>
            `In database ${database}: COMMIT PREPARED ${literal(gid)} or ROLLBACK PREPARED ${literal(gid)}`,
        ),
      },
    ];
  },
});

export const maintenance = defineCheck<'maintenance-running'>({
  topic: 'Open transactions',
  on: 'each side',
  rules: {
    'maintenance-running': {
      severity: 'info',
      title: 'Maintenance holds locks on tables',
      why: 'Index builds and vacuums against wraparound do not yield to the fence.',
      mend: 'Let them finish before the switch.',
    },
  },
  find: async (session) => {
    const rows = await session.rows<{ pid: number; what: string; name: string }>(MAINTENANCE);
    if (rows.length === 0) return [];
    return [
      {
        id: 'maintenance-running',
        evidence: listed(rows.map((row) => `${row.what} of ${row.name} (pid ${row.pid})`)),
        repair: ['Let them finish before the switch'],
      },
    ];
  },
});
