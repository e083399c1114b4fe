import { describe, expect, test } from 'vitest';
import { normalizeMigration } from '../../spec/normalize.js';
import { pathText } from '../../spec/problems.js';

const ELB = 'arn:aws:elasticloadbalancing:eu-central-1:123456789012';
const BLUE = `${ELB}:targetgroup/shop-blue/6d0ecf831eec9f09`;
const GREEN = `${ELB}:targetgroup/shop-green/73e2d6bc24d8a067`;
const LISTENER = `${ELB}:listener/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2`;

const WEB = { alb: { listener: LISTENER }, blue: { targetGroup: BLUE }, green: { targetGroup: GREEN } };
const LABELLED = { ...WEB.green, labels: { version: 'v2' } };
const NAMES = {
  route53: { zone: 'Z1D633PJN98FT9', name: 'Shop.Example.org.' },
  green: { values: ['192.0.2.1'] },
};

const CERTIFICATE = { domain: 'shop.example.org', zone: '/hostedzone/Z1D633PJN98FT9' };
const certified = (change: object) => ({
  ...WEB,
  alb: { listener: LISTENER, certificate: { ...CERTIFICATE, ...change } },
});

const documentOf = (traffic: Record<string, unknown>, more: object = {}) => ({
  apiVersion: 'godwit.dev/v1alpha1',
  kind: 'Migration',
  metadata: { name: 'shop-green' },
  spec: { traffic, ...more },
});

const METRICS = { metrics: { prom: { prometheus: { url: 'http://prometheus:9090', template: 'http' } } } };

function problemsOf(document: unknown): string[] {
  const answer = normalizeMigration(document);
  return answer.ok ? [] : answer.problems.map(({ path, message }) => `${pathText(path)}: ${message}`);
}

function normalOf(document: unknown) {
  const answer = normalizeMigration(document);
  if (!answer.ok) throw new Error(problemsOf(document).join('\n'));
  const [unit] = answer.normal.traffic ?? [];
  if (unit === undefined) throw new Error('no traffic');
  return { unit, gates: answer.normal.gates };
}

describe('the normal form of traffic', () => {
  test('has the steps of the preset gradual, and asks nobody about metrics where there is nobody to ask', () => {
    const { unit } = normalOf(documentOf({ web: WEB }));
    expect(unit.steps.map(({ weight, hold }) => [weight, hold])).toEqual(
      [10, 25, 50, 75, 100].map((weight) => [weight, 120_000]),
    );
    expect(unit.steps.flatMap(({ gates }) => gates)).toEqual([]);
  });

  test('tightens the gates of the preset canary from step to step', () => {
    const { unit } = normalOf(documentOf({ web: { ...WEB, green: LABELLED, preset: 'canary' } }, METRICS));
    expect(unit.steps.map(({ weight, gates }) => [weight, gates.map(({ limit }) => limit.absolute)])).toEqual([
      [5, [0.01, 2_000]],
      [20, [0.005, 1_500]],
      [100, [0.001, 1_000]],
    ]);
  });

  test('has a certificate only where one is asked for, for the listener of the unit', () => {
    expect(normalOf(documentOf({ web: WEB })).unit.route).not.toHaveProperty('certificate');
    const { unit } = normalOf(documentOf({ web: certified({ alternativeNames: ['*.Shop.example.org'] }) }));
    expect(unit.route).toMatchObject({
      certificate: {
        names: ['shop.example.org', '*.shop.example.org'],
        zone: 'Z1D633PJN98FT9',
        listener: LISTENER,
        stall: 7_200_000,
      },
    });
  });

  test("names CloudWatch's dimensions by the ends of the ARNs", () => {
    expect(normalOf(documentOf({ web: WEB })).unit.subject.green.dimensions).toEqual({
      LoadBalancer: 'app/shop/50dc6c495c0c9188',
      TargetGroup: 'targetgroup/shop-green/73e2d6bc24d8a067',
    });
  });

  test('has a gate of its own for each step that people approve', () => {
    const steps = [{ weight: 25 }, { weight: 100, approvals: 2 }];
    expect(normalOf(documentOf({ web: { ...WEB, steps } })).gates).toContainEqual(
      expect.objectContaining({ id: 'switch:traffic/web:100', approvals: 2, step: 100, unit: 'traffic/web' }),
    );
  });

  test('writes names of records in small letters, without the dot at the end', () => {
    expect(normalOf(documentOf({ names: NAMES })).unit.route).toMatchObject({
      recordName: 'shop.example.org',
      blue: null,
    });
  });
});

