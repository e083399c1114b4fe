/** Looking for programs. */
import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';

/** Debian puts servers where an ordinary user's PATH doesn't reach. */
const ALSO = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin'];

/** Full path of an executable, or null. */
export function onPath(name: string, env: NodeJS.ProcessEnv = process.env): string | null {
  const folders = [...(env['PATH'] ?? '').split(':').filter((folder) => folder !== ''), ...ALSO];
  return folders.map((folder) => join(folder, name)).find(executable) ?? null;
}

function executable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
