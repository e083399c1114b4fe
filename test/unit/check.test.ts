import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  handovers,
  judge,
  switchWindows,
  unexplained,
  type Ledger,
  type StoredRequest,
  type SwitchWindow,
} from '../../lab/check.js';
import type { LoadRecord, RecordedRequest } from '../../lab/load/record.js';

const SERVERS = ['source:1', 'target:2'] as const;
const BALANCED: Ledger = { accountsOff: 0, entriesSum: '0.00', balancesSum: '0.00' };

interface World {
  record: LoadRecord;
  stored: StoredRequest[];
  switches: SwitchWindow[];
}

/** A load over some switches in which every promise holds: epochs of writes, each by one server, a pause between. */
const soundWorld: fc.Arbitrary<World> = fc
  .record({
    epochs: fc.array(fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 20 }), {
      minLength: 1,
      maxLength: 5,
    }),
    pause: fc.integer({ min: 1, max: 100_000 }),
    outcomes: fc.array(fc.constantFrom('acknowledged', 'failed', 'unknown-there', 'unknown-gone', 'read'), {
      minLength: 100,
      maxLength: 100,
    }),
  })
  .map(({ epochs, pause, outcomes }) => {
    const requests: RecordedRequest[] = [];
    const stored: StoredRequest[] = [];
    const switches: SwitchWindow[] = [];
    let clock = 1_000_000;
    epochs.forEach((steps, epoch) => {
      if (epoch > 0) {
        switches.push({ from: clock + 1, to: clock + pause });
        clock += pause;
      }
      const server = SERVERS[epoch % 2] ?? SERVERS[0];
      steps.forEach((step, i) => {
        clock += step;
        // The first of an epoch counts, so that each epoch is seen and there is a write at all.
        const fate = i === 0 ? 'acknowledged' : (outcomes[requests.length % outcomes.length] ?? 'read');
        const id = `id-${requests.length}`;
        const told = { server, acceptedAt: clock };
        const request = { id, startedAt: clock - 10, endedAt: clock + 10, server: null, acceptedAt: null };
        if (fate === 'read') requests.push({ ...request, kind: 'read', outcome: 'acknowledged', error: null });
        else if (fate === 'acknowledged')
          requests.push({ ...request, ...told, kind: 'visit', outcome: fate, error: null });
        else if (fate === 'failed') requests.push({ ...request, kind: 'visit', outcome: fate, error: '25006' });
        else requests.push({ ...request, kind: 'visit', outcome: 'unknown', error: 'ECONNRESET' });
        if (fate === 'acknowledged' || fate === 'unknown-there') stored.push({ id, copies: 1, whole: true, ...told });
      });
    });
    return { record: { run: 'run', requests, complete: true }, stored, switches };
  });

const verdictOf = ({ record, stored, switches }: World) => judge(record, stored, BALANCED, switches);

/** Applies a change to one acknowledged write of a sound world. */
const spoilt = (change: (world: World, victim: RecordedRequest) => World) =>
  fc.tuple(soundWorld, fc.nat()).map(([world, n]) => {
    const writes = world.record.requests.filter(({ kind, outcome }) => kind !== 'read' && outcome === 'acknowledged');
    const victim = writes[n % writes.length];
    if (!victim) throw new Error('a sound world has a write');
    return { victim, world: change(world, victim) };
  });

const withRequest = (world: World, id: string, change: Partial<RecordedRequest>): World => ({
  ...world,
  record: {
    ...world.record,
    requests: world.record.requests.map((request) => (request.id === id ? { ...request, ...change } : request)),
  },
});
const withRow = (world: World, id: string, change: Partial<StoredRequest>): World => ({
  ...world,
  stored: world.stored.map((row) => (row.id === id ? { ...row, ...change } : row)),
});

