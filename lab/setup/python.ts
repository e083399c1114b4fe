/** Virtual environments of Python, for parts of the lab that come from PyPI. */
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { aptInstall } from './apt.js';
import { onPath } from './path.js';

const INSTALL_TIMEOUT_MS = 10 * 60_000;

/** Made last, so that an interrupted set-up is begun anew: a virtual environment can't be moved when it is whole. */
const complete = (folder: string): string => join(folder, 'complete');

export const isComplete = (folder: string): boolean => existsSync(complete(folder));

/** A virtual environment with these packages. False: there is no Python with venv, and none to be had. */
export async function pythonEnvironment(folder: string, packages: string[]): Promise<boolean> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, '..'), { recursive: true });
  if (!(await makeEnvironment(folder))) return false;
  const options = { timeout: INSTALL_TIMEOUT_MS, stdin: 'ignore' } as const;
  const pip = ['-m', 'pip', 'install', '--disable-pip-version-check', '--quiet', '--no-input', ...packages];
  await execa(join(folder, 'bin', 'python'), pip, options);
  await writeFile(complete(folder), '');
  return true;
}

/** Debian has venv in a package of its own, without which `python3 -m venv` fails half-way. False: there is no Python. */
async function makeEnvironment(folder: string): Promise<boolean> {
  const found = (): string | null => onPath('python3');
  const make = (python: string): Promise<unknown> => execa(python, ['-m', 'venv', folder], { stdin: 'ignore' });
  const first = found();
  const failed = first === null ? null : await make(first).then(() => null, asError);
  if (first !== null && failed === null) return true;
  await rm(folder, { recursive: true, force: true });
  const python = await aptInstall('python3-venv', found);
  if (python === null && failed !== null) throw failed;
  if (python === null) return false;
  await make(python);
  return true;
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
