import { describe, expect, test } from 'vitest';
import { describeProblems, loadMigration } from '../../spec/load.js';

const PROM = 'prom: { prometheus: { url: "http://localhost:9090", template: http } }';

/** A migration that watches by these gates, and asks these providers. */
function fileWith(gates: string[], providers: string[] = [PROM], more: string[] = []): string {
  return [
    'apiVersion: godwit.dev/v1alpha1',
    'kind: Migration',
    'metadata: { name: shop }',
    'spec:',
    '  metrics:',
    ...(providers.length === 0 ? ['    {}'] : providers.map((line) => `    ${line}`)),
    '  databases:',
    '    orders:',
    '      source: { url: { env: SOURCE } }',
    '      target: { url: { env: TARGET } }',
    ...more.map((line) => `      ${line}`),
    '      watch:',
    '        gates:',
    ...gates.map((gate) => `          - ${gate}`),
  ].join('\n');
}

function problemsOf(text: string): string {
  const answer = loadMigration(text);
  return answer.ok ? '' : describeProblems('shop.yaml', answer.problems);
}

describe('gates', () => {
  test('have defaults for everything but their kind', () => {
    const answer = loadMigration(fileWith(['errorRatio: {}', 'latency: {}', 'latency: {}']));
    expect(answer.ok && answer.normal.databases[0]?.watch.gates).toMatchObject([
      {
        kind: 'errorRatio',
        name: 'error-ratio',
        provider: 'prom',
        limit: { absolute: 0.01, relativeToBaseline: 2, relativeToBlue: null },
        minSamples: 200,
        window: 120_000,
        sustained: 300_000,
        consecutive: 2,
        onFailure: 'hold',
      },
      { kind: 'latency', name: 'latency-p95', quantile: 0.95, limit: { absolute: null, relativeToBaseline: 1.2 } },
      { name: 'latency-p95-2' },
    ]);
  });

  test('of the watch stand in for those of a probation that has none, which waits less long', () => {
    const answer = loadMigration(fileWith(['errorRatio: {}'], [PROM], ['cutover: { probation: { for: 3m } }']));
    expect(answer.ok && answer.normal.databases[0]?.cutover.probation).toMatchObject({
      for: 180_000,
      every: 10_000,
      gates: [{ sustained: 60_000, onFailure: 'undo' }],
    });
  });

  test('leave no trace where there are none', () => {
    const answer = loadMigration(
      fileWith(['errorRatio: {}'])
        .replace(/ {6}watch:[^]*/, '')
        .replace(/ {2}metrics:\n.*\n/, ''),
    );
    expect(answer.ok && JSON.stringify(answer.normal)).not.toMatch(/metrics|gates":\[\{"name"|probation/);
  });

  test.each<[string, string[], string[], string]>([
    [
      'a number without percent',
      ['errorRatio: { absolute: 1 }'],
      [PROM],
      'expected a share such as 1% or 0.5%; 1 has no unit: write 1%',
    ],
    ['two kinds in one', ['{ errorRatio: {}, latency: {} }'], [PROM], 'expected one kind of gate'],
    ['no kind', ['name: x'], [PROM], 'found none'],
    [
      'a typo',
      ['errorRatio: { absolut: 1% }'],
      [PROM],
      'gates[0].errorRatio.absolut: unknown field; did you mean absolute?',
    ],
    ['nobody to ask', ['errorRatio: {}'], [], 'nobody is there to be asked; add one under spec.metrics'],
    [
      'an unknown provider',
      ['{ errorRatio: {}, provider: pron }'],
      [PROM],
      'no such provider under spec.metrics; did you mean prom?',
    ],
    ['several to ask', ['errorRatio: {}'], [PROM, 'aws: { cloudWatch: {} }'], 'write one of prom, aws'],
    ['a blue that a database lacks', ['errorRatio: { relativeToBlue: 2 }'], [PROM], 'a database has none'],
    ['half a pair of queries', ['errorRatio: { errors: sum(x) }'], [PROM], 'expected total beside it'],
    ['a query without a limit', ['query: { value: sum(x) }'], [PROM], 'expected a limit; write absolute'],
    [
      'no template and no queries',
      ['errorRatio: {}'],
      ['prom: { prometheus: { url: "http://p:9090" } }'],
      'expected queries; write errors and total, or a template',
    ],
    [
      'PromQL for CloudWatch',
      ['query: { value: sum(x), absolute: 1 }'],
      ['aws: { cloudWatch: {} }'],
      'aws is no Prometheus',
    ],
    [
      'a metric that is missing',
      ['query: { absolute: 1 }'],
      ['aws: { cloudWatch: {} }'],
      'expected metric: namespace, name',
    ],
    [
      'a latency of smoke tests',
      ['latency: {}'],
      ['s: { smoke: { checks: [{ name: a, http: { url: "http://a/" } }] } }'],
      'expected availability',
    ],
    [
      'a provider of two kinds',
      ['errorRatio: {}'],
      ['p: { cloudWatch: {}, webhook: { url: "http://a/" } }'],
      'expected one kind of provider',
    ],
    [
      'a password in a URL',
      ['errorRatio: {}'],
      ['prom: { prometheus: { url: "http://me:secret1@p:9090", template: http } }'],
      'without user, password',
    ],
    ['the same name twice', ['{ name: a, errorRatio: {} }', '{ name: a, latency: {} }'], [PROM], 'found a twice'],
  ])('%s is named with its place and repair', (_, gates, providers, expected) => {
    const problems = problemsOf(fileWith(gates, providers));
    expect(problems).toContain(expected);
    expect(problems).toMatch(/^shop\.yaml:\d+:\d+ spec\./);
    expect(problems).not.toContain('secret1');
  });

  test('a probation without any is refused', () => {
    const text = fileWith([], [PROM], ['cutover: { probation: { for: 3m } }']).replace(/ {6}watch:[^]*/, '');
    expect(problemsOf(text)).toContain('expected gates, here or in watch');
  });
});
