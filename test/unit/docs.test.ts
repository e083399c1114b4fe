/** What the pages say can be done, can be done: links lead somewhere, commands parse, documents load, quoted tests exist. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { commandsOf } from '../../clients/program.js';
import { loadAny } from '../../spec/load.js';
import { captureTerminal } from '../support/terminal.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const pages = [join(root, 'README.md'), ...readdirSync(join(root, 'docs')).map((name) => join(root, 'docs', name))]
  .filter((path) => path.endsWith('.md'))
  .map((path) => ({ name: relative(root, path), path, text: readFileSync(path, 'utf8') }));
const names = pages.map(({ name }) => name);

const pageOf = (name: string): (typeof pages)[number] => {
  const page = pages.find((one) => one.name === name);
  if (page === undefined) throw new Error(`no page ${name}`);
  return page;
};

interface Block {
  language: string;
  text: string;
}

function blocksOf(text: string): Block[] {
  return [...text.matchAll(/^```(\w*)\n([^]*?)^```/gm)].map(([, language = '', body = '']) => ({
    language,
    text: body,
  }));
}

/** Without code, in which brackets are no links. */
function proseOf(text: string): string {
  return text.replace(/^```[^]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
}

// ── links ──

function linksOf(text: string): string[] {
  return [...proseOf(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
}

/** As GitHub makes them from headings. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[`*]/g, '')
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
  const written = [...text.matchAll(/<a id="([^"]+)">/g)].map(([, id = '']) => id);
  return new Set([...headings, ...written]);
}

describe.each(names)('%s', (name) => {
  const { path, text } = pageOf(name);

  test('has only relative links that lead somewhere', () => {
    const broken = linksOf(text).filter((link) => {
      if (/^[a-z]+:/.test(link)) return false;
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? path : join(dirname(path), file);
      if (!existsSync(target)) return true;
      return anchor !== undefined && target.endsWith('.md') && !anchorsOf(readFileSync(target, 'utf8')).has(anchor);
    });
    expect(broken).toEqual([]);
  });

  test('names only npm scripts that there are', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const named = [...text.matchAll(/\bnpm run ([a-z][\w:-]*)/g)].map(([, script = '']) => script);
    expect(named.filter((script) => !Object.hasOwn(scripts, script))).toEqual([]);
  });

  test('has only migrations and reconciliations that load', () => {
    const documents = blocksOf(text).filter(
      (block) =>
        ['yaml', 'json'].includes(block.language) && /"?kind"?: "?(Migration|Reconciliation)\b/.test(block.text),
    );
    for (const { text: document } of documents) {
      const loaded = loadAny(documentIn(document));
      expect(loaded.ok ? [] : loaded.problems).toEqual([]);
    }
    for (const block of blocksOf(text).filter(({ language }) => language === 'yaml')) {
      expect(() => void parse(block.text)).not.toThrow();
    }
  });

  test('has only godwit commands that parse', async () => {
    const wrong: string[] = [];
    for (const words of commandLinesOf(text)) {
      const problem = await problemOf(words);
      if (problem !== null) wrong.push(`godwit ${words.join(' ')}: ${problem}`);
    }
    for (const words of mentionsIn(text)) {
      const problem = await problemOf(words, UNFINISHED);
      if (problem !== null) wrong.push(`godwit ${words.join(' ')}: ${problem}`);
    }
    expect(wrong).toEqual([]);
  });
});

/** The input of a workflow may hold its document beside something else. */
function documentIn(text: string): string {
  const input: unknown = parse(text);
  const inside = typeof input === 'object' && input !== null && 'document' in input ? input.document : null;
  return inside === null ? text : JSON.stringify(inside);
}

