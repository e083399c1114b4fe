/** What the demo proves: figures that were measured, and the promises they are held against. */
import type { Verdict } from '../../lab/check.js';
import type { WindowFigures } from '../../lab/load.js';
import type { CertificateSummary, SwitchFigures, SyncFigures, UnitStatus } from '../../spec/status.js';
import { bytes, count, duration, fine } from '../output/figures.js';
import { pairs, table } from '../output/table.js';
import type { Colours } from '../terminal.js';
import type { Answered } from './answered.js';

export interface SwitchEvidence {
  direction: SwitchFigures['direction'];
  pauseMs: number;
  /** As the clients of the load had it, while it was switched. */
  worstLatencyMs: number;
  failed: number;
  steps: SwitchFigures['steps'];
}

export interface TrafficEvidence {
  unit: string;
  /** Percent that green got, in the order of time. */
  moves: { at: string; weight: number; why: string }[];
}

/** How a green that turned bad was met. */
export interface BadGreenEvidence {
  /** Percent that green had then. */
  weight: number;
  /** Share of its requests that it failed from then on, 0 to 1. */
  errorRate: number;
  /** Milliseconds from then until the judge's word had been written to the load balancer, and until green's last answer. */
  detectedMs: number;
  goneMs: number;
  /** In the judge's words. */
  why: string;
  /** Requests that green failed. */
  failed: number;
}

/** Rows of the target that were changed behind replication's back. */
export interface ReconciliationEvidence {
  corrupted: number;
  /** By the run before the repair, and by the one after it. */
  found: number;
  remaining: number;
  /** Compared by the last run, and in how many milliseconds. */
  rows: number;
  tookMs: number;
  /** Digest of the last run's; null: it isn't what the run has written. */
  certificate: string | null;
}

export interface Evidence {
  version: 1;
  /** Only if every promise held. */
  ok: boolean;
  tookMs: number;
  state: string;
  sync: SyncFigures | null;
  lagMs: number | null;
  certificate: CertificateSummary | null;
  rehearsalPauseMs: number | null;
  reconciliation: ReconciliationEvidence;
  switches: SwitchEvidence[];
  traffic: TrafficEvidence[];
  /** Null: green stayed good. */
  badGreen: BadGreenEvidence | null;
  requests: { sent: number; failed: number; unknown: number; lost: number; doubled: number; perSecond: number };
  momentsWithTwoWriters: number;
  ledgerBalances: boolean;
  historyEvents: number;
  /** Where the whole report lies. */
  report: string;
  promises: Promised[];
}

export interface Promised {
  promise: string;
  held: boolean;
}

export interface Measured {
  tookMs: number;
  state: string;
  database: UnitStatus;
  switches: { figures: SwitchFigures; clients: WindowFigures }[];
  traffic: TrafficEvidence[];
  badGreen: BadGreenEvidence | null;
  reconciliation: ReconciliationEvidence;
  /** Who answered users each time that all had arrived, as it should have been and as it was. */
  stays: { expected: 'blue' | 'green'; answered: Answered }[];
  verdict: Verdict;
  loadSeconds: number;
  historyEvents: number;
  report: string;
  /** Those of the one story alone. */
  promises: Promised[];
}

export function evidenceOf(measured: Measured): Evidence {
  const { verdict, switches, database, badGreen } = measured;
  const ledgerBalances =
    verdict.ledger.accountsOff === 0 &&
    Number(verdict.ledger.entriesSum) === 0 &&
    Number(verdict.ledger.balancesSum) === 0;
  const others = verdict.requests.failed + verdict.requests.unknown - (badGreen?.failed ?? 0);
  const promises = [
    ...measured.promises,
    { promise: 'users were where the steps had led them', held: measured.stays.every(asExpected) },
    { promise: 'both databases were proven equal', held: database.certificate?.verdict === 'equal' },
    { promise: 'rows that changed behind the fence were found, all and no others, and mended', held: mended(measured) },
    {
      promise: badGreen === null ? 'no request failed' : 'no request failed but those of the bad green',
      held: others === 0,
    },
    { promise: 'no acknowledged write was lost', held: verdict.lost.length === 0 && verdict.misplaced.length === 0 },
    { promise: 'no write was made twice', held: verdict.doubled.length === 0 && verdict.unexpected.length === 0 },
    { promise: 'never two writers', held: verdict.twoWriters.length === 0 },
    { promise: 'every balance is the sum of its entries', held: ledgerBalances },
    { promise: 'the evidence suffices to say so', held: verdict.doubts.length === 0 },
  ];
  return {
    version: 1,
    ok: promises.every(({ held }) => held),
    tookMs: Math.round(measured.tookMs),
    state: measured.state,
    sync: database.sync,
    lagMs: database.lagMs,
    certificate: database.certificate,
    rehearsalPauseMs: database.rehearsal?.pauseMs ?? null,
    reconciliation: measured.reconciliation,
    switches: switches.map(({ figures, clients }) => ({
      direction: figures.direction,
      pauseMs: figures.pauseMs,
      worstLatencyMs: clients.worstMs,
      failed: clients.failed + clients.unknown,
      steps: figures.steps,
    })),
    traffic: measured.traffic,
    badGreen,
    requests: {
      sent: verdict.requests.sent,
      failed: verdict.requests.failed,
      unknown: verdict.requests.unknown,
      lost: verdict.lost.length,
      doubled: verdict.doubled.length,
      perSecond: Math.round(verdict.requests.sent / measured.loadSeconds),
    },
    momentsWithTwoWriters: verdict.twoWriters.length,
    ledgerBalances,
    historyEvents: measured.historyEvents,
    report: measured.report,
    promises,
  };
}

