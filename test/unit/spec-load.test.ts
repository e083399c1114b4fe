import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { describeProblems, loadMigration } from '../../spec/load.js';

/** A small migration; `database` replaces lines of its only database, by the name that they begin with. */
function fileWith(database: string[] = [], rest: string[] = []): string {
  const lines = {
    source: 'source: { url: { env: SOURCE } }',
    target: 'target: { url: { env: TARGET } }',
  };
  const kept = Object.entries(lines)
    .filter(([name]) => !database.some((line) => line.startsWith(`${name}:`)))
    .map(([, line]) => line);
  return [
    'apiVersion: godwit.dev/v1alpha1',
    'kind: Migration',
    'metadata: { name: shop }',
    'spec:',
    ...rest.map((line) => `  ${line}`),
    '  databases:',
    '    orders:',
    ...[...database, ...kept].map((line) => `      ${line}`),
  ].join('\n');
}

function problemsOf(text: string): string[] {
  const answer = loadMigration(text);
  return answer.ok ? [] : describeProblems('shop.yaml', answer.problems).split('\n');
}

describe('reading a file', () => {
  test('the small one is good', () => {
    expect(problemsOf(fileWith())).toEqual([]);
  });

  test('the same migration reads the same as YAML and as JSON', () => {
    const yaml = loadMigration(fileWith());
    expect(yaml.ok).toBe(true);
    const json = loadMigration(JSON.stringify(yaml.ok && yaml.document, null, '\t'));
    expect(json).toEqual(yaml);
  });

  test.each([
    ['', 'shop.yaml:1:1 the file is empty'],
    ['# nothing\n', 'shop.yaml:1:1 the file is empty'],
    ['kind: [Migration', 'shop.yaml:1:17 this is neither YAML nor JSON'],
    ['kind: Migration\nkind: Other', 'shop.yaml:2:1 this is neither YAML nor JSON: Map keys must be unique'],
    ['kind: !secret x', 'Unresolved tag'],
    ['kind: *missing', 'Unresolved alias'],
    ['- a', 'shop.yaml:1:1 expected a mapping, found a list'],
    [`${fileWith()}\n---\n${fileWith()}`, 'found a second document'],
  ])('what is no such document at all is refused: %j', (text, expected) => {
    expect(problemsOf(text).join('\n')).toContain(expected);
  });

  test.each<[string, string[], string]>([
    [
      'a typo',
      ['copy: { rateLimt: 1MB }'],
      '7:15 spec.databases.orders.copy.rateLimt: unknown field; did you mean rateLimit?',
    ],
    [
      'a field one level too high',
      ['maxPause: 3s'],
      '7:7 spec.databases.orders.maxPause: unknown field; did you mean cutover.maxPause?',
    ],
    ['a field too low', ['gates: {}'], '7:7 spec.databases.orders.gates: unknown field here; it belongs in spec'],
    [
      'an unknown word',
      ['schema: coppy'],
      '7:15 spec.databases.orders.schema: expected copy or existing; did you mean copy?',
    ],
    [
      'a number without a unit',
      ['watch: { for: 90 }'],
      '7:21 spec.databases.orders.watch.for: expected a duration such as 30s, 5m, 1h30m or 3d; 90 has no unit: write 90s',
    ],
    ['a pause that is an outage', ['cutover: { maxPause: 1h }'], 'maxPause: expected 1ms to 5m'],
    ['text for a number', ['copy: { parallelism: many }'], 'copy.parallelism: expected a number, found text'],
    ['half a worker', ['copy: { parallelism: 1.5 }'], 'expected a whole number, found 1.5'],
    ['no worker', ['copy: { parallelism: 0 }'], 'expected 1 or more'],
    [
      'an empty field',
      ['copy:'],
      '7:7 spec.databases.orders.copy: expected a mapping, found nothing; fill it in, or leave the field out',
    ],
    ['an empty list', ['tables: { include: [] }'], 'tables.include: expected at least one entry'],
    ['a table without its schema', ['tables: { include: [orders] }'], 'tables.include[0]: expected schema.table'],
    ['a row filter of no table', ['tables: { rowFilters: { orders: id > 5 } }'], 'expected schema.table'],
    ['an empty row filter', [`tables: { rowFilters: { shop.orders: ' ' } }`], 'expected 1 or more'],
    [
      'an unlogged table of no known fate',
      ['tables: { unlogged: { shop.cache: refuse } }'],
      'tables.unlogged["shop.cache"]: expected copy or empty',
    ],
    [
      'a rule of no kind',
      ['validation: { rules: [{ name: x, severity: low }] }'],
      '7:29 spec.databases.orders.validation.rules[0]: expected one of noRows, same or within, found none',
    ],
    [
      'half a pair of queries',
      ['validation: { rules: [{ name: x, same: { source: a } }] }'],
      'validation.rules[0].same: expected sql, the query of both sides, or source and target',
    ],
    [
      'a rule whose name is taken',
      ['validation: { rules: [{ name: x, same: { sql: a } }, { name: x, same: { sql: b } }] }'],
      'validation.rules[1].name: expected a name of its own, found x twice',
    ],
    [
      'a typo in a rule',
      ['validation: { rules: [{ name: x, noRow: { sql: a } }] }'],
      '7:40 spec.databases.orders.validation.rules[0].noRow: unknown field; did you mean noRows?',
    ],
    [
      'a rule left out that is none',
      ['validation: { rules: [{ name: paid, noRows: { sql: a } }], ignoreRules: [payd] }'],
      'validation.ignoreRules[0]: no such rule in this database; did you mean paid?',
    ],
    [
      'more SQL than should travel',
      [
        `validation: { rules: [{ name: x, noRows: { sql: "${'a'.repeat(65_000)}" } }, { name: y, noRows: { sql: "${'b'.repeat(600)}" } }] }`,
      ],
      'validation.rules: expected at most 64 KiB of rules in all; make views of what is longer',
    ],
    ['a quoted table', [`tables: { exclude: ['public."Order"'] }`], 'without quotes'],
    [
      'an unknown day',
      ['cutover: { window: { days: [monday], from: "01:00", to: "02:00" } }'],
      'expected sun, mon, tue, wed, thu, fri or sat',
    ],
    [
      'no time of day',
      ['cutover: { window: { from: 1am, to: "02:00" } }'],
      'expected a time of day from 00:00 to 24:00, in UTC',
    ],
    [
      'a host without a port',
      ['endpoints: [{ pgbouncer: { admin: { env: A }, database: x, configFile: /x, hosts: { target: db } } }]'],
      'hosts.target: expected host:port',
    ],
    [
      'the fallback entry',
      ['endpoints: [{ pgbouncer: { admin: { env: A }, database: "*", configFile: /x } }]'],
      "the fallback * can't be paused on its own",
    ],
    [
      'an unknown kind of endpoint',
      ['endpoints: [{ haproxy: {} }]'],
      'endpoints[0].haproxy: unknown field; expected pgbouncer, multiHost, hook or none',
    ],
    [
      'an address of a hook that is none',
      ['endpoints: [{ hook: { url: edge.internal/primary } }]'],
      'hook.url: expected a URL of http or https without user, password and fragment',
    ],
    [
      'a hook of another protocol',
      ['endpoints: [{ hook: { url: "ftp://edge/primary" } }]'],
      'hook.url: expected a URL of http or https',
    ],
    [
      'a token that stands in the file',
      ['endpoints: [{ hook: { url: "https://edge/primary", token: abc } }]'],
      'hook.token: expected a reference to a secret, found text',
    ],
    [
      'a status for one side alone',
      ['endpoints: [{ hook: { url: "https://edge/p", check: { status: { source: 200 } } } }]'],
      'hook.check.status.target: is missing. Status of the answer while it leads to the target.',
    ],
    ['no roles', ['endpoints: [{ multiHost: { roles: [] } }]'], 'multiHost.roles: expected at least one entry'],
    ['a kind in other letters', ['endpoints: [{ multihost: {} }]'], 'unknown field; did you mean multiHost?'],
    ['a variable that is none', ['source: { url: { env: "my url" } }'], 'expected the name of an environment variable'],
    ['a relative file', ['source: { url: { file: ./secret } }'], 'expected an absolute path, as the worker sees it'],
    [
      'two references in one',
      ['source: { url: { env: A, file: /a } }'],
      'expected one reference, found env and file; keep one of them',
    ],
    [
      'a reference of no kind',
      ['source: { url: { vault: x } }'],
      'write {env: NAME}, {file: /path} or {secretsManager: ID, key: NAME}',
    ],
    ['a side without url', ['source: {}'], 'source.url: is missing. Where to find the URL'],
    [
      'a missing side',
      ['target: { url: { env: T } }', 'sourc: { url: { env: S } }'],
      'sourc: unknown field; did you mean source?',
    ],
  ])('%s is named with line, column, path and repair', (_, database, expected) => {
    expect(problemsOf(fileWith(database)).join('\n')).toContain(expected);
  });

  test('every problem is told, in the order of the file', () => {
    const problems = problemsOf(
      fileWith(['schema: coppy', 'watch: { for: 90 }', 'extra: 1']).replace('Migration', 'Migratoin'),
    );
    expect(problems.map((line) => line.split(' ')[0])).toEqual([
      'shop.yaml:2:7',
      'shop.yaml:7:15',
      'shop.yaml:8:21',
      'shop.yaml:9:7',
    ]);
  });

  test('what is missing altogether is asked for by name', () => {
    expect(problemsOf('{}').join('\n')).toMatch(
      /apiVersion: is missing; write godwit\.dev\/v1alpha1[^]*kind: is missing; write Migration/,
    );
  });

  test.each<[string, string[]]>([
    ['in place of a reference', ['source: { url: "postgres://me:hunter2@db/shop" }']],
    ['inside a reference', ['source: { url: { env: "postgres://me:hunter2@db/shop" } }']],
    ['as a Secrets Manager id', ['source: { url: { secretsManager: "postgres://me:hunter2@db/shop" } }']],
    ['as a connection string', ['source: { url: "host=db password=hunter2" }']],
    [
      'as a host',
      [
        'endpoints: [{ pgbouncer: { admin: { env: A }, database: x, configFile: /x, hosts: { target: "postgres://me:hunter2@db:1" } } }]',
      ],
    ],
    [
      'as a database name',
      ['endpoints: [{ pgbouncer: { admin: { env: A }, database: "postgres://me:hunter2@db", configFile: /x } }]'],
    ],
    [
      'as a path',
      ['endpoints: [{ pgbouncer: { admin: { env: A }, database: x, configFile: "/x?password=hunter2" } }]'],
    ],
    ['in the address of a hook', ['endpoints: [{ hook: { url: "https://me:hunter2@edge/primary" } }]']],
    ['as the name of a field', ['"postgres://me:hunter2@db/shop": 1']],
    ['in text that is no YAML', ['source: { url: "postgres://me:hunter2@db/shop" ']],
  ])('a secret that stands in the file %s is refused, and never repeated', (_, database) => {
    const text = problemsOf(fileWith(database)).join('\n');
    expect(text).not.toBe('');
    expect(text).not.toContain('hunter2');
  });

  test('the refusal of an inline secret says why, and what to write', () => {
    const text = problemsOf(fileWith(['source: { url: "postgres://me:hunter2@db/shop" }'])).join('\n');
    expect(text).toContain(
      '7:22 spec.databases.orders.source.url: expected a reference to a secret, found the secret itself',
    );
    expect(text).toContain("it would be kept in the workflow's history");
    expect(text).toContain('{env: NAME}');
  });

  test('anchors and aliases work, and problems behind an alias have a place', () => {
    const good = fileWith([
      'source: { url: &url { env: SOURCE } }',
      'endpoints: [{ pgbouncer: { admin: *url, database: x, configFile: /x } }]',
    ]);
    expect(problemsOf(good)).toEqual([]);
    const bad = fileWith([
      'source: { url: &url { env: "a b" } }',
      'endpoints: [{ pgbouncer: { admin: *url, database: x, configFile: /x } }]',
    ]);
    expect(problemsOf(bad)).toHaveLength(2);
  });

  test('a file of aliases upon aliases is refused quickly', () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...'bcdefgh'
        .split('')
        .map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[index]}`).join(',')}]`),
    ];
    expect(problemsOf(bomb.join('\n')).join('\n')).toContain('Excessive alias count');
  });

  test('no text makes the loader throw', () => {
    const word = fc.constantFrom(
      'spec',
      ':',
      '\n',
      '  ',
      '- ',
      '{',
      '}',
      '[',
      ']',
      '&a',
      '*a',
      '"',
      "'",
      '|',
      '? ',
      '__proto__',
      'databases',
      'null',
      '#',
      '\t',
      '!!str',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(word).map((words) => words.join('')),
        ),
        (text) => {
          expect(loadMigration(text)).toMatchObject({ ok: false });
        },
      ),
    );
  });
});
