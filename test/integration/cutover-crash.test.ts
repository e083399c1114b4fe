import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { injectFaults } from '../../activities/fault.js';
import { settle, switchWrites, undoSwitch } from '../../activities/postgres/cutover.js';
import { underway } from '../support/underway.js';
import { fresh } from '../support/fresh-name.js';
import { HIT_TABLES, hits } from '../support/hits.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { replicatedMove } from '../support/replicated-move.js';
import { accepts, AFTER_CEDE, BEFORE_CEDE, dieAt, inputOf, SHORT_LEASE } from '../support/switching.js';
import { WRITER_TABLES, Writers } from '../support/writers.js';

let pair: ServerPair;
beforeAll(async () => {
  // The launcher starts an apply worker at most this often; the default of 5 s would only make the tests wait.
  pair = await startPair({ wal_retrieve_retry_interval: '200ms' });
});
afterAll(() => pair.destroy());
afterEach(() => injectFaults(null));

describe('a worker killed inside the switch', () => {
  test.each(BEFORE_CEDE)(
    'after %s leaves the source as the only writer, and the next attempt switches',
    async (point) => {
      const name = fresh(`before_${point.replace('-', '_')}`);
      const move = await replicatedMove(pair, name, WRITER_TABLES, SHORT_LEASE);
      const writers = Writers.start(pair, name);
      await writers.progress(20);
      await dieAt(`switch.${point}`, inputOf(move, 'forward'));
      expect(await settle(move)).toEqual({ primary: 'source' });
      expect(await accepts(pair.target, name)).toBe(false);
      await writers.progress(20);
      expect(await switchWrites(inputOf(move, 'forward'))).toEqual({
        kind: 'switched',
        figures: expect.anything() as unknown,
      });
      await writers.progress(20);
      expect(await writers.stop(pair.target)).toMatchObject({ unexpected: [], handovers: 1, lost: 0, balanced: true });
    },
  );

  test.each(AFTER_CEDE)(
    'after %s has switched: the next attempt completes it, and the way back is open',
    async (point) => {
      const name = fresh(`after_${point.replace('-', '_')}`);
      const move = await replicatedMove(pair, name, WRITER_TABLES, SHORT_LEASE);
      const writers = Writers.start(pair, name);
      await writers.progress(20);
      await dieAt(`switch.${point}`, inputOf(move, 'forward'));
      expect(await settle(move)).toEqual({ primary: 'target' });
      expect(await accepts(pair.source, name)).toBe(false);
      await writers.progress(20);
      await undoSwitch(move);
      await writers.progress(20);
      expect(await writers.stop(pair.source)).toMatchObject({ unexpected: [], handovers: 2, lost: 0, balanced: true });
    },
  );

  test('around the unlogged tables leaves their rows with the side that takes the writes, there and back', async () => {
    const name = fresh('unlogged');
    const move = await replicatedMove(pair, name, HIT_TABLES, {
      ...SHORT_LEASE,
      tables: { include: ['*.*'], exclude: [], unlogged: { 'public.hit': 'copy' } },
    });
    const writers = Writers.start(pair, name);
    for (const point of ['unlogged-emptied', 'unlogged-filled', 'unlogged']) {
      await writers.progress(10);
      await dieAt(`switch.${point}`, inputOf(move, 'forward'));
      // Of the side that is closed nobody ever sees a part; what was carried and not switched to is emptied by the next attempt.
      expect(await settle(move), point).toEqual({ primary: 'source' });
      await expect(pair.target.query('delete from hit', [], name), point).rejects.toThrow(/another server takes/);
      expect(await hits(pair.source, name), point).toMatchObject({ missing: 0, more: 0 });
    }
    for (const direction of ['forward', 'back'] as const) {
      await writers.progress(10);
      await dieAt('switch.cede', inputOf(move, direction));
      const primary = direction === 'forward' ? 'target' : 'source';
      expect(await settle(move), direction).toEqual({ primary });
      await writers.progress(10);
      expect(await hits(pair[primary], name), direction).toMatchObject({ missing: 0, more: 0 });
    }
    expect(await writers.stop(pair.source)).toMatchObject({ unexpected: [], handovers: 2, lost: 0, balanced: true });
  });

  test('before the cede costs the source no more than the lease: it opens by itself when nobody comes', async () => {
    const name = fresh('lease_runs_out');
    const move = await replicatedMove(pair, name, WRITER_TABLES, SHORT_LEASE);
    await dieAt('switch.fence', inputOf(move, 'forward'));
    expect(await accepts(pair.source, name)).toBe(false);
    await expect.poll(() => accepts(pair.source, name), { timeout: 60_000 }).toBe(true);
    expect(await accepts(pair.target, name)).toBe(false);
  });
});

describe('an attempt that wakes up late', () => {
  test.each(['prepare', 'fence', 'marker', 'ready', 'cede', 'stop', 'open', 'flip'])(
    'stalled after %s changes nothing once the writes have gone forward and back',
    async (point) => {
      const name = fresh(`late_${point}`);
      const move = await replicatedMove(pair, name, WRITER_TABLES, SHORT_LEASE);
      const writers = Writers.start(pair, name);
      let wake = (): void => undefined;
      const asleep = new Promise<void>((reached) => {
        injectFaults((at) => {
          if (at !== `switch.${point}`) return;
          injectFaults(null);
          reached();
          return new Promise<void>((resolve) => {
            wake = resolve;
          });
        });
      });
      const late = underway(switchWrites(inputOf(move, 'forward')));
      onTestFinished(() => wake());
      await asleep;
      expect(await switchWrites(inputOf(move, 'forward'))).toEqual({
        kind: 'switched',
        figures: expect.anything() as unknown,
      });
      await writers.progress(10);
      expect(await switchWrites(inputOf(move, 'back'))).toEqual({
        kind: 'switched',
        figures: expect.anything() as unknown,
      });
      wake();
      await expect(late).rejects.toThrow();
      expect(await accepts(pair.target, name)).toBe(false);
      await writers.progress(10);
      expect(await settle(move)).toEqual({ primary: 'source' });
      expect(await writers.stop(pair.source)).toMatchObject({ unexpected: [], handovers: 2, lost: 0, balanced: true });
    },
  );

  test('two attempts at once end with one primary and nothing lost', async () => {
    const name = fresh('two_at_once');
    const move = await replicatedMove(pair, name, WRITER_TABLES, SHORT_LEASE);
    const writers = Writers.start(pair, name);
    await writers.progress(10);
    await Promise.allSettled([switchWrites(inputOf(move, 'forward')), switchWrites(inputOf(move, 'forward'))]);
    const { primary } = await settle(move);
    await writers.progress(10);
    expect(await writers.stop(pair[primary])).toMatchObject({ unexpected: [], lost: 0, balanced: true });
    expect(await accepts(pair[primary === 'source' ? 'target' : 'source'], name)).toBe(false);
  });
});