const mended = ({ reconciliation: { corrupted, found, remaining, certificate } }: Measured): boolean =>
  found === corrupted && remaining === 0 && certificate !== null;

/** Nobody else has answered, and somebody has. */
const asExpected = ({ expected, answered }: Measured['stays'][number]): boolean =>
  Object.keys(answered).join() === expected;

export function evidenceText(evidence: Evidence, colours: Colours): string {
  const promises = evidence.promises.map(({ promise, held }) =>
    held ? `${colours.green('✓')} ${promise}` : `${colours.red('✗')} ${promise}`,
  );
  const parts = [figuresText(evidence, colours), switchesText(evidence, colours), trafficText(evidence, colours)];
  return [...parts, promises.join('\n')].join('\n\n');
}

function figuresText(evidence: Evidence, colours: Colours): string {
  const { sync, certificate, requests } = evidence;
  const copied =
    sync === null
      ? 'nothing'
      : `${count(sync.rows)} rows of ${sync.tables} tables, ${bytes(sync.bytes)}, in ${duration(sync.copyMs)}; indexes in ${duration(sync.indexMs)}`;
  const certified =
    certificate === null
      ? 'none'
      : `${certificate.verdict}: ${count(certificate.rows)} rows compared at ${certificate.lsn} in ${duration(certificate.tookMs)}`;
  return pairs(
    [
      ['Copied', copied],
      ['Lag before the switch', evidence.lagMs === null ? 'unknown' : `${fine(evidence.lagMs)}`],
      ['Certificate', certified],
      ['Changed behind the fence', reconciliationText(evidence.reconciliation)],
      ['Rehearsed pause', evidence.rehearsalPauseMs === null ? 'none' : fine(evidence.rehearsalPauseMs)],
      [
        'Requests',
        `${count(requests.sent)} sent (${count(requests.perSecond)} a second), ${requests.failed + requests.unknown} failed, ${requests.lost} lost, ${requests.doubled} doubled`,
      ],
      ...badGreenRows(evidence),
      ['Moments with two writers', String(evidence.momentsWithTwoWriters)],
      ['History', `${count(evidence.historyEvents)} events`],
      ['Report', evidence.report],
      ['Took', duration(evidence.tookMs)],
    ],
    colours,
  );
}

function reconciliationText({ corrupted, found, remaining, rows, tookMs }: ReconciliationEvidence): string {
  return `${corrupted} rows; ${found} found, ${remaining} left after the repair: ${count(rows)} rows compared in ${duration(tookMs)}`;
}

function badGreenRows({ badGreen: bad, requests }: Evidence): [string, string][] {
  if (bad === null) return [];
  const share = (100 * bad.failed) / requests.sent;
  return [
    ['Green turned bad', `at ${bad.weight} %: it failed ${Math.round(bad.errorRate * 100)} % of its requests`],
    ['Detected, all sent back', `after ${duration(bad.detectedMs)}: ${bad.why}`],
    ['Last answer of green', `after ${duration(bad.goneMs)}`],
    ['Requests it failed', `${count(bad.failed)}, ${share.toFixed(2)} % of all`],
  ];
}

function switchesText({ switches }: Evidence, colours: Colours): string {
  return table(
    ['SWITCH', 'WRITE PAUSE', 'WORST CLIENT LATENCY', 'FAILED'],
    switches.map((one) => [
      one.direction === 'forward' ? 'source → target' : 'target → source',
      fine(one.pauseMs),
      fine(one.worstLatencyMs),
      String(one.failed),
    ]),
    colours,
  );
}

function trafficText({ traffic }: Evidence, colours: Colours): string {
  return table(
    ['TRAFFIC', 'AT GREEN, %', 'FIRST', 'LAST'],
    traffic.map(({ unit, moves }) => [
      unit,
      moves.map(({ weight }) => weight).join(' → '),
      timeOf(moves[0]),
      timeOf(moves.at(-1)),
    ]),
    colours,
  );
}

const timeOf = (move: { at: string } | undefined): string => move?.at.slice(11, 19) ?? '';
