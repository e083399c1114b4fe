/** The sources as plain JavaScript, in their folders: for processes that tests start, see `TRANSPILED` of lab/module-command.ts. */
import { chmod, cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import { workflowCode } from '../../workers/workflow-code.js';

const ROOTS = ['spec', 'activities', 'workflows', 'workers', 'lab', 'test/support'];
const CACHE = 'node_modules/.cache/godwit';

/** Answers the folder, within the repository so that packages are found. */
export async function transpile(): Promise<string> {
  await mkdir(CACHE, { recursive: true });
  const folder = join(process.cwd(), await mkdtemp(join(CACHE, 'transpiled-')));
  // Some tests run one as another user.
  await chmod(folder, 0o755);
  const entries = await Promise.all(ROOTS.map((root) => readdir(root, { recursive: true, withFileTypes: true })));
  const files = entries
    .flat()
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const sources = files.filter((file) => file.endsWith('.ts'));
  await build({
    entryPoints: sources,
    outdir: folder,
    outbase: '.',
    format: 'esm',
    platform: 'node',
    target: 'node20',
  });
  for (const file of files.filter((name) => !sources.includes(name))) {
    await mkdir(join(folder, dirname(file)), { recursive: true });
    await cp(file, join(folder, file));
  }
  await writeFile(join(folder, 'package.json'), '{"type":"module"}\n');
  const workflows = await workflowCode();
  if ('codePath' in workflows) await cp(workflows.codePath, join(folder, 'workflow-bundle.js'));
  return folder;
}

export const removeTranspiled = (folder: string): Promise<void> => rm(folder, { recursive: true, force: true });
