/** A worker killed after each step of a switch between major versions: the next attempt finds out, and nothing is lost. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { settle, switchWrites, undoSwitch } from '../../activities/postgres/cutover.js';
import { isObtainable, type PostgresMajor } from '../../lab/setup/postgres-versions.js';
import { fresh } from '../support/fresh-name.js';
import { ServerVersions } from '../support/postgres-versions.js';
import { replicatedMove } from '../support/replicated-move.js';
import { accepts, AFTER_CEDE, BEFORE_CEDE, dieAt, inputOf, SHORT_LEASE } from '../support/switching.js';
import { WRITER_TABLES, Writers } from '../support/writers.js';

const PAIRS: readonly { source: PostgresMajor; target: PostgresMajor }[] = [
  { source: 13, target: 18 },
  { source: 17, target: 18 },
];

/** Writes between two crashes. */
const SOME = 10;

let versions: ServerVersions;
beforeAll(async () => {
  const majors = PAIRS.flatMap(({ source, target }) => [source, target]).filter(isObtainable);
  // The launcher starts an apply worker at most this often; the default of 5 s would only make the tests wait.
  versions = await ServerVersions.open(new Set(majors), { wal_retrieve_retry_interval: '200ms' });
});
afterAll(() => versions.destroy());

describe.each(PAIRS)('a worker killed inside the switch from PostgreSQL $source to $target', ({ source, target }) => {
  // Of 13 there is no package for arm64 and macOS.
  test.runIf(isObtainable(source) && isObtainable(target))(
    'leaves one writer after whichever step, and the next attempt goes on from there',
    async () => {
      const name = fresh(`killed_${source}_${target}`);
      const pair = await versions.pair(source, target);
      const move = await replicatedMove(pair, name, WRITER_TABLES, SHORT_LEASE);
      const writers = Writers.start(pair, name);
      await writers.progress(SOME);
      for (const point of BEFORE_CEDE) {
        await dieAt(`switch.${point}`, inputOf(move, 'forward'));
        expect(await settle(move), point).toEqual({ primary: 'source' });
        expect(await accepts(pair.target, name), point).toBe(false);
        await writers.progress(SOME);
      }
      for (const point of AFTER_CEDE) {
        await dieAt(`switch.${point}`, inputOf(move, 'forward'));
        expect(await settle(move), point).toEqual({ primary: 'target' });
        expect(await accepts(pair.source, name), point).toBe(false);
        await writers.progress(SOME);
        await undoSwitch(move);
        await writers.progress(SOME);
      }
      expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'switched' });
      await writers.progress(SOME);
      expect(await writers.stop(pair.target)).toMatchObject({
        unexpected: [],
        handovers: 2 * AFTER_CEDE.length + 1,
        lost: 0,
        balanced: true,
      });
    },
  );
});
