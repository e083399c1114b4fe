/**
 * Makes `dist/`: every module transpiled on its own, so that the CLI loads only what a command needs, what isn't
 * TypeScript beside it, and the workflows in one bundle, so that workers start without webpack.
 */
import { cp, chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';

const ROOTS = ['spec', 'activities', 'workflows', 'workers', 'clients', 'lab'];
const BESIDE = /\.(sql|json|ini|conf|html|md)$/;

const files = (await Promise.all(ROOTS.map((root) => readdir(root, { recursive: true, withFileTypes: true }))))
  .flat()
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name));

await build({
  entryPoints: files.filter((file) => file.endsWith('.ts')),
  outdir: 'node_modules/.cli-dist',
  outbase: '.',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: 'linked',
  logLevel: 'warning',
});
for (const file of files.filter((name) => BESIDE.test(name))) {
  await mkdir(join('node_modules/.cli-dist', dirname(file)), { recursive: true });
  await cp(file, join('node_modules/.cli-dist', file));
}
await writeFile('node_modules/.cli-dist/package.json', '{"type":"module"}\n');
await chmod('node_modules/.cli-dist/clients/godwit.js', 0o755);

const { bundleWorkflowCode } = await import('@temporalio/worker');
const { code } = await bundleWorkflowCode({
  workflowsPath: new URL('./node_modules/.cli-dist/workflows/index.js', import.meta.url).pathname,
  logger: { log() {}, trace() {}, debug() {}, info() {}, warn: console.warn, error: console.error },
});
await writeFile('node_modules/.cli-dist/workflow-bundle.js', code);
