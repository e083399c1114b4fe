/** What the demo proves: figures that were measured, and the promises they are held against. */
import type { Verdict } from '../../lab/check.js';
import type { WindowFigures } from '../../lab/load.js';
import type { CertificateSummary, SwitchFigures, SyncFigures } from '../../spec/status.js';
import { bytes, count, duration, fine } from '../output/figures.js';
import { pairs, table } from '../output/table.js';
import type { Colours } from '../terminal.js';

export interface SwitchEvidence {
  direction: SwitchFigures['direction'];
  pauseMs: number;
  /** As the clients of the load had it, while it was switched. */
  worstLatencyMs: number;
  failed: number;
  steps: SwitchFigures['steps'];
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
  switches: SwitchEvidence[];
  requests: { sent: number; failed: number; unknown: number; lost: number; doubled: number; perSecond: number };
  momentsWithTwoWriters: number;
  ledgerBalances: boolean;
  historyEvents: number;
  /** Where the whole report lies. */
  report: string;
  promises: { promise: string; held: boolean }[];
}

export interface Measured {
  tookMs: number;
  state: string;
  sync: SyncFigures | null;
  lagMs: number | null;
  certificate: CertificateSummary | null;
  rehearsal: SwitchFigures | null;
  switches: { figures: SwitchFigures; clients: WindowFigures }[];
  verdict: Verdict;
  loadSeconds: number;
  historyEvents: number;
  report: string;
}

export function evidenceOf(measured: Measured): Evidence {
  const { verdict, switches, certificate } = measured;
  const ledgerBalances =
    verdict.ledger.accountsOff === 0 &&
    Number(verdict.ledger.entriesSum) === 0 &&
    Number(verdict.ledger.balancesSum) === 0;
  const promises = [
    { promise: 'the migration came to its end', held: measured.state === 'migrated' },
    { promise: 'writes moved there, back, and there again', held: switches.length === 3 && verdict.handovers === 3 },
    { promise: 'both databases were proven equal', held: certificate?.verdict === 'equal' },
    { promise: 'no request failed', held: verdict.requests.failed === 0 && verdict.requests.unknown === 0 },
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
    sync: measured.sync,
    lagMs: measured.lagMs,
    certificate,
    rehearsalPauseMs: measured.rehearsal?.pauseMs ?? null,
    switches: switches.map(({ figures, clients }) => ({
      direction: figures.direction,
      pauseMs: figures.pauseMs,
      worstLatencyMs: clients.worstMs,
      failed: clients.failed + clients.unknown,
      steps: figures.steps,
    })),
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

export function evidenceText(evidence: Evidence, colours: Colours): string {
  const { sync, certificate, requests } = evidence;
  const copied =
    sync === null
      ? 'nothing'
      : `${count(sync.rows)} rows of ${sync.tables} tables, ${bytes(sync.bytes)}, in ${duration(sync.copyMs)}; indexes in ${duration(sync.indexMs)}`;
  const certified =
    certificate === null
      ? 'none'
      : `${certificate.verdict}: ${count(certificate.rows)} rows compared at ${certificate.lsn} in ${duration(certificate.tookMs)}`;
  const figures = pairs(
    [
      ['Copied', copied],
      ['Lag before the switch', evidence.lagMs === null ? 'unknown' : `${fine(evidence.lagMs)}`],
      ['Certificate', certified],
      ['Rehearsed pause', evidence.rehearsalPauseMs === null ? 'none' : fine(evidence.rehearsalPauseMs)],
      [
        'Requests',
        `${count(requests.sent)} sent (${count(requests.perSecond)} a second), ${requests.failed + requests.unknown} failed, ${requests.lost} lost, ${requests.doubled} doubled`,
      ],
      ['Moments with two writers', String(evidence.momentsWithTwoWriters)],
      ['History', `${count(evidence.historyEvents)} events`],
      ['Report', evidence.report],
      ['Took', duration(evidence.tookMs)],
    ],
    colours,
  );
  const switches = table(
    ['SWITCH', 'WRITE PAUSE', 'WORST CLIENT LATENCY', 'FAILED'],
    evidence.switches.map((one) => [
      one.direction === 'forward' ? 'source → target' : 'target → source',
      fine(one.pauseMs),
      fine(one.worstLatencyMs),
      String(one.failed),
    ]),
    colours,
  );
  const promises = evidence.promises.map(({ promise, held }) =>
    held ? `${colours.green('✓')} ${promise}` : `${colours.red('✗')} ${promise}`,
  );
  return [figures, '', switches, '', ...promises].join('\n');
}
