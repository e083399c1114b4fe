/** Finds Temporal's CLI, whose `server start-dev` is the lab's Temporal, or gets it. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { moduleCommand } from '../module-command.js';
import { onPath } from './path.js';
import type { OnProgress } from './progress.js';
import { firstOf, type Source } from './sources.js';

const VERSION = '1.5.1';
/** A download of 40 MB; where the network swallows packets it would wait for ever. */
const DOWNLOAD_TIMEOUT_MS = 90_000;
/** Measured 2.5 min on 2 cores with nothing else running. */
const BUILD_TIMEOUT_MS = 20 * 60_000;

/** Path of the `temporal` binary: from PATH, the cache, the SDK's download, or built from source with Go. */
export async function temporalBinary(cache: string, onProgress: OnProgress): Promise<string> {
  const kept = join(cache, 'bin', `temporal-${VERSION}`);
  const sources: Source[] = [
    { title: '`temporal` on PATH', get: () => Promise.resolve(onPath('temporal')) },
    { title: `the cache (${kept})`, get: () => Promise.resolve(existsSync(kept) ? kept : null) },
    {
      title: "download of Temporal's CLI by its SDK",
      expected: 'about 20 s',
      get: () => download(join(cache, 'download'), kept),
    },
    {
      title: `building Temporal's CLI ${VERSION} from source with Go`,
      expected: 'about 2.5 min on 2 cores, once',
      get: () => build(join(cache, 'build'), kept),
    },
  ];
  return firstOf(
    "Temporal's CLI",
    sources,
    'see https://docs.temporal.io/cli, or install Go 1.25 or newer, or set TEMPORAL_ADDRESS to a server that runs',
    onProgress,
  );
}

/** In a process of its own, since the SDK's download can't be cancelled. */
async function download(folder: string, kept: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const { command, args } = moduleCommand(import.meta.url, './temporal-download');
  await execa(command, [...args, folder, VERSION], { timeout: DOWNLOAD_TIMEOUT_MS, stdin: 'ignore' });
  const file = (await readdir(folder)).find((name) => name.startsWith('temporal'));
  if (file === undefined) throw new Error(`the SDK left nothing in ${folder}`);
  return keep(join(folder, file), kept);
}

async function build(folder: string, kept: string): Promise<string | null> {
  if (onPath('go') === null) return null;
  await mkdir(folder, { recursive: true });
  await execa('go', ['install', `github.com/temporalio/cli/cmd/temporal@v${VERSION}`], {
    // Without cgo the binary is static, and needs no C compiler.
    env: { CGO_ENABLED: '0', GOBIN: folder },
    timeout: BUILD_TIMEOUT_MS,
    stdin: 'ignore',
  });
  return keep(join(folder, 'temporal'), kept);
}

/** Renamed only when whole, so that an interrupted set-up leaves no half of a binary behind. */
async function keep(made: string, kept: string): Promise<string> {
  await mkdir(join(kept, '..'), { recursive: true });
  await rename(made, kept);
  await rm(join(made, '..'), { recursive: true, force: true });
  return kept;
}
