import picocolors from 'picocolors';
import { describe, expect, test } from 'vitest';
import { changes } from '../../clients/output/changes.js';
import { statusText } from '../../clients/output/status.js';
import type { MigrationView } from '../../clients/view.js';
import {
  copying,
  FORWARD,
  migrated,
  needsAttention,
  NOW,
  ruled,
  RULES,
  undoFailed,
  unit,
  view,
  waitingForApproval,
} from '../support/views.js';

const look = { colours: picocolors.createColors(false), now: NOW, wide: false };
const shown = (of: MigrationView, wide = false) => statusText(of, { ...look, wide });

describe('godwit status', () => {
  test('begins with the migration, its state, stage, age and plan', () => {
    expect(shown(view()).split('\n')[0]).toBe(
      'orders-move  running  stage prepare · started 2h ago · plan 0123456789ab · 120 events',
    );
  });

  test('draws the progress of a running copy with rate and remaining time', () => {
    const text = shown(view({}, [copying(250_000_000)]));
    expect(text).toContain('initialSync  ████████████░░░░░░░░░░░░  50 %  2,500,000 of 5,000,000 rows');
    expect(text).toContain('250 MB of 500 MB  50 MB/s  ETA 5s  public.orders');
  });

  test('says where the writes go and how far the other side is behind', () => {
    expect(shown(waitingForApproval)).toContain('writes go to the source  lag 12.0 ms');
  });

  test('says how many rules of your own held, at which position, and which did not', () => {
    const of = (rules: typeof RULES) => shown(view({ units: [ruled(rules)] }));
    expect(of({ ...RULES, held: 3, broken: [], ignored: [] })).toContain(
      '3 rules of your own held: on the source at 0/16B3799, 20s ago',
    );
    const text = of(RULES);
    expect(text).toContain('2 of 3 rules of your own held: on the source at 0/16B3799');
    expect(text).toContain('broken: rule paid-in-full: 3 rows on the target, where none should be (high)');
    expect(text).toContain('left out by validation.ignoreRules: old-prices');
  });

  test('shows what was copied and that both sides are equal', () => {
    const text = shown(waitingForApproval);
    expect(text).toContain('copied 12 tables, 5,000,000 rows, 500 MB in 10s (50 MB/s), keys and indexes in 4s');
    expect(text).toContain('both sides equal: 12 tables, 5,000,000 rows at 0/16B3748, 30s ago (certificate c-1)');
  });

  test('ends with the command that passes an open gate', () => {
    expect(shown(waitingForApproval)).toMatch(/→ godwit approve orders-move switch --confirm orders-move$/);
  });

  test('lists the undo log in the order in which it would run', () => {
    const text = shown(waitingForApproval);
    expect(text.indexOf('drop slot and subscription')).toBeLessThan(text.indexOf('give the tables free'));
    expect(text).toMatch(/2 +ready +database\/orders +drop slot and subscription/);
  });

  test('shows who said what, and why', () => {
    expect(shown(waitingForApproval)).toMatch(/11:50:00 +pause +ann@ops +accepted +release/);
  });

  test('says a problem once, where its unit is, with its next step', () => {
    const text = shown(needsAttention);
    expect(text.match(/no free replication slot/g)).toHaveLength(1);
    expect(text).toContain('→ raise max_replication_slots, then `retry`');
    expect(text).toContain('→ godwit retry orders-move');
  });

  test('says how to finish by hand what could not be undone', () => {
    expect(shown(undoFailed)).toContain("by hand → select pg_drop_replication_slot('godwit_0123')");
  });

  test('says that a terminated workflow only shows what it knew last', () => {
    const gone = { ...view(), execution: { ...view().execution, status: 'TERMINATED', closedAt: NOW.toISOString() } };
    expect(shown(gone)).toContain('Its workflow was terminated just now; this is what it knew last.');
  });

  test('shows each switch with its pause, and wide each step of it', () => {
    expect(shown(migrated)).toContain('switched to the target 1m ago: writes paused for 27.4 ms');
    expect(shown(migrated)).toContain('moved back to the source 1m ago: writes paused for 31.9 ms');
    expect(shown(migrated, true)).toContain('[fence 4.1 ms, catch up 6.3 ms]');
  });

  test('names a step that fails and is tried again', () => {
    const retrying = {
      ...copying(0),
      attempt: 4,
      lastFailure: 'connection refused',
      nextAttemptAt: '2026-03-01T12:00:08Z',
    };
    expect(shown(view({}, [retrying]))).toContain('! initialSync, attempt 4, next try 12:00:08: connection refused');
  });
});

