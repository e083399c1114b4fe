/** Folders that a server can use although it runs as another user than we do. */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { unprivilegedUser } from './user.js';

/**
 * `folder` itself, or, when we are root and the user that servers run as can't get there (a working directory under
 * /root), one in the system's temporary folder that always comes out the same for `folder`.
 */
export async function reachable(folder: string): Promise<string> {
  const user = await unprivilegedUser();
  if (user === undefined || (await traversable(resolve(folder)))) return folder;
  const mark = createHash('sha256').update(resolve(folder)).digest('hex').slice(0, 8);
  return join(tmpdir(), `godwit-${basename(folder)}-${mark}`);
}

/** Whether everybody may pass through every existing folder of this path. */
async function traversable(folder: string): Promise<boolean> {
  const found = await stat(folder).catch(() => null);
  if (found !== null && (found.mode & 0o001) === 0) return false;
  return folder === dirname(folder) || traversable(dirname(folder));
}
