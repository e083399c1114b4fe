/** Where set-up keeps what it built or fetched, for every lab of this user. */
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import lockfile from 'proper-lockfile';

/** A Go build takes 2.5 min on 2 cores; a slow machine gets six times as long before we give up waiting for it. */
const WAIT_FOR_OTHERS_MS = 15 * 60_000;
const LOOK_EVERY_MS = 1_000;

/** `GODWIT_CACHE`, else `XDG_CACHE_HOME/godwit`, else `~/.cache/godwit`. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env['GODWIT_CACHE']) return env['GODWIT_CACHE'];
  return join(env['XDG_CACHE_HOME'] ? env['XDG_CACHE_HOME'] : join(homedir(), '.cache'), 'godwit');
}

/**
 * `work` while no other process sets up with the same cache. A holder that died is noticed by its lock's age (10 s),
 * which a living one keeps fresh.
 */
export async function alone<T>(cache: string, work: () => Promise<T>): Promise<T> {
  await mkdir(cache, { recursive: true });
  const release = await lockfile.lock(cache, {
    lockfilePath: join(cache, 'setup.lock'),
    stale: 10_000,
    update: 2_000,
    retries: {
      retries: WAIT_FOR_OTHERS_MS / LOOK_EVERY_MS,
      factor: 1,
      minTimeout: LOOK_EVERY_MS,
      maxTimeout: LOOK_EVERY_MS,
    },
  });
  try {
    return await work();
  } finally {
    await release();
  }
}
