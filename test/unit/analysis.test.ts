import { describe, expect, test } from 'vitest';
import { analysisOf, gatesToJudge, type GatesToJudge } from '../../spec/analysis.js';
import { normalizeMigration } from '../../spec/normalize.js';
import type { NormalMigration } from '../../spec/normal.js';

const ELB = 'arn:aws:elasticloadbalancing:eu-central-1:123456789012';

const error = (absolute: string) => ({ errorRatio: { absolute } });

function normalOf(web: object, more: object = {}): NormalMigration {
  const answer = normalizeMigration({
    apiVersion: 'godwit.dev/v1alpha1',
    kind: 'Migration',
    metadata: { name: 'shop' },
    spec: {
      metrics: { prom: { prometheus: { url: 'http://prometheus:9090', template: 'http' } } },
      traffic: {
        web: {
          alb: { listener: `${ELB}:listener/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2` },
          blue: { targetGroup: `${ELB}:targetgroup/blue/6d0ecf831eec9f09`, labels: { version: 'blue' } },
          green: { targetGroup: `${ELB}:targetgroup/green/73e2d6bc24d8a067`, labels: { version: 'green' } },
          ...web,
        },
      },
      ...more,
    },
  });
  if (!answer.ok) throw new Error(JSON.stringify(answer.problems));
  return answer.normal;
}

const OFF = { availability: { onFailure: 'none' }, latency: { onFailure: 'none' } };
const STEPS = [{ weight: 10 }, { weight: 25, gates: [error('0.5%')] }, { weight: 50 }, { weight: 100 }];
const DATABASES = {
  databases: {
    orders: {
      source: { url: { env: 'SOURCE' } },
      target: { url: { env: 'TARGET' } },
      watch: { gates: [{ errorRatio: { absolute: '2%' } }] },
    },
  },
};

function chosen(normal: NormalMigration, choice: { unit?: string; step?: number } = {}): GatesToJudge[] {
  const answer = gatesToJudge(normal, { unit: choice.unit ?? null, step: choice.step ?? null });
  if (!answer.ok) throw new Error(answer.error);
  return answer.value;
}

const refused = (normal: NormalMigration, choice: { unit?: string; step?: number }) => () => chosen(normal, choice);

const limits = (places: GatesToJudge[]) =>
  places.map(({ unit, place, gates }) => [unit, place, gates.map(({ limit }) => limit.absolute)]);

describe('what analyze judges', () => {
  const normal = normalOf({ steps: STEPS, gates: [error('1%')], triggers: OFF }, DATABASES);

  test('are the gates of databases and of traffic; steps that share theirs are asked once', () => {
    expect(limits(chosen(normal))).toEqual([
      ['database/orders', 'watch.gates', [0.02]],
      ['traffic/web', 'steps 10, 50, 100 %', [0.01]],
      ['traffic/web', 'step 25 %', [0.005]],
      ['traffic/web', 'watch.gates', [0.01]],
    ]);
  });

  test('asks of traffic green beside blue', () => {
    const [place] = chosen(normal, { unit: 'traffic/web' });
    expect(place?.subject).toMatchObject({
      green: { labels: { version: 'green' } },
      blue: { labels: { version: 'blue' } },
    });
  });

  test('are the triggers too, to which nothing has to be proven', () => {
    const places = chosen(normalOf({ steps: STEPS }));
    expect(places.map(({ place, gates }) => [place, gates.map(({ name }) => name)])).toEqual([
      ['step 25 %', ['error-ratio']],
      ['triggers', ['trigger-availability', 'trigger-latency']],
    ]);
    const verdict = { verdict: 'no-data', onFailure: 'undo', explanation: '', figures: null, breachMs: 0 } as const;
    const overall = (gate: string, decision: 'hold' | 'fail') =>
      analysisOf(1, 0, [{ unit: 'traffic/web', place: '', verdicts: [{ ...verdict, gate, decision }] }]).overall;
    expect(overall('error-ratio', 'hold')).toBe('hold');
    expect(overall('trigger-latency', 'hold')).toBe('pass');
    expect(overall('trigger-latency', 'fail')).toBe('fail');
  });

  test('is one unit or one step where that is wanted', () => {
    expect(limits(chosen(normal, { unit: 'database/orders' }))).toEqual([['database/orders', 'watch.gates', [0.02]]]);
    expect(limits(chosen(normal, { unit: 'traffic/web', step: 25 }))).toEqual([['traffic/web', 'step 25 %', [0.005]]]);
    expect(limits(chosen(normal, { step: 50 }))).toEqual([['traffic/web', 'step 50 %', [0.01]]]);
  });

  test.each<[string, { unit?: string; step?: number }, string]>([
    ['a unit that is not there', { unit: 'traffic/wbe' }, 'no unit traffic/wbe in the specification; did you mean'],
    ['a step that is not there', { step: 30 }, 'no step of 30 %; traffic/web has 10, 25, 50, 100 %'],
    ['a step of a database', { unit: 'database/orders', step: 25 }, 'database/orders moves no traffic'],
  ])('refuses %s, and says what there is', (_, choice, message) => {
    expect(refused(normal, choice)).toThrow(message);
  });

  test('refuses what has no gates, and says where they are written', () => {
    const bare = normalOf({ steps: [{ weight: 50, gates: [error('1%')] }, { weight: 100 }], triggers: OFF });
    expect(refused(bare, { step: 100 })).toThrow('the step of 100 % has no gates to judge');
    const unwatched = normalOf(
      { steps: STEPS },
      { databases: { orders: { ...DATABASES.databases.orders, watch: {} } } },
    );
    expect(refused(unwatched, { unit: 'database/orders' })).toThrow(
      'database/orders has no gates to judge; databases have them as watch.gates',
    );
  });
});
