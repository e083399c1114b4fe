import picocolors from 'picocolors';
import { describe, expect, test } from 'vitest';
import type { Finding } from '../../spec/findings.js';
import type { Plan } from '../../spec/plan.js';
import type { ServerCertificate } from '../../spec/status.js';
import { findingsText } from '../../clients/output/findings.js';
import { listText } from '../../clients/output/list.js';
import { planText } from '../../clients/output/plan.js';
import { certificateText } from '../../clients/output/traffic.js';
import { reportMarkdown, reportOf } from '../../clients/output/report.js';
import type { MigrationSummary } from '../../clients/migrations.js';
import { migrated, NO_TRAFFIC_YET, NOW, ruled, RULES, undoFailed } from '../support/views.js';

const colours = picocolors.createColors(false);

describe('godwit report', () => {
  const markdown = reportMarkdown(reportOf(migrated));

  test('says how it ended, how long it took and how many events it needed', () => {
    expect(markdown).toContain('| State | migrated, stage finalize (workflow completed) |');
    expect(markdown).toContain('| Ended | 2026-03-01T12:00:00.000Z (2h) |');
    expect(markdown).toContain('| History | 700 events |');
  });

  test('shows what was copied, in which time', () => {
    expect(markdown).toContain('| 12 | 5,000,000 | 500 MB | 10s | 4s | 3 |');
  });

  test('shows the certificate', () => {
    expect(markdown).toContain('| `c-1` | **equal** | 12 | 5,000,000 | 0 | `0/16B3748` |');
  });

  test('shows what rules of your own said, and on which position', () => {
    expect(markdown).not.toContain('Rules of your own');
    const asked = { ...migrated, status: { ...migrated.status, units: [ruled(RULES)] } };
    expect(reportMarkdown(reportOf(asked))).toContain(
      [
        '### Rules of your own',
        '',
        '**2 of 3 rules of your own held**, at `0/16B3799` of the source, which took the writes; asked 2026-03-01T11:59:40.000Z, in 2.3s.',
        '',
        '- broken: rule paid-in-full: 3 rows on the target, where none should be (high)',
        '- left out by validation.ignoreRules: old-prices',
      ].join('\n'),
    );
  });

  test('shows the rehearsal and each switch with its pause, step by step', () => {
    expect(markdown).toMatch(/\| rehearsal \| \S+ \| 1 \| 22.0 ms \| 11.2 ms \|/);
    expect(markdown).toMatch(/\| to the target \| \S+ \| 1 \| 27.4 ms \| 11.2 ms \|/);
    expect(markdown).toMatch(/\| back to the source \| \S+ \| 1 \| 31.9 ms \| 11.2 ms \|/);
    expect(markdown).toContain('| catch up | 6.3 ms |');
  });

  test('keeps a table whole when a reason holds a bar', () => {
    expect(markdown).toContain('CHG\\|7');
  });

  test('says when the certificate of a listener ends', () => {
    const [unit] = migrated.status.units;
    if (unit === undefined) throw new Error('no unit');
    const certificate: ServerCertificate = {
      names: ['shop.example.org', '*.shop.example.org'],
      arn: 'arn:aws:acm:eu-central-1:123456789012:certificate/1',
      state: 'served',
      notAfter: '2027-03-31T12:00:00.000Z',
    };
    const traffic = { ...NO_TRAFFIC_YET, certificate };
    const view = { ...migrated, status: { ...migrated.status, units: [{ ...unit, traffic }] } };
    expect(reportMarkdown(reportOf(view))).toContain(
      `| shop.example.org, *.shop.example.org | served | 2027-03-31T12:00:00.000Z | ${certificate.arn} |`,
    );
    const early = { ...certificate, arn: null, state: 'requested', notAfter: null } as const;
    expect(certificateText(certificate, NOW)).toBe(
      'certificate for shop.example.org, *.shop.example.org is at the listener, ends 2027-03-31, in 395 days',
    );
    expect(certificateText(early, NOW)).toMatch(/is being requested$/);
  });

  test('names what could not be undone, and how to finish by hand', () => {
    expect(reportMarkdown(reportOf(undoFailed))).toContain(
      "failed: the source is unreachable. By hand: select pg_drop_replication_slot('godwit_0123')",
    );
  });

  test('gives scripts the same evidence as JSON', () => {
    expect(JSON.parse(JSON.stringify(reportOf(migrated)))).toMatchObject({
      version: 1,
      state: 'migrated',
      units: [{ unit: 'database/orders', primary: 'target', switches: [{ pauseMs: 27.4 }, { pauseMs: 31.9 }] }],
    });
  });
});

