import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ComponentMissing, ensureComponents, type SetupEvent } from '../../lab/components.js';
import { alone, cacheFolder } from '../../lab/setup/cache.js';
import { onPath } from '../../lab/setup/path.js';
import { firstOf } from '../../lab/setup/sources.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'godwit-components-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('the components of a lab', () => {
  test('are found without a word where they are there already', async () => {
    const events: SetupEvent[] = [];
    const components = await ensureComponents({
      env: { ...process.env, TEMPORAL_ADDRESS: undefined },
      onProgress: (event) => events.push(event),
    });
    expect(components.temporal).toMatchObject({ kind: 'binary', path: expect.stringContaining('temporal') as string });
    expect(events).toEqual([]);
  });

  test('take Temporal from the cache folder, and from TEMPORAL_ADDRESS before that', async () => {
    await mkdir(join(folder, 'bin'));
    const cached = join(folder, 'bin', 'temporal-1.5.1');
    await writeFile(cached, '');
    const env = { ...process.env, GODWIT_CACHE: folder, TEMPORAL_ADDRESS: undefined };
    const found = (await ensureComponents({ env })).temporal;
    if (onPath('temporal') === null) expect(found).toEqual({ kind: 'binary', path: cached });
    const address = 'temporal.example:7233';
    expect((await ensureComponents({ env: { ...env, TEMPORAL_ADDRESS: address } })).temporal).toEqual({
      kind: 'server',
      address,
    });
  });

  test('are kept in GODWIT_CACHE, else under XDG_CACHE_HOME, else under ~/.cache', () => {
    expect(cacheFolder({ GODWIT_CACHE: '/a', XDG_CACHE_HOME: '/b' })).toBe('/a');
    expect(cacheFolder({ XDG_CACHE_HOME: '/b' })).toBe('/b/godwit');
    expect(cacheFolder({})).toMatch(/\/\.cache\/godwit$/);
  });
});

describe('getting a component', () => {
  test('tries each source in order, and tells of those that take long', async () => {
    const events: SetupEvent[] = [];
    const found = await firstOf(
      'a thing',
      [
        { title: 'on PATH', get: () => Promise.resolve(null) },
        { title: 'a download', expected: 'about 20 s', get: () => Promise.reject(new Error('no network')) },
        { title: 'a build', expected: 'about 2.5 min', get: () => Promise.resolve('/built') },
        { title: 'never asked', get: () => Promise.reject(new Error('asked')) },
      ],
      'install it',
      (event) => events.push(event),
    );
    expect(found).toBe('/built');
    expect(events.map(({ title, state, expected }) => `${title} ${state}, ${expected}`)).toEqual([
      'a download started, about 20 s',
      'a download failed, about 20 s',
      'a build started, about 2.5 min',
      'a build done, about 2.5 min',
    ]);
  });

  test('fails with all that was tried, why each failed, and what to install', async () => {
    const failed = firstOf(
      'a thing',
      [
        { title: 'on PATH', get: () => Promise.resolve(null) },
        { title: 'a download', expected: 'about 20 s', get: () => Promise.reject(new Error('no network')) },
      ],
      '`apt-get install thing`',
      () => undefined,
    );
    await expect(failed).rejects.toThrow(ComponentMissing);
    await expect(failed).rejects.toThrow(/a thing is missing/);
    await expect(failed).rejects.toThrow(/on PATH: not there\n.*a download: no network\n.*`apt-get install thing`/);
  });

  test('is done by one process at a time', async () => {
    const log = join(folder, 'log');
    const turn = (name: string): Promise<void> =>
      alone(folder, async () => {
        await writeFile(log, `${name} in\n`, { flag: 'a' });
        await sleep(50);
        await writeFile(log, `${name} out\n`, { flag: 'a' });
      });
    await Promise.all([turn('a'), turn('b')]);
    const lines = (await readFile(log, 'utf8')).trim().split('\n');
    expect(lines.map((line) => line.split(' ')[1])).toEqual(['in', 'out', 'in', 'out']);
  });

  test('finds programs that are executable, and no others', async () => {
    await writeFile(join(folder, 'tool'), '#!/bin/sh\n');
    expect(onPath('tool', { PATH: folder })).toBeNull();
    await chmod(join(folder, 'tool'), 0o755);
    expect(onPath('tool', { PATH: `/nowhere:${folder}` })).toBe(join(folder, 'tool'));
  });
});
