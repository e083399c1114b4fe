import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { injectFaults } from '../../activities/fault.js';
import { settle, switchWrites } from '../../activities/postgres/cutover.js';
import { fresh } from '../support/fresh-name.js';
import { startPair, type ServerPair } from '../support/postgres.js';
import { replicatedMove } from '../support/replicated-move.js';
import { accepts, inputOf, SHORT_LEASE } from '../support/switching.js';
import { WRITER_TABLES, Writers } from '../support/writers.js';

let pair: ServerPair;
beforeAll(async () => {
  pair = await startPair({ wal_retrieve_retry_interval: '200ms' });
});
afterAll(() => pair.destroy());
afterEach(() => injectFaults(null));

describe('a server that crashes inside the switch', () => {
  test.each(['fence', 'marker', 'ready', 'cede', 'stop', 'open'])(
    'the target, after %s, costs nothing that was acknowledged',
    async (point) => {
      await crashOf('target', point);
    },
  );

  test.each(['fence', 'ready', 'cede', 'open'])(
    'the source, after %s, costs nothing that was acknowledged',
    async (point) => {
      await crashOf('source', point);
    },
  );
});

async function crashOf(side: 'source' | 'target', point: string): Promise<void> {
  const name = fresh(`crash_${side}_${point}`);
  const move = await replicatedMove(pair, name, WRITER_TABLES, SHORT_LEASE);
  const writers = Writers.start(pair, name);
  await writers.progress(20);
  let crashed = false;
  injectFaults(async (at) => {
    if (at !== `switch.${point}`) return;
    injectFaults(null);
    await pair[side].restart('immediate');
    crashed = true;
  });
  await switchWrites(inputOf(move, 'forward')).catch(() => undefined);
  expect(crashed).toBe(true);
  const { primary } = await settle(move);
  await writers.progress(20);
  expect(await accepts(pair[primary === 'source' ? 'target' : 'source'], name)).toBe(false);
  const report = await writers.stop(pair[primary]);
  expect(report).toMatchObject({ lost: 0, balanced: true });
  expect(report.handovers).toBe(primary === 'source' ? 0 : 1);
}
