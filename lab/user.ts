/** The user that servers run as when we are root, since Postgres refuses root. */
import { readFile } from 'node:fs/promises';

/** `postgres` if that user exists, else `nobody`; undefined when we aren't root and no change is needed. */
export async function unprivilegedUser(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const entries = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const wanted of ['postgres', 'nobody']) {
    const entry = entries.find((fields) => fields[0] === wanted);
    if (entry) return { uid: Number(entry[2]), gid: Number(entry[3]) };
  }
  throw new Error('running as root, and there is neither a user postgres nor nobody to run servers as');
}
