/** Debian's packages, installed without starting the services that come with them. */
import { existsSync } from 'node:fs';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { execa } from 'execa';
import { onPath } from './path.js';

const UPDATE_TIMEOUT_MS = 3 * 60_000;
const INSTALL_TIMEOUT_MS = 10 * 60_000;

/** Asked by every package's scripts before they start a service; 101 says no. */
const SERVICE_POLICY = '/usr/sbin/policy-rc.d';
/** Debian would make a cluster of its own, and start it on port 5432 at the next boot. */
const CLUSTER_POLICY = '/etc/postgresql-common/createcluster.conf';

/** Installs one package as root; answers what `found` finds afterwards. Null: not Debian, or not root. */
export async function aptInstall(name: string, found: () => string | null): Promise<string | null> {
  if (onPath('apt-get') === null || process.getuid?.() !== 0) return null;
  const options = { stdin: 'ignore', env: { DEBIAN_FRONTEND: 'noninteractive' } } as const;
  await execa('apt-get', ['update', '-q'], { ...options, timeout: UPDATE_TIMEOUT_MS });
  await writeUnlessThere(CLUSTER_POLICY, 'create_main_cluster = false\n');
  const ours = await writeUnlessThere(SERVICE_POLICY, '#!/bin/sh\nexit 101\n');
  if (ours) await chmod(SERVICE_POLICY, 0o755);
  try {
    const args = ['install', '-y', '-q', '--no-install-recommends', name];
    await execa('apt-get', args, { ...options, timeout: INSTALL_TIMEOUT_MS });
  } finally {
    if (ours) await rm(SERVICE_POLICY, { force: true });
  }
  return found();
}

async function writeUnlessThere(file: string, content: string): Promise<boolean> {
  if (existsSync(file)) return false;
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
  return true;
}
