import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, test, vi } from 'vitest';
import { parse } from 'yaml';
import { run } from '../../clients/command-line.js';
import { godwit } from '../../clients/program.js';
import { captureTerminal, type CaptureOptions } from '../support/terminal.js';

// The first command that asks Temporal loads its client, which takes seconds on a busy machine.
vi.setConfig({ testTimeout: 30_000 });

/** A port of loopback where nobody listens. */
const NOBODY = '127.0.0.1:9';

async function cli(words: string[], options: CaptureOptions = {}) {
  const terminal = captureTerminal(options);
  const exitCode = await run(words, terminal);
  return { exitCode, stdout: terminal.stdout, stderr: terminal.stderr };
}

function allCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allCommands)];
}

async function fileWith(text: string): Promise<string> {
  const file = join(await mkdtemp(join(tmpdir(), 'godwit-cli-')), 'move.yaml');
  await writeFile(file, text);
  return file;
}

const WRONG = `apiVersion: godwit.dev/v1alpha1
kind: Migration
metadata: {name: orders}
spec:
  databases:
    orders:
      source: {url: {env: A}}
      target: {url: {env: B}}
      copy: {paralelism: 4}
      cutover: {maxPause: soon}
`;

describe('the command line', () => {
  test('shows examples in the help of every command', () => {
    const program = godwit({ terminal: captureTerminal(), finish: () => undefined });
    for (const command of allCommands(program).filter((one) => one.name() !== 'complete' && one !== program)) {
      let help = '';
      command.configureOutput({ writeOut: (text) => (help += text) });
      command.outputHelp();
      expect(help, command.name()).toMatch(/Examples:\n {2}.*godwit /);
    }
  });

  test('answers --help with exit code 0 on stdout', async () => {
    const { exitCode, stdout, stderr } = await cli(['--help']);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('A migration from beginning to end:');
    expect(stderr).toBe('');
  });

  test.each([
    [['statsu'], 'Did you mean status?'],
    [['status'], "missing required argument 'id'"],
    [['approve', 'orders', 'switch'], "required option '--confirm <name>' not specified"],
    [['status', 'orders', '-o', 'xml'], 'Allowed choices are table, wide, json, yaml'],
    [['pause', 'orders', '--unit', 'orders'], 'A unit is written TYPE/NAME, for instance database/orders.'],
    [['start', 'move.yaml', '--timeout', '5'], 'write 5s for seconds or 5m for minutes'],
    [['list', '--state', 'happy'], 'awaiting-approval'],
    [['start'], 'a start needs either a specification or a plan.'],
    [['start', 'a.yaml', '--plan', 'b.plan'], 'a start needs either a specification or a plan.'],
    [['start', '--plan', 'package.json'], 'package.json is no plan.'],
    [['set', 'orders', 'rateLimit'], '`rateLimit` is no PATH=VALUE.'],
    [['reconcile', 'nowhere.yaml'], "can't read nowhere.yaml: it isn't there."],
    [['reconcile', 'run', 'a.yaml', '--level', 'deeper'], 'quick, comprehensive, deep, business'],
    [['reconcile', 'report', 'a.yaml', '--day', 'today'], 'Expected a day such as 2026-05-01.'],
    [['reconcile', 'repair', 'a.yaml'], "missing required argument 'run'"],
    [
      ['reconcile', 'repair', 'examples/reconciliation.yaml', 'RUN'],
      'type the name of the reconciliation: --confirm shop',
    ],
    [['reconcile', 'forget', 'a.yaml'], "required option '--confirm <name>' not specified"],
    [['reconcile', 'verify', 'nowhere.json'], "can't read nowhere.json"],
    [['review', 'list'], "required option '-f, --file <file>' not specified"],
    [['review', 'show', '-f', 'a.yaml', 'first'], 'Expected the number of an item.'],
    [['review', 'acept', '-f', 'a.yaml', '1'], 'Did you mean accept?'],
    [['schedule', 'backfill', 'shop-deep'], "required option '--from <time>' not specified"],
    [['schedule', 'trigger', 'shop-deep', '--overlap', 'all'], 'Allowed choices are skip, buffer-one, buffer-all'],
    [['schedule', 'create', 'examples/minimal.yaml'], 'expected Reconciliation, found Migration'],
    [['start', 'examples/reconciliation.yaml'], 'expected Migration, found Reconciliation; godwit reconcile'],
    [['validate', 'nowhere.yaml'], "can't read nowhere.yaml: it isn't there."],
  ])('ends %j with exit code 2 and says what is wrong', async (words, said) => {
    const { exitCode, stderr } = await cli(words);
    expect(stderr).toContain(said);
    expect(exitCode).toBe(2);
  });

  test('says how to reach Temporal when it does not answer, without a stack', async () => {
    const { exitCode, stderr } = await cli(['list', '--address', NOBODY]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`Temporal doesn't answer at ${NOBODY}.`);
    expect(stderr).toContain('godwit lab up');
    expect(stderr).not.toContain('    at ');
  });

  test('shows the stack with GODWIT_DEBUG', async () => {
    const { stderr } = await cli(['list', '--address', NOBODY], { env: { GODWIT_DEBUG: '1' } });
    expect(stderr).toContain('    at ');
  });

  test('takes the address from TEMPORAL_ADDRESS, and a flag before it', async () => {
    const env = { TEMPORAL_ADDRESS: '127.0.0.1:10' };
    expect((await cli(['list'], { env })).stderr).toContain('at 127.0.0.1:10.');
    expect((await cli(['list', '--address', NOBODY], { env })).stderr).toContain(`at ${NOBODY}.`);
  });
});