describe('the checker', () => {
  test('finds nothing where every promise held, over any number of switches', () => {
    fc.assert(
      fc.property(soundWorld, (world) => {
        const verdict = verdictOf(world);
        expect(verdict).toMatchObject({ ok: true, lost: [], doubled: [], unexpected: [], twoWriters: [], doubts: [] });
        expect(verdict.handovers).toBe(world.switches.length);
      }),
    );
  });

  test('finds an acknowledged write that is gone', () => {
    const gone = spoilt((world, { id }) => ({ ...world, stored: world.stored.filter((row) => row.id !== id) }));
    fc.assert(
      fc.property(gone, ({ world, victim }) => {
        expect(verdictOf(world)).toMatchObject({ ok: false, lost: [victim.id] });
      }),
    );
  });

  test('finds an acknowledged write of which only a part is there', () => {
    const half = spoilt((world, { id }) => withRow(world, id, { whole: false }));
    fc.assert(
      fc.property(half, ({ world, victim }) => {
        expect(verdictOf(world)).toMatchObject({ ok: false, lost: [victim.id] });
      }),
    );
  });

  test('finds a write that is there twice', () => {
    const twice = spoilt((world, { id }) => withRow(world, id, { copies: 2 }));
    fc.assert(
      fc.property(twice, ({ world, victim }) => {
        expect(verdictOf(world)).toMatchObject({ ok: false, doubled: [victim.id] });
      }),
    );
  });

  test('finds a write that the client was told had failed', () => {
    const failed = spoilt((world, { id }) =>
      withRequest(world, id, { outcome: 'failed', server: null, acceptedAt: null, error: '40001' }),
    );
    fc.assert(
      fc.property(failed, ({ world, victim }) => {
        expect(verdictOf(world)).toMatchObject({ ok: false, unexpected: [victim.id] });
      }),
    );
  });

  test('finds a write that nobody sent, if the record is whole', () => {
    const phantom = spoilt((world, { id, server, acceptedAt }) => ({
      ...world,
      stored: [
        ...world.stored,
        { id: `phantom of ${id}`, copies: 1, whole: true, server: server ?? '', acceptedAt: acceptedAt ?? 0 },
      ],
    }));
    fc.assert(
      fc.property(phantom, ({ world, victim }) => {
        expect(verdictOf(world)).toMatchObject({ ok: false, unexpected: [`phantom of ${victim.id}`] });
      }),
    );
  });

  test('accepts either fate of a write whose outcome is unknown', () => {
    fc.assert(
      fc.property(fc.tuple(soundWorld, fc.boolean()), ([world, there]) => {
        const first = world.stored.at(-1);
        if (!first) throw new Error('a sound world has a write');
        const unsure = withRequest(world, first.id, { outcome: 'unknown', server: null, acceptedAt: null });
        const kept = there ? unsure.stored : unsure.stored.filter(({ id }) => id !== first.id);
        expect(verdictOf({ ...unsure, stored: kept })).toMatchObject({ lost: [], unexpected: [], twoWriters: [] });
      }),
    );
  });

  test('finds a write that one server accepted while the other was the writer', () => {
    const stale = fc
      .tuple(soundWorld, fc.nat())
      .filter(([{ record }]) => record.requests.length > 3)
      .map(([world, n]) => {
        const rows = [...world.stored].sort((a, b) => a.acceptedAt - b.acceptedAt);
        const before = rows[n % rows.length];
        if (!before) throw new Error('a sound world has a write');
        const after = rows[(n % rows.length) + 1];
        // Between two writes of one server, or after the last one: no switch lies there.
        const between = after?.server === before.server;
        const at = between ? (before.acceptedAt + after.acceptedAt) / 2 : before.acceptedAt;
        const server = before.server === SERVERS[0] ? SERVERS[1] : SERVERS[0];
        const intruder = { id: 'stale', copies: 1, whole: true, server, acceptedAt: at };
        return { world: { ...world, stored: [...world.stored, intruder] }, between };
      })
      .filter(({ between }) => between);
    fc.assert(
      fc.property(stale, ({ world }) => {
        const verdict = verdictOf(world);
        expect(verdict.ok).toBe(false);
        expect(verdict.twoWriters.length).toBeGreaterThan(0);
        // The same where only the number of switches is known.
        expect(unexplained(handoversOf(world), { count: world.switches.length }).length).toBeGreaterThan(0);
      }),
    );
  });

  test('finds writers that alternate within the window of one switch', () => {
    const moments = [1, 2, 3, 4].map((at) => ({ id: `w${at}`, server: SERVERS[at % 2] ?? '', at }));
    expect(unexplained(handovers(moments), [{ from: 0, to: 10 }])).toHaveLength(2);
  });

  test('finds a row that says another server than the one that acknowledged it', () => {
    const moved = spoilt((world, { id }) => withRow(world, id, { server: 'elsewhere:3' }));
    fc.assert(
      fc.property(moved, ({ world, victim }) => {
        expect(verdictOf(world)).toMatchObject({ ok: false, misplaced: [victim.id] });
      }),
    );
  });

  test.each<[string, Ledger]>([
    ['a balance that is not the sum of its entries', { ...BALANCED, accountsOff: 1 }],
    ['entries that do not cancel', { ...BALANCED, entriesSum: '0.01' }],
    ['balances that do not cancel', { ...BALANCED, balancesSum: '-5.00' }],
  ])('finds %s', (_what, ledger) => {
    const [world] = fc.sample(soundWorld, 1);
    if (!world) throw new Error('no sample');
    expect(judge(world.record, world.stored, ledger, world.switches).ok).toBe(false);
  });

  test('doubts a record that ends early, clocks that disagree, and a load without writes', () => {
    const [world] = fc.sample(soundWorld, 1);
    const first = world?.record.requests[0];
    if (!world || !first) throw new Error('no sample');
    const early = { ...world, record: { ...world.record, complete: false } };
    const late = withRequest(world, first.id, {
      startedAt: first.startedAt + 200_000,
      endedAt: first.endedAt + 200_000,
    });
    const idle = { record: { run: 'run', requests: [], complete: true }, stored: [], switches: [] };
    for (const doubtful of [early, late, idle]) {
      const verdict = verdictOf(doubtful);
      expect(verdict.ok).toBe(false);
      expect(verdict.doubts).toHaveLength(1);
    }
  });

  test('takes the windows of switches from a status, whose time is when the switch was done', () => {
    const [window] = switchWindows([{ at: '2026-01-01T00:00:10.000Z', pauseMs: 30 }]);
    const done = Date.parse('2026-01-01T00:00:10.000Z') * 1_000;
    expect(window?.from).toBeLessThanOrEqual(done - 30_000);
    expect(window?.to).toBeGreaterThanOrEqual(done);
  });
});

function handoversOf(world: World) {
  return handovers(world.stored.map(({ id, server, acceptedAt }) => ({ id, server, at: acceptedAt })));
}
