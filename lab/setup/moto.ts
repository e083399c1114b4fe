/** Finds moto, the stand-in for AWS that the lab's proxy keeps strict, or gets it from PyPI into a virtual environment. */
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { aptInstall } from './apt.js';
import { onPath } from './path.js';
import type { OnProgress } from './progress.js';
import { firstOf } from './sources.js';

const VERSION = '5.2.1';
/**
 * moto, the web server that its own server needs, and all that they stand on, exact, so that a test that fails has failed
 * because of us. The extra `moto[server]` would bring cfn-lint, sympy and others besides, for services that the lab doesn't
 * have: 314 MB and 42 s instead of 137 MB and 12 s.
 */
const PACKAGES = [
  `moto==${VERSION}`,
  'blinker==1.9.0',
  'boto3==1.44.5',
  'botocore==1.44.5',
  'certifi==2026.10.18',
  'cffi==2.1.1',
  'charset-normalizer==3.5.2',
  'click==8.5.1',
  'cryptography==50.0.2',
  'flask==3.1.3',
  'flask-cors==6.0.5',
  'idna==3.20',
  'itsdangerous==2.2.0',
  'jinja2==3.1.6',
  'jmespath==1.1.0',
  'markupsafe==3.0.4',
  'pycparser==3.12',
  'python-dateutil==2.9.0.post0',
  'pyyaml==6.0.3',
  'requests==2.34.2',
  'responses==0.26.3',
  's3transfer==0.19.3',
  'six==1.17.0',
  'urllib3==2.8.0',
  'werkzeug==3.1.9',
  'xmltodict==1.0.4',
];
const INSTALL_TIMEOUT_MS = 10 * 60_000;

/** Python of a virtual environment that has moto; fails with `ComponentMissing`. */
export async function motoPython(cache: string, onProgress: OnProgress): Promise<string> {
  const folder = join(cache, `moto-${VERSION}`);
  const python = join(folder, 'bin', 'python');
  return firstOf(
    `moto ${VERSION} (a stand-in for AWS)`,
    [
      { title: `the cache (${folder})`, get: () => Promise.resolve(existsSync(complete(folder)) ? python : null) },
      {
        title: `installing moto ${VERSION} from PyPI`,
        expected: 'about 30 s',
        get: async () => ((await install(folder)) ? python : null),
      },
    ],
    'Python 3.10 or newer with its module venv (`apt-get install python3-venv`)',
    onProgress,
  );
}

/** Made last, so that an interrupted set-up is begun anew: a virtual environment can't be moved when it is whole. */
const complete = (folder: string): string => join(folder, 'complete');

/** False: there is no Python with venv, and none to be had. */
async function install(folder: string): Promise<boolean> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, '..'), { recursive: true });
  if (!(await makeEnvironment(folder))) return false;
  const options = { timeout: INSTALL_TIMEOUT_MS, stdin: 'ignore' } as const;
  const pip = ['-m', 'pip', 'install', '--disable-pip-version-check', '--quiet', '--no-input', ...PACKAGES];
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
