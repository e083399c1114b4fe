import { describe, expect, test } from 'vitest';
import { run } from '../../clients/command-line.js';
import { iamPolicies } from '../../spec/iam.js';
import { normalizeMigration } from '../../spec/normalize.js';
import type { NormalTraffic } from '../../spec/normal-traffic.js';
import { captureTerminal } from '../support/terminal.js';

const ELB = 'arn:aws:elasticloadbalancing:eu-central-1:123456789012';
const LISTENER = `${ELB}:listener/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2`;
const RULE = `${ELB}:listener-rule/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee`;
const GREEN = `${ELB}:targetgroup/green/73e2d6bc24d8a067`;
const ROLE = 'arn:aws:iam::210987654321:role/godwit';

const alb = (more: object = {}, aws: object = {}) => ({
  alb: { listener: LISTENER, ...more },
  blue: { targetGroup: `${ELB}:targetgroup/blue/73e2d6bc24d8a066` },
  green: { targetGroup: GREEN },
  aws,
});
const records = (name: string, aws: object = {}) => ({
  route53: { zone: 'Z1D633PJN98FT9', name },
  green: { values: ['10.0.0.2'] },
  aws,
});

const document = (traffic: Record<string, object>) => ({
  apiVersion: 'godwit.dev/v1alpha1',
  kind: 'Migration',
  metadata: { name: 'shop' },
  spec: { traffic },
});

function trafficOf(traffic: Record<string, object>): NormalTraffic[] {
  const answer = normalizeMigration(document(traffic));
  if (!answer.ok) throw new Error(JSON.stringify(answer.problems));
  return answer.normal.traffic ?? [];
}

const statements = (traffic: Record<string, object>) =>
  iamPolicies(trafficOf(traffic)).flatMap(({ document: { Statement } }) => Statement);

