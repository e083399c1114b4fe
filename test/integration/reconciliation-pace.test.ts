/** When a run makes room for others, and for whom it doesn't. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pairOf } from '../../activities/reconciliation/pair.js';
import { ReadingPace } from '../../activities/reconciliation/pace.js';
import { Session } from '../../activities/postgres/session.js';
import type { ComparedTable } from '../../activities/postgres/validation/compared-table.js';
import { describeTables } from '../../activities/postgres/validation/describe.js';
import type { NormalReconciliation } from '../../spec/reconciliation.js';
import { underway } from '../support/underway.js';
import { connect } from '../support/clients.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { Reconciled } from '../support/reconciled.js';

let pair: ServerPair;
let world: Reconciled;
let table: ComparedTable;

beforeAll(async () => {
  pair = await startPair();
  const schema = 'create table one (id int primary key)';
  world = await Reconciled.start(pair, 'pace', { schema, rows: 'insert into one values (1)', replicated: false });
  await using source = await Session.open('source', pair.source.url('pace'), { purpose: 'test' });
  await using target = await Session.open('target', pair.target.url('pace'), { purpose: 'test' });
  const [described] = await describeTables(source, target, [{ schema: 'public', name: 'one' }], 'record');
  if (described === undefined) throw new Error('no table');
  table = described;
});
afterAll(() => pair.destroy());

/** Reads take so little that a statement of a millisecond costs a rest of an hour. */
const limited = (): NormalReconciliation => {
  const normal = world.normal();
  return { ...normal, limits: { ...normal.limits, busy: { transactions: 100, share: 1 / 3_600_000 } } };
};

interface Watched {
  pace: ReadingPace;
  /** Waits until both sides have been looked at once more. */
  look: () => Promise<void>;
}

async function watched<T>(work: (watched: Watched) => Promise<T>): Promise<T> {
  const normal = limited();
  const pace = new ReadingPace(normal.limits);
  let heard = (): void => undefined;
  await using watch = pace.watch(pairOf(normal), new AbortController().signal, () => heard());
  await watch.looked();
  return await work({ pace, look: () => new Promise((resolve) => (heard = resolve)) });
}

/** A transaction that the server's counters know: one that looks at no table isn't told by a session that has nothing else to tell. */
const QUERY = 'select from public.one';

/** As fast as it goes, until `work` is over. */
async function beside<T>(again: (() => Promise<unknown>)[], work: () => Promise<T>): Promise<T> {
  let go = true;
  const repeated = async (once: () => Promise<unknown>): Promise<void> => {
    while (go) await once();
  };
  const running = again.map((once) => underway(repeated(once)));
  try {
    return await work();
  } finally {
    go = false;
    await Promise.all(running);
  }
}

/** Others at work on one side, until `work` is over. */
async function others<T>(side: 'source' | 'target', work: () => Promise<T>): Promise<T> {
  const clients = await Promise.all(Array.from({ length: 4 }, () => connect(pair[side].url('pace'))));
  try {
    return await beside(
      clients.map((client) => () => client.query(QUERY)),
      work,
    );
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

test.each(['source', 'target'] as const)(
  'while others are at work on the %s it rests after each bite, and no longer than they are',
  async (side) => {
    await others(side, () =>
      watched(async ({ pace, look }) => {
        expect(pace.gentle).toBe(true);
        expect(pace.most(table)).toBeLessThan(10_000);
        await look();
        expect(pace.gentle).toBe(true);
        pace.took(1, table, 1);
        const abort = new AbortController();
        const waiting = expect(pace.wait(abort.signal)).rejects.toThrow('paused');
        abort.abort(new Error('paused'));
        await waiting;
      }),
    );
    await watched(async ({ pace, look }) => {
      await others(side, async () => {
        while (!pace.gentle) await look();
        await look();
        pace.took(1, table, 1);
      });
      await pace.wait(new AbortController().signal);
      expect(pace.gentle).toBe(false);
      expect(pace.most(table)).toBe(Infinity);
    });
  },
);

test('bites become as large as fits their time, whatever rows are like', async () => {
  await others('source', () =>
    watched(async ({ pace, look }) => {
      await look();
      const first = pace.most(table);
      pace.took(2 * first, table, 0.5);
      const larger = pace.most(table);
      expect(larger).toBeGreaterThan(first);
      // a few rows say nothing of many
      pace.took(2, table, 2);
      expect(pace.most(table)).toBe(larger);
      for (let bite = 1; bite <= 10; bite += 1) pace.took(2 * pace.most(table), table, 100);
      expect(pace.most(table)).toBeLessThan(first);
    }),
  );
});

test('a run does not make room for its own statements', async () => {
  await using own = await Session.open('source', pair.source.url('pace'), { purpose: 'pace test' });
  await watched(async ({ pace, look }) => {
    pace.own = (side) => (side === 'source' ? own.transactions : 0);
    await beside([() => own.transaction(() => own.run(QUERY))], async () => {
      for (let looks = 1; looks <= 4; looks += 1) {
        await look();
        expect(pace.gentle).toBe(false);
      }
      await others('source', async () => {
        while (!pace.gentle) await look();
      });
    });
  });
});