test.each<[string, Record<string, unknown>, string]>([
  [
    'weights that fall',
    { web: { ...WEB, steps: [{ weight: 50 }, { weight: 25 }, { weight: 100 }] } },
    'steps[1].weight: expected more than the 50 %',
  ],
  [
    'a last step below 100 %',
    { web: { ...WEB, steps: [{ weight: 50 }] } },
    'expected 100 % in the last step, found 50 %',
  ],
  ['a weight over 100', { web: { ...WEB, steps: [{ weight: 101 }] } }, 'steps[0].weight'],
  ['a preset beside steps', { web: { ...WEB, preset: 'quick', steps: [{ weight: 100 }] } }, 'either preset or steps'],
  [
    'a way back that rises',
    { web: { ...WEB, undo: { steps: [20, 50] } } },
    'undo.steps[1]: expected less than the 20 % before it, found 50 %',
  ],
  ['two routes', { web: { ...WEB, route53: NAMES.route53 } }, 'alb or route53, found both'],
  ['no route', { web: { green: WEB.green } }, 'alb or route53, found none'],
  ['one group as both', { web: { ...WEB, green: WEB.blue } }, "another target group than blue's"],
  ['records for a load balancer', { web: { ...WEB, green: { values: ['192.0.2.1'] } } }, 'green: expected targetGroup'],
  [
    'a target group for records',
    { names: { ...NAMES, green: { ...NAMES.green, targetGroup: GREEN } } },
    'belongs to alb',
  ],
  [
    'values beside an alias',
    { names: { ...NAMES, green: { values: ['192.0.2.1'], alias: { dnsName: 'a.example.org', zone: 'Z2' } } } },
    'either values or alias, found both',
  ],
  ['two units at one listener', { web: WEB, again: WEB }, 'expected a place of its own, found that of traffic/web'],
  [
    'an ARN of something else',
    { web: { ...WEB, alb: { listener: BLUE } } },
    'alb.listener: expected an ARN of elasticloadbalancing, listener/app/',
  ],
  [
    'a period that CloudWatch has none of',
    { web: { ...WEB, alb: { listener: LISTENER, metricPeriod: '15s' } } },
    'alb.metricPeriod: expected a period of CloudWatch: 1, 5, 10, 20, 30 seconds or whole minutes, found 15 s',
  ],
  [
    'a name of a certificate with an underscore',
    { web: certified({ domain: 'a_b.example.org' }) },
    'alb.certificate.domain: expected a whole DNS name',
  ],
  [
    'a first name that the subject has no room for',
    { web: certified({ domain: `${'a'.repeat(60)}.example.org` }) },
    'of at most 64 characters',
  ],
  [
    'a wildcard in the middle',
    { web: certified({ alternativeNames: ['shop.*.example.org'] }) },
    'alternativeNames[0]: expected a whole DNS name',
  ],
  [
    'a name twice',
    { web: certified({ alternativeNames: ['Shop.example.org'] }) },
    'alternativeNames[0]: expected each name once, found shop.example.org again',
  ],
  ['a zone that is none', { web: certified({ zone: 'example.org' }) }, 'expected the id of a hosted zone'],
  [
    'a listener of another region',
    { web: certified({ listener: LISTENER.replace('eu-central-1', 'eu-west-1') }) },
    "certificate.listener: expected a listener in the region and account of this unit's, eu-central-1:123456789012, found eu-west-1:",
  ],
  [
    'a circle',
    { web: { ...WEB, dependsOn: ['traffic/names'] }, names: { ...NAMES, dependsOn: ['traffic/web'] } },
    'found a circle',
  ],
])('%s: refused, with its place', (_, traffic, message) => {
  expect(problemsOf(documentOf(traffic)).join('\n')).toContain(message);
});