describe('the policy of a unit', () => {
  test('lets a listener be changed, and nothing but its locks be tagged', () => {
    const made = statements({ 'web-shop': alb() });
    expect(made.map(({ Sid }) => Sid)).toEqual([
      'ReadLoadBalancers',
      'ReadMetrics',
      'ReadCertificatesWebShop',
      'MoveTrafficWebShop',
      'LockWebShop',
    ]);
    expect(made[2]).toMatchObject({
      Action: ['acm:DescribeCertificate'],
      Resource: ['arn:aws:acm:eu-central-1:123456789012:certificate/*'],
    });
    expect(made[3]).toMatchObject({ Action: ['elasticloadbalancing:ModifyListener'], Resource: [LISTENER] });
    expect(made[4]).toMatchObject({
      Resource: [LISTENER],
      Condition: { 'ForAllValues:StringLike': { 'aws:TagKeys': ['godwit.dev/lock/*'] } },
    });
  });

  test('lets rules be changed instead, and green be set up only where it is asked for', () => {
    const made = statements({ web: alb({ rules: [RULE], settings: 'apply' }) });
    expect(made.find(({ Sid }) => Sid === 'MoveTrafficWeb')).toMatchObject({
      Action: ['elasticloadbalancing:ModifyRule'],
      Resource: [RULE],
    });
    expect(made.find(({ Sid }) => Sid === 'SetUpGreenWeb')).toMatchObject({ Resource: [GREEN] });
  });

  test('lets one certificate be requested, validated, served and deleted again', () => {
    const certificate = {
      domain: 'shop.example.org',
      alternativeNames: ['*.shop.example.org'],
      zone: 'Z1D633PJN98FT9',
    };
    const made = statements({ web: alb({ certificate }) });
    const of = (action: string) => made.find(({ Action }) => Action.includes(action));
    expect(of('acm:RequestCertificate')?.Condition).toEqual({
      'ForAllValues:StringEquals': { 'acm:DomainNames': ['shop.example.org', '*.shop.example.org'] },
      StringEquals: { 'acm:ValidationMethod': ['DNS'] },
    });
    expect(of('acm:DeleteCertificate')).toMatchObject({
      Resource: ['arn:aws:acm:eu-central-1:123456789012:certificate/*'],
      Condition: { StringLike: { 'aws:ResourceTag/godwit:request': ['*'] } },
    });
    expect(of('elasticloadbalancing:AddListenerCertificates')?.Resource).toEqual([LISTENER]);
    expect(of('route53:ChangeResourceRecordSets')).toMatchObject({
      Resource: ['arn:*:route53:::hostedzone/Z1D633PJN98FT9'],
      Condition: {
        'ForAllValues:StringLike': {
          'route53:ChangeResourceRecordSetsNormalizedRecordNames': ['_*.shop.example.org'],
        },
        'ForAllValues:StringEquals': { 'route53:ChangeResourceRecordSetsRecordTypes': ['CNAME'] },
      },
    });
    for (const action of ['acm:ListCertificates', 'acm:ListTagsForCertificate', 'acm:AddTagsToCertificate']) {
      expect(of(action)).toBeDefined();
    }
    expect(statements({ web: alb() }).flatMap(({ Action }) => Action)).not.toContain('acm:RequestCertificate');
  });

  test('lets one record and its lock be changed, by name and type', () => {
    const changes = statements({ dns: records('*.shop.example.org') }).filter(({ Action }) =>
      Action.includes('route53:ChangeResourceRecordSets'),
    );
    expect(changes.map(({ Resource }) => Resource)).toEqual(
      Array(2).fill(['arn:*:route53:::hostedzone/Z1D633PJN98FT9']),
    );
    const keys = changes.map(({ Condition }) => Condition?.['ForAllValues:StringEquals'] ?? {});
    expect(keys.map((one) => Object.values(one).flat())).toEqual([
      ['\\052.shop.example.org', 'A', 'CREATE', 'DELETE'],
      ['_godwit-lock-a._any.shop.example.org', 'TXT', 'CREATE', 'DELETE'],
    ]);
  });

  test('names what units have in common once, and has statements of different names', () => {
    const made = statements({ one: alb(), two: alb({ rules: [RULE] }), dns: records('shop.example.org') });
    const names = made.map(({ Sid }) => Sid);
    expect(new Set(names).size).toBe(names.length);
    expect(names.every((name) => /^[A-Za-z0-9]+$/.test(name))).toBe(true);
  });
});

test('a role has a policy of its own, and the workers may assume it', () => {
  const policies = iamPolicies(trafficOf({ web: alb(), dns: records('shop.example.org', { role: ROLE }) }));
  expect(policies.map(({ principal, units }) => [principal, units])).toEqual([
    [null, ['traffic/web', 'traffic/dns']],
    [ROLE, ['traffic/dns']],
  ]);
  expect(policies[0]?.document.Statement.at(-1)).toMatchObject({ Action: ['sts:AssumeRole'], Resource: [ROLE] });
});

describe('godwit plan --iam', () => {
  const print = async (traffic: Record<string, object>, ...words: string[]) => {
    const terminal = captureTerminal({ input: JSON.stringify(document(traffic)) });
    const exitCode = await run(['plan', '-', '--iam', ...words], terminal);
    return { exitCode, stdout: terminal.stdout, stderr: terminal.stderr };
  };

  test('prints one policy as AWS takes it, without asking anybody', async () => {
    const { exitCode, stdout } = await print({ web: alb() });
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow' }, {}, {}, {}, {}],
    });
  });

  test('prints several with whom each is for', async () => {
    const { stdout } = await print({ web: alb({}, { role: ROLE }) });
    expect(JSON.parse(stdout)).toMatchObject([{ principal: null }, { principal: ROLE }]);
  });

  test('writes no plan', async () => {
    expect(await print({ web: alb() }, '--out', 'move.plan')).toMatchObject({ exitCode: 2 });
    expect(await print({ web: alb() }, '--grants')).toMatchObject({ exitCode: 2 });
  });
});
