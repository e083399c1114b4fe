import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { cliPage } from '../../clients/cli-page.js';

test('docs/cli.md is current; otherwise run: npm run cli-page', async () => {
  expect(await readFile('docs/cli.md', 'utf8')).toBe(cliPage());
});

/** Values that a module imports at once: `import type` and `import()` cost nothing at the start. */
async function importsOf(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8');
  const found = text.matchAll(/^(?:import|export)\s(?!type\b)[^;]*?from\s+'([^']+)'/gms);
  return [...found, ...text.matchAll(/^import\s+'([^']+)'/gm)].map((match) => match[1] ?? '');
}

async function loadedFrom(file: string, seen: Set<string>, packages: Set<string>): Promise<void> {
  if (seen.has(file)) return;
  seen.add(file);
  for (const name of await importsOf(file)) {
    if (name.startsWith('.')) await loadedFrom(join(dirname(file), name.replace(/\.js$/, '.ts')), seen, packages);
    else if (!name.startsWith('node:')) packages.add(name);
  }
}

test('--help loads commander and colours only, so that it starts in a moment', async () => {
  const packages = new Set<string>();
  const seen = new Set<string>();
  await loadedFrom('clients/godwit.ts', seen, packages);
  expect([...packages].sort()).toEqual(['commander', 'picocolors']);
  expect([...seen].filter((file) => file.startsWith('clients/commands'))).toEqual([]);
});
