/** What the record of a load and the rows of a database say together. No I/O: what is judged is given. */
import type { LoadRecord, Microseconds, RecordedRequest } from '../load/record.js';
import { handovers, unexplained, type Acceptance, type Handover, type SwitchWindow } from './handovers.js';

/** What the primary holds of one request. */
export interface StoredRequest {
  id: string;
  /** How often it is there; 1 is right. */
  copies: number;
  /** All its rows are there, and they are what the request makes. */
  whole: boolean;
  server: string;
  acceptedAt: Microseconds;
}

export interface Ledger {
  /** Accounts whose balance isn't the sum of their entries. */
  accountsOff: number;
  /** Sums over all entries and all balances; each must be 0. */
  entriesSum: string;
  balancesSum: string;
}

export interface Verdict {
  /** Only if every promise held, and the evidence suffices to say so. */
  ok: boolean;
  requests: { sent: number; writes: number; acknowledged: number; failed: number; unknown: number };
  /** Acknowledged, and not there, or not whole. */
  lost: string[];
  /** There more than once. */
  doubled: string[];
  /** There, although the client was told that it failed; or of this run, and never sent. */
  unexpected: string[];
  /** Writes whose row names another server than the one that acknowledged them. */
  misplaced: string[];
  /** Times that writes went to another server without a switch that explains it. */
  twoWriters: Handover[];
  /** Times that writes went to another server, all in all. */
  handovers: number;
  ledger: Ledger;
  /** What the evidence can't carry: a record that ends early, clocks that disagree, no writes at all. */
  doubts: string[];
}

/**
 * The server's moment lies within the client's request if both read one clock. Beyond this, the order of moments of two
 * servers proves nothing.
 */
const CLOCKS_AGREE_WITHIN: Microseconds = 50_000;

export function judge(
  record: LoadRecord,
  stored: StoredRequest[],
  ledger: Ledger,
  switches: SwitchWindow[] | { count: number },
): Verdict {
  const writes = record.requests.filter((request) => request.kind !== 'read');
  const byId = new Map(stored.map((row) => [row.id, row]));
  const sent = new Map(writes.map((request) => [request.id, request]));
  const acknowledged = writes.filter((request) => request.outcome === 'acknowledged');

  const lost = acknowledged.filter(({ id }) => byId.get(id)?.whole !== true || byId.get(id)?.copies === 0);
  const doubled = stored.filter(({ copies }) => copies > 1);
  const unexpected = stored.filter(({ id }) => {
    const request = sent.get(id);
    return request === undefined ? record.complete : request.outcome === 'failed';
  });
  const misplaced = acknowledged.filter(({ id, server }) => {
    const row = byId.get(id);
    return row !== undefined && row.server !== server;
  });

  const passed = handovers(acceptances(acknowledged, stored));
  const twoWriters = unexplained(passed, switches);
  const doubts = doubtsAbout(record, acknowledged);
  const count = (outcome: RecordedRequest['outcome']): number =>
    record.requests.filter((request) => request.outcome === outcome).length;
  const ids = (found: { id: string }[]): string[] => found.map(({ id }) => id);
  return {
    ok:
      [lost, doubled, unexpected, misplaced, twoWriters, doubts].every((found) => found.length === 0) &&
      ledger.accountsOff === 0 &&
      Number(ledger.entriesSum) === 0 &&
      Number(ledger.balancesSum) === 0,
    requests: {
      sent: record.requests.length,
      writes: writes.length,
      acknowledged: count('acknowledged'),
      failed: count('failed'),
      unknown: count('unknown'),
    },
    lost: ids(lost),
    doubled: ids(doubled),
    unexpected: ids(unexpected),
    misplaced: ids(misplaced),
    twoWriters,
    handovers: passed.length,
    ledger,
    doubts,
  };
}

/** What clients were told, and what is there: a write of unknown outcome that is there was accepted, too. */
function acceptances(acknowledged: RecordedRequest[], stored: StoredRequest[]): Acceptance[] {
  const known = new Map<string, Acceptance>();
  for (const { id, server, acceptedAt } of stored) known.set(id, { id, server, at: acceptedAt });
  for (const { id, server, acceptedAt } of acknowledged) {
    if (server !== null && acceptedAt !== null) known.set(id, { id, server, at: acceptedAt });
  }
  return [...known.values()];
}

function doubtsAbout(record: LoadRecord, acknowledged: RecordedRequest[]): string[] {
  const doubts: string[] = [];
  if (!record.complete) doubts.push('the record ends before the load did');
  if (acknowledged.length === 0) doubts.push('no write was acknowledged');
  const nameless = acknowledged.filter(({ server, acceptedAt }) => server === null || acceptedAt === null);
  if (nameless.length > 0) doubts.push(`${nameless.length} acknowledged writes don't say who accepted them`);
  const apart = acknowledged.filter(
    ({ acceptedAt, startedAt, endedAt }) =>
      acceptedAt !== null &&
      (acceptedAt < startedAt - CLOCKS_AGREE_WITHIN || acceptedAt > endedAt + CLOCKS_AGREE_WITHIN),
  );
  if (apart.length > 0) {
    doubts.push(`${apart.length} writes were accepted at a time outside of their request: the clocks disagree`);
  }
  return doubts;
}
