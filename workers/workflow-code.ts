/** The workflows as one bundle: that of the build where there is one, else made from the sources and kept by their hash. */
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, type WorkflowBundleOption } from '@temporalio/worker';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Bundling takes 5 s; sources run from (tests, `tsx`) never use a build that may be older than they are. */
export async function workflowCode(): Promise<WorkflowBundleOption> {
  const built = join(root, 'workflow-bundle.js');
  if (existsSync(built)) return { codePath: built };
  const kept = join(root, 'node_modules', '.cache', 'godwit', `workflows-${await sourceHash()}.js`);
  if (!existsSync(kept)) await bundleInto(kept);
  return { codePath: kept };
}

async function bundleInto(path: string): Promise<void> {
  const extension = existsSync(join(root, 'workflows', 'index.ts')) ? 'ts' : 'js';
  const ignore = (): void => undefined;
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(root, 'workflows', `index.${extension}`),
    payloadConverterPath: join(root, 'workflows', `payload-converter.${extension}`),
    logger: { log: ignore, trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore },
  });
  await mkdir(join(path, '..'), { recursive: true });
  // Several processes may come here at once; whoever is last puts the same there again.
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, code);
  await rename(temporary, path);
}

async function sourceHash(): Promise<string> {
  const hash = createHash('sha256');
  for (const folder of ['spec', 'workflows']) {
    for (const name of (await readdir(join(root, folder))).sort()) {
      if (/\.[jt]s$/.test(name)) hash.update(name).update(await readFile(join(root, folder, name)));
    }
  }
  hash.update(await readFile(join(root, 'package-lock.json')).catch(() => ''));
  return hash.digest('hex').slice(0, 16);
}