const FINDINGS: Finding[] = [
  {
    id: 'long-transaction',
    severity: 'warning',
    unit: 'database/orders',
    side: 'source',
    title: 'a transaction is open for long',
    evidence: 'pid 17 since 2 h',
    repair: ['end it'],
  },
  {
    id: 'wal-level',
    severity: 'error',
    unit: 'database/orders',
    side: 'source',
    title: 'wal_level is replica',
    evidence: 'found replica, expected logical',
    repair: ['alter system set wal_level = logical', 'restart the server'],
  },
  {
    id: 'versions',
    severity: 'info',
    unit: 'database/orders',
    side: 'both',
    title: 'both sides run 15',
    evidence: '15.6',
    repair: [],
  },
];

describe('godwit preflight', () => {
  const text = findingsText(FINDINGS, colours, false);

  test('shows errors first, each with what repairs it', () => {
    expect(text.indexOf('wal_level is replica')).toBeLessThan(text.indexOf('a transaction is open'));
    expect(text).toContain('→ alter system set wal_level = logical\n  → restart the server');
  });

  test('keeps mere information for -o wide', () => {
    expect(text).not.toContain('both sides run 15');
    expect(findingsText(FINDINGS, colours, true)).toContain('both sides run 15');
  });

  test('ends with what a migration would do about it', () => {
    expect(text).toMatch(/1 error and 1 warning: a migration would stop here, before it changes anything\.$/);
    expect(findingsText([], colours, false)).toBe('Ready: nothing in the way.');
  });
});

describe('godwit plan', () => {
  const step = { unit: 'database/orders' as const, gate: null, estimate: { seconds: 90, basis: '1.3 GB' } };
  const plan: Plan = {
    version: 1,
    name: 'orders-move',
    digest: 'sha256:0123456789abcdef',
    spec: {
      version: 1,
      name: 'orders-move',
      databases: [],
      gates: [],
      rollback: { databases: 0, infrastructure: 0, services: 0, traffic: 0 },
    },
    facts: [],
    findings: [],
    steps: [
      { ...step, seq: 1, stage: 'prepare', title: 'copy', touches: ['target: 12 tables'], undo: 'drop them' },
      { ...step, seq: 2, stage: 'finalize', title: 'retire the source', touches: [], undo: null, gate: 'finalize' },
    ],
  };
  const text = planText(plan, colours, false);

  test('shows each step with what it touches, its undo and its estimate', () => {
    expect(text).toContain(
      ' 1. copy  database/orders · about 1m 30s (1.3 GB)\n      touches target: 12 tables\n      undo    drop them',
    );
  });

  test('marks what has no way back, and the gate before it', () => {
    expect(text).toContain('  waits for the gate finalize\n   2. retire the source');
    expect(text).toContain("can't be undone");
    expect(text).toMatch(/2 steps, 1 without a way back; waits at 1 gate: finalize\.$/);
  });
});

describe('godwit list', () => {
  const summary: MigrationSummary = {
    id: 'orders-move',
    state: 'running',
    stage: 'prepare',
    execution: 'TERMINATED',
    startedAt: NOW.toISOString(),
    closedAt: NOW.toISOString(),
    historyEvents: 12,
    runId: 'r',
  };

  test("doesn't call a terminated migration running, whatever it said last", () => {
    expect(listText([summary], { colours, now: NOW, wide: false })).toMatch(/orders-move +terminated +prepare/);
    expect(listText([{ ...summary, execution: 'RUNNING' }], { colours, now: NOW, wide: false })).toMatch(
      /orders-move +running/,
    );
  });
});
