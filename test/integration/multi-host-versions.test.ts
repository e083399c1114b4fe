/** What drivers go by is told in another way before version 14, and apply has changed since: the hint holds on all of them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { switchWrites } from '../../activities/postgres/cutover.js';
import { isObtainable, type PostgresMajor } from '../../lab/setup/postgres-versions.js';
import { until } from '../support/clients.js';
import { fresh } from '../support/fresh-name.js';
import { chosenBy } from '../support/libpq.js';
import { ServerVersions } from '../support/postgres-versions.js';
import { replicatedMove } from '../support/replicated-move.js';
import { inputOf } from '../support/switching.js';
import { WRITER_TABLES } from '../support/writers.js';

const PAIRS = (
  [
    [13, 15],
    [16, 18],
  ] as const satisfies readonly (readonly [PostgresMajor, PostgresMajor])[]
).filter((majors) => majors.every((major) => isObtainable(major)));

let versions: ServerVersions;
beforeAll(async () => {
  versions = await ServerVersions.open(new Set(PAIRS.flat()), { wal_retrieve_retry_interval: '200ms' });
});
afterAll(() => versions.destroy());

describe.each(PAIRS)('from PostgreSQL %i to %i', (from, to) => {
  test('drivers with both hosts follow the writes, and changes flow into the side that says it is read-only', async () => {
    const name = fresh(`hint_${from}_${to}`);
    const pair = await versions.pair(from, to);
    const move = await replicatedMove(pair, name, WRITER_TABLES, {
      endpoints: [{ kind: 'multiHost', name: 'drivers', roles: null, applications: null }],
    });
    expect(await chosenBy(pair, name)).toEqual(['source', 'source']);
    await pair.source.query(
      'insert into account values (71, 0); update account set balance = 1 where id = 71',
      [],
      name,
    );
    await until(pair.target, name, 'select from account where id = 71 and balance = 1');
    expect(await switchWrites(inputOf(move, 'forward'))).toMatchObject({ kind: 'switched' });
    expect(await chosenBy(pair, name)).toEqual(['target', 'target']);
    await pair.target.query('truncate entry; insert into account values (72, 0)', [], name);
    await until(pair.source, name, 'select from account where id = 72');
    expect(await switchWrites(inputOf(move, 'back'))).toMatchObject({ kind: 'switched' });
    expect(await chosenBy(pair, name)).toEqual(['source', 'source']);
  });
});