describe('godwit validate', () => {
  test('accepts every example, and says what it would do', async () => {
    for (const name of (await readdir('examples')).filter((one) => /\.(ya?ml|json)$/.test(one))) {
      const { exitCode, stdout, stderr } = await cli(['validate', join('examples', name)]);
      expect(stderr).toBe('');
      expect(exitCode, name).toBe(0);
      expect(stdout).toMatch(/^ok {2}(migration \S+, \d units? \((database|traffic)\/|reconciliation shop, compre)/);
    }
  });

  test('reads stdin for -', async () => {
    const input = await readFile('examples/minimal.yaml', 'utf8');
    expect((await cli(['validate', '-'], { input })).exitCode).toBe(0);
  });

  test('names every mistake with file, line and column at once', async () => {
    const file = await fileWith(WRONG);
    const { exitCode, stderr } = await cli(['validate', file]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`${file} has 2 mistakes:`);
    expect(stderr).toMatch(
      new RegExp(`${file}:9:\\d+ spec.databases.orders.copy.paralelism: .*did you mean parallelism`),
    );
    expect(stderr).toMatch(new RegExp(`${file}:10:\\d+ spec.databases.orders.cutover.maxPause: `));
  });

  test('gives mistakes as JSON to scripts', async () => {
    const file = await fileWith(WRONG);
    const { exitCode, stdout } = await cli(['validate', file, '-o', 'json']);
    expect(exitCode).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject([
      { file, line: 9, path: 'spec.databases.orders.copy.paralelism' },
      { file, line: 10, path: 'spec.databases.orders.cutover.maxPause' },
    ]);
  });

  test('fills in all defaults with -o yaml', async () => {
    const { stdout } = await cli(['validate', 'examples/minimal.yaml', '-o', 'yaml']);
    expect(parse(stdout)).toMatchObject({ name: 'orders', databases: [{ unit: 'database/orders', schema: 'copy' }] });
  });

  test('stops a start before it asks any server', async () => {
    const file = await fileWith(WRONG);
    for (const command of ['preflight', 'plan', 'start']) {
      const { exitCode, stderr } = await cli([command, file, '--address', NOBODY]);
      expect(exitCode).toBe(2);
      expect(stderr).toContain('has 2 mistakes');
    }
  });
});
