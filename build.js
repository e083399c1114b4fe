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

await rm('dist', { recursive: true, force: true });
await build({
  entryPoints: files.filter((file) => file.endsWith('.ts')),
  outdir: 'dist',
  outbase: '.',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: 'linked',
  logLevel: 'warning',
});
for (const file of files.filter((name) => BESIDE.test(name))) {
  await mkdir(join('dist', dirname(file)), { recursive: true });
  await cp(file, join('dist', file));
}
await writeFile('dist/package.json', '{"type":"module"}\n');
await chmod('dist/clients/godwit.js', 0o755);

const { bundleWorkflowCode } = await import('@temporalio/worker');
const { code } = await bundleWorkflowCode({
  workflowsPath: new URL('./dist/workflows/index.js', import.meta.url).pathname,
  payloadConverterPath: new URL('./dist/workflows/payload-converter.js', import.meta.url).pathname,
  logger: { log() {}, trace() {}, debug() {}, info() {}, warn: console.warn, error: console.error },
});
await writeFile('dist/workflow-bundle.js', code);