test('gates of Prometheus need labels that tell green from blue: a bad green would hide among all requests', () => {
  const gates = [{ errorRatio: { absolute: '1%' } }];
  expect(problemsOf(documentOf({ web: { ...WEB, gates } }, METRICS)).join('\n')).toContain('tell their series apart');
  expect(problemsOf(documentOf({ web: { ...WEB, preset: 'quick' } }, METRICS)).join('\n')).toContain(
    'tell their series apart',
  );
  expect(problemsOf(documentOf({ web: { ...WEB, gates, green: LABELLED } }, METRICS))).toEqual([]);
});

describe('triggers', () => {
  const LABELS = { ...WEB, green: LABELLED };
  const CLOUDWATCH = { metrics: { aws: { cloudWatch: {} } } };
  const shown = (traffic: object, more: object) =>
    (normalOf(documentOf({ web: traffic }, more)).unit.triggers ?? []).map(
      ({ name, provider, limit, sustained, onFailure }) => [
        name,
        provider,
        limit.absolute ?? limit.relativeToBaseline,
        sustained,
        onFailure,
      ],
    );

  test('are there without being written, where somebody can be asked without queries', () => {
    expect(shown(LABELS, METRICS)).toEqual([
      ['trigger-availability', 'prom', 0.95, 120_000, 'undo'],
      ['trigger-latency', 'prom', 2, 600_000, 'hold'],
    ]);
    expect(shown(WEB, CLOUDWATCH).map(([, provider]) => provider)).toEqual(['aws', 'aws']);
  });

  test.each<[string, object, object]>([
    ['nobody is there', WEB, {}],
    ['Prometheus has no template', LABELS, { metrics: { prom: { prometheus: { url: 'http://prometheus:9090' } } } }],
    ['CloudWatch knows no target groups', NAMES, CLOUDWATCH],
    [
      'labels do not tell green from blue',
      { ...WEB, steps: [{ weight: 100 }] },
      { metrics: { ...METRICS.metrics, hook: { webhook: { url: 'http://judge.internal/' } } } },
    ],
  ])('are not, where %s', (_, traffic, more) => {
    expect(shown(traffic, more)).toEqual([]);
  });

  test('can be changed and switched off one by one', () => {
    const triggers = { availability: { under: '50%', for: '30s', onFailure: 'hold' }, latency: { onFailure: 'none' } };
    expect(shown({ ...LABELS, triggers }, METRICS)).toEqual([['trigger-availability', 'prom', 0.5, 30_000, 'hold']]);
  });

  test.each<[string, object, object, string]>([
    ['one that nobody can answer', { latency: {} }, {}, 'web.triggers.latency: expected somebody to ask'],
    ['a provider that is not there', { latency: { provider: 'prmo' } }, METRICS, 'triggers.latency: no such provider'],
    [
      'smoke tests for latency',
      { latency: { provider: 'smoke' } },
      { metrics: { smoke: { smoke: { checks: [{ name: 'front', http: { url: 'http://{host}/' } }] } } } },
      'expected availability, which is what smoke tests say',
    ],
  ])('%s: refused, with its place', (_, triggers, more, message) => {
    expect(
      problemsOf(documentOf({ web: { ...LABELS, steps: [{ weight: 100 }], triggers } }, more)).join('\n'),
    ).toContain(message);
  });

  test('written for a Prometheus that can not tell green from blue are refused', () => {
    const web = { ...WEB, steps: [{ weight: 100 }], triggers: { latency: { over: 3, provider: 'prom' } } };
    const both = { metrics: { ...METRICS.metrics, aws: { cloudWatch: {} } } };
    expect(problemsOf(documentOf({ web }, both)).join('\n')).toContain('tell their series apart');
  });

  test('keep their names for themselves', () => {
    const gates = [{ name: 'trigger-latency', latency: {} }];
    expect(problemsOf(documentOf({ web: { ...LABELS, gates } }, METRICS)).join('\n')).toContain(
      'gates[0].name: expected another name, found trigger-latency',
    );
  });
});