describe('what --wait and a watched pipe print', () => {
  const lines = (before: MigrationView | null, after: MigrationView) =>
    changes(before, after, NOW).map((line) => line.replace(/^12:00:00 {2}/, ''));

  test('is nothing while nothing changes', () => {
    expect(lines(waitingForApproval, waitingForApproval)).toEqual([]);
  });

  test('names state, stage and unit at first', () => {
    expect(lines(null, view())).toEqual([
      'orders-move: running, stage prepare',
      'database/orders: prepare / initialSync running',
    ]);
  });

  test('is each weight of traffic once, and at first only where it is', () => {
    const log = [0, 10, 25].map((weight) => ({ at: `12:00:${weight + 10}`, weight, why: 'a step', by: null }));
    const traffic = { wanted: null, step: 0, held: 0, byHand: false, waitsFor: null, verdicts: [], shiftBeganAt: null };
    const at = (known: number) => {
      const weights = log.slice(0, known);
      const weight = weights.at(-1)?.weight ?? null;
      return view({ units: [unit({ unit: 'traffic/web', traffic: { ...traffic, weight, log: weights } })] });
    };
    expect(lines(null, at(2)).at(-1)).toBe('traffic/web: green gets 10 % (a step)');
    expect(lines(at(1), at(3))).toEqual([
      'traffic/web: green gets 10 % (a step)',
      'traffic/web: green gets 25 % (a step)',
    ]);
    expect(lines(at(3), at(3))).toEqual([]);
  });

  test('is a line for each tenth of a copy, not for each look', () => {
    const at = (bytes: number) => view({}, [copying(bytes)]);
    expect(lines(at(50_000_000), at(60_000_000))).toEqual([]);
    expect(lines(at(60_000_000), at(100_000_000))).toEqual([
      'database/orders: initialSync 20 %  1,000,000 of 5,000,000 rows  100 MB of 500 MB  50 MB/s  ETA 8s',
    ]);
  });

  test('names an open gate with the command that passes it', () => {
    expect(lines(view(), waitingForApproval)).toContain(
      'gate switch waits for 1 approval: godwit approve orders-move switch --confirm orders-move',
    );
  });

  test('names each switch with its pause', () => {
    expect(lines(view(), view({ units: [unit({ switches: [FORWARD] })] }))).toEqual([
      'database/orders: writes go to the target now; they paused for 27.4 ms',
    ]);
  });

  test('names a problem and its next step', () => {
    expect(lines(view(), needsAttention)).toContain('database/orders: next: raise max_replication_slots, then `retry`');
  });

  test('names what could not be undone, and what to do by hand', () => {
    const pending = view({
      undoLog: undoFailed.status.undoLog.map((entry) => ({ ...entry, state: 'pending' as const })),
    });
    expect(lines(pending, undoFailed)).toContain("by hand: select pg_drop_replication_slot('godwit_0123')");
  });

  test('names a message that came, though older ones are no longer kept', () => {
    const first = { name: 'pause', at: '1', by: 'ann', reason: null, unit: null, outcome: 'accepted' };
    const second = { ...first, name: 'resume', at: '2' };
    expect(lines(view({ messages: [first] }), view({ messages: [first, second] }))).toEqual([
      'resume by ann: accepted',
    ]);
    expect(lines(view({ messages: [first, second] }), view({ messages: [second, { ...first, at: '3' }] }))).toEqual([
      'pause by ann: accepted',
    ]);
  });
});
