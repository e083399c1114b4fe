/** What can't be had from the servers at hand: settings and versions of other releases. */
import { expect, test } from 'vitest';
import { tooOld } from '../../activities/preflight/pgbouncer-console.js';
import { missingDump } from '../../activities/preflight/schema-copy.js';
import { judgeVersion, judgeVersions } from '../../activities/preflight/servers.js';
import { judge, type Setting } from '../../activities/preflight/settings.js';

const sound: Setting[] = [
  { name: 'wal_level', setting: 'logical' },
  { name: 'fsync', setting: 'on' },
  { name: 'full_page_writes', setting: 'on' },
  { name: 'max_slot_wal_keep_size', setting: '-1' },
];

test('sound settings give no finding, on versions with and without the newer ones', () => {
  expect(judge(sound)).toEqual([]);
  expect(judge([...sound, { name: 'idle_replication_slot_timeout', setting: '0' }])).toEqual([]);
});

test('a time-out for idle slots, as version 18 has it, is found', () => {
  expect(judge([...sound, { name: 'idle_replication_slot_timeout', setting: '3600' }])).toEqual([
    {
      id: 'slot-idle-timeout',
      evidence: 'idle_replication_slot_timeout is 1h; expected 0',
      repair: ['ALTER SYSTEM SET idle_replication_slot_timeout = 0', 'SELECT pg_reload_conf()'],
    },
  ]);
});

test.each([
  [120_017, '12.17'],
  [190_000, '19.0'],
])('version %i is not supported', (version_number, version) => {
  expect(judgeVersion({ version_number, version })).toMatchObject([{ id: 'server-version' }]);
});

test.each([130_000, 150_018, 180_004])('version %i is supported', (version_number) => {
  expect(judgeVersion({ version_number, version: '' })).toEqual([]);
});

test('an older target is a warning, a newer one is said, the same is silent', () => {
  const [old, recent] = [
    { version_number: 130_005, version: '13.5' },
    { version_number: 180_001, version: '18.1' },
  ];
  expect(judgeVersions(recent, old)).toMatchObject([{ id: 'target-older', evidence: 'source 18.1, target 13.5' }]);
  expect(judgeVersions(old, recent)).toMatchObject([{ id: 'target-newer', repair: [] }]);
  expect(judgeVersions(old, { version_number: 130_011, version: '13.11' })).toEqual([]);
});

test('a PgBouncer that is too old is a warning', () => {
  expect(tooOld('PgBouncer 1.17.0')).toMatchObject([
    { id: 'pgbouncer-version', evidence: 'PgBouncer 1.17.0; expected 1.18 or newer' },
  ]);
  for (const version of ['PgBouncer 1.18.0', 'PgBouncer 1.25.1', 'PgBouncer 2.0', 'a fork']) {
    expect(tooOld(version)).toEqual([]);
  }
});

test('a server newer than every pg_dump of the worker is an error', async () => {
  expect(await missingDump(99)).toMatchObject([
    { id: 'pg-dump-missing', evidence: expect.stringContaining('needs pg_dump 99 or newer') as string },
  ]);
});