test('a command that there is not, and a flag that there is not, would be found', async () => {
  expect(commandLinesOf('```sh\ngodwit lab up && godwit frobnicate ID # a comment\n```')).toEqual([
    ['lab', 'up'],
    ['frobnicate', 'ID'],
  ]);
  expect(await problemOf(['frobnicate', 'ID'])).toContain('frobnicate');
  expect(await problemOf(['status', 'ID', '--loud'])).toContain('--loud');
  expect(await problemOf(['approve', 'ID', 'switch'])).toContain('--confirm');
  expect(await problemOf(['approve', 'ID', 'switch', '--confirm', 'NAME'])).toBeNull();
  expect(await problemOf(['lab', 'upp'])).toContain('upp');
});

// ── commands ──

/** Those in shell blocks. */
function commandLinesOf(text: string): string[][] {
  const shell = blocksOf(text).filter(({ language }) => language === 'sh');
  return shell.flatMap((block) => block.text.replaceAll('\\\n', ' ').split('\n')).flatMap(commandsIn);
}

/** Those in running text, which may leave out what a command needs: "`godwit rollback` brings it back". */
function mentionsIn(text: string): string[][] {
  const code = [...text.replace(/^```[^]*?^```/gm, '').matchAll(/`(godwit [^`\n]+)`/g)].map(([, inner = '']) => inner);
  return code.flatMap(commandsIn).filter(([first]) => first !== 'COMMAND');
}

const UNFINISHED = ['commander.missingArgument', 'commander.missingMandatoryOptionValue'];

/** The godwit commands of one line of shell, as words without the first. */
function commandsIn(line: string): string[][] {
  const commands: string[][] = [[]];
  for (const [, token = '', quoted] of line.matchAll(/((?:'([^']*)'|"[^"]*"|[^\s'"])+)/g)) {
    if (token.startsWith('#')) break;
    if (['&&', '||', '|', '&', ';'].includes(token)) commands.push([]);
    else if (token.startsWith('>')) commands.at(-1)?.push('>');
    else commands.at(-1)?.push(quoted ?? token.replace(/;$/, '').replaceAll(/["']/g, ''));
    if (token.endsWith(';') && token !== ';') commands.push([]);
  }
  return commands.filter(([first]) => first === 'godwit').map((words) => untilRedirection(words.slice(1)));
}

function untilRedirection(words: string[]): string[] {
  const at = words.findIndex((word) => word === '>' || word === '2>&1');
  return at < 0 ? words : words.slice(0, at);
}

/** What the real program says of these words; null: it would run. Nothing is run. */
async function problemOf(words: string[], allowed: string[] = []): Promise<string | null> {
  const terminal = captureTerminal();
  const program = commandsOf({ terminal, finish: () => undefined });
  withoutActions(program);
  try {
    await program.parseAsync(words, { from: 'user' });
    return null;
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return ['commander.help', 'commander.helpDisplayed', ...allowed].includes(code ?? '') ? null : message;
  }
}

function withoutActions(command: Command): void {
  for (const one of command.commands) {
    if (one.commands.length === 0) one.action(() => undefined);
    withoutActions(one);
  }
}

// ── what the switch rests on ──

describe('the experiments of docs/switch-protocol.md', () => {
  const rows = [...pageOf('docs/switch-protocol.md').text.matchAll(/^\|.*\]\((\S+\.test\.ts)\) “(.+)” *\|$/gm)].map(
    ([, file = '', title = '']) => ({ file, title }),
  );

  test('are held by tests', () => {
    expect(rows.length).toBeGreaterThan(30);
  });

  test.each(rows)('$title', ({ file, title }) => {
    const source = readFileSync(join(root, 'docs', file), 'utf8');
    expect(source.replaceAll("\\'", "'")).toContain(title);
  });
});

test('every failure of the closed list says in docs/operations.md what holds and what to do', async () => {
  const { FAILURES } = await import('../../spec/failures.js');
  const described = [...pageOf('docs/operations.md').text.matchAll(/^\| `(\w+)`( ↻)? +\|/gm)].map(
    ([, type = '', retried]) => [type, retried !== undefined],
  );
  const retryable = Object.entries(FAILURES).map(([type, { retryable: again }]) => [type, again]);
  expect(described).toEqual(expect.arrayContaining(retryable));
});
