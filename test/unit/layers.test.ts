import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';

/** Folder → folders or modules of ours that it may import. A type import counts, except where `types` allows it. */
const LAYERS: Record<string, { may: string[]; types?: string[] }> = {
  spec: { may: [] },
  workflows: { may: ['spec'], types: ['activities'] },
  activities: { may: ['spec'] },
  workers: { may: ['spec', 'activities', 'workflows'] },
  // The CLI starts labs and workers, and reads the databases of reconciliations, since rows never travel through Temporal.
  // All three are loaded only by the commands that need them.
  clients: {
    may: ['spec', 'lab', 'workers', 'activities/reconciliation'],
    types: ['workflows', 'activities/reconciliation-contract'],
  },
  lab: { may: ['spec'] },
};

interface Import {
  from: string;
  to: string;
  typeOnly: boolean;
}

function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

function importsOf(file: string): Import[] {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.ES2022, true);
  const found: Import[] = [];
  const keep = (specifier: ts.Expression | undefined, typeOnly: boolean): void => {
    if (!specifier || !ts.isStringLiteralLike(specifier) || !specifier.text.startsWith('.')) return;
    found.push({ from: file, to: normalize(join(dirname(file), specifier.text)), typeOnly });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node))
      keep(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword);
    if (ts.isExportDeclaration(node)) keep(node.moduleSpecifier, node.isTypeOnly);
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      keep(node.arguments[0], false);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

describe.each(Object.entries(LAYERS))('%s/', (folder, { may, types = [] }) => {
  test(`imports nothing of ours but ${[...may, ...types.map((one) => `types of ${one}`)].join(', ') || 'itself'}`, () => {
    const wrong = filesOf(folder)
      .flatMap(importsOf)
      .filter(({ to, typeOnly }) => {
        const within = (one: string): boolean => to.startsWith(`${one}/`) || to.startsWith(`${one}.`);
        return !within(folder) && !may.some(within) && !(typeOnly && types.some(within));
      })
      .map(({ from, to }) => `${from} imports ${to}`);
    expect(wrong).toEqual([]);
  });
});
