/** Finds moto, the stand-in for AWS that the lab's proxy keeps strict, or gets it from PyPI into a virtual environment. */
import { join } from 'node:path';
import type { OnProgress } from './progress.js';
import { isComplete, pythonEnvironment } from './python.js';
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

/** Python of a virtual environment that has moto; fails with `ComponentMissing`. */
export async function motoPython(cache: string, onProgress: OnProgress): Promise<string> {
  const folder = join(cache, `moto-${VERSION}`);
  const python = join(folder, 'bin', 'python');
  return firstOf(
    `moto ${VERSION} (a stand-in for AWS)`,
    [
      { title: `the cache (${folder})`, get: () => Promise.resolve(isComplete(folder) ? python : null) },
      {
        title: `installing moto ${VERSION} from PyPI`,
        expected: 'about 30 s',
        get: async () => ((await pythonEnvironment(folder, PACKAGES)) ? python : null),
      },
    ],
    'Python 3.10 or newer with its module venv (`apt-get install python3-venv`)',
    onProgress,
  );
}
