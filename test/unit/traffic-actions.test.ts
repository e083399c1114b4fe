import type { Action } from '@aws-sdk/client-elastic-load-balancing-v2';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  actionsAt,
  actionsPutBack,
  asInput,
  describeActions,
  elsewhere,
  finalActions,
  groupsOf,
  sameActions,
  withoutSecrets,
} from '../../activities/aws/alb/actions.js';
import { ownersIn } from '../../activities/aws/owners.js';

const arn = (name: string): string =>
  `arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/${name}/73e2d6bc24d8a067`;
const pair = { blue: arn('blue'), green: arn('green') };

/** As the API shows a list that was made with a target group alone. */
const lone: Action[] = [
  {
    Type: 'forward',
    Order: 2,
    TargetGroupArn: pair.blue,
    ForwardConfig: {
      TargetGroups: [{ TargetGroupArn: pair.blue, Weight: 1 }],
      TargetGroupStickinessConfig: { Enabled: false },
    },
  },
];
const login: Action = {
  Type: 'authenticate-oidc',
  Order: 1,
  AuthenticateOidcConfig: {
    Issuer: 'https://login.example.com',
    AuthorizationEndpoint: 'https://login.example.com/authorize',
    TokenEndpoint: 'https://login.example.com/token',
    UserInfoEndpoint: 'https://login.example.com/userinfo',
    ClientId: 'shop',
    ClientSecret: 'very-secret',
  },
};

describe('the action list of a weight', () => {
  test('shares between blue and green, and keeps all else', () => {
    const [first, second] = actionsAt(withoutSecrets([login, ...lone]), pair, 25);
    expect(first).toEqual(withoutSecrets([login])[0]);
    expect(second).toEqual({
      Type: 'forward',
      Order: 2,
      TargetGroupArn: undefined,
      ForwardConfig: {
        TargetGroups: [
          { TargetGroupArn: pair.blue, Weight: 75 },
          { TargetGroupArn: pair.green, Weight: 25 },
        ],
        TargetGroupStickinessConfig: { Enabled: false },
      },
    });
  });

  test('is told from that of every other weight, and from the image', () => {
    const weight = fc.integer({ min: 0, max: 100 });
    fc.assert(
      fc.property(weight, weight, (one, other) => {
        expect(sameActions(actionsAt(lone, pair, one), actionsAt(lone, pair, other))).toBe(one === other);
        expect(sameActions(actionsAt(lone, pair, one), lone)).toBe(false);
      }),
    );
  });

  test('is the same however the API spells it', () => {
    const written: Action[] = [{ Type: 'forward', TargetGroupArn: pair.blue }];
    expect(sameActions(written, lone)).toBe(true);
    expect(sameActions(written, actionsAt(lone, pair, 0))).toBe(false);
  });
});

test('the secret of an identity provider is not kept, and the API is asked to keep it', () => {
  const kept = withoutSecrets([login, ...lone]);
  expect(JSON.stringify(kept)).not.toContain('very-secret');
  expect(asInput(kept)[0]?.AuthenticateOidcConfig).toMatchObject({ ClientId: 'shop', UseExistingClientSecret: true });
});

test('the last list has green where blue was', () => {
  expect(JSON.stringify(finalActions(lone, pair))).toBe(JSON.stringify(lone).replaceAll(pair.blue, pair.green));
  const attached: Action[] = [
    {
      Type: 'forward',
      ForwardConfig: {
        TargetGroups: [
          { TargetGroupArn: pair.blue, Weight: 7 },
          { TargetGroupArn: pair.green, Weight: 0 },
          { TargetGroupArn: arn('spare'), Weight: 0 },
        ],
      },
    },
  ];
  expect(groupsOf(finalActions(attached, pair))).toEqual([
    { TargetGroupArn: pair.green, Weight: 7 },
    { TargetGroupArn: arn('spare'), Weight: 0 },
  ]);
});

describe("within somebody else's list", () => {
  const groups = (...weights: [string, number][]): Action[] => [
    {
      Type: 'forward',
      ForwardConfig: { TargetGroups: weights.map(([name, Weight]) => ({ TargetGroupArn: arn(name), Weight })) },
    },
  ];

  test('blue gets what both had, and the share of others stays', () => {
    const back = actionsPutBack(groups(['blue', 30], ['green', 60], ['other', 10]), lone, pair);
    expect(groupsOf(back)).toEqual(groupsOf(groups(['blue', 90], ['other', 10])));
  });

  test('blue comes back where it was taken out', () => {
    expect(groupsOf(actionsPutBack(groups(['green', 1], ['other', 1]), lone, pair))).toEqual(
      groupsOf(groups(['blue', 1], ['other', 1])),
    );
    expect(sameActions(actionsPutBack(groups(['green', 1]), lone, pair), lone)).toBe(true);
  });

  test('nothing is touched where green is not', () => {
    const theirs = groups(['other', 1], ['another', 2]);
    expect(actionsPutBack(theirs, lone, pair)).toEqual(theirs);
  });
});

test('traffic that goes elsewhere is told in words', () => {
  expect(elsewhere(lone, pair)).toBeNull();
  expect(elsewhere([...lone, login], { ...pair, blue: arn('other') })).toBe('forward to blue, then authenticate-oidc');
  expect(describeActions(actionsAt(lone, pair, 10))).toBe('forward to blue 90, green 10');
  expect(describeActions([])).toBe('no action');
});

test('tags that name an owner are told from others', () => {
  expect(
    ownersIn([
      { Key: 'team', Value: 'shop' },
      { Key: 'elbv2.k8s.aws/cluster', Value: 'main' },
      { Key: 'managed-by', Value: 'terraform' },
      { Key: 'aws:cloudformation:stack-name', Value: 'web' },
    ]),
  ).toEqual([
    'elbv2.k8s.aws/cluster=main (the AWS Load Balancer Controller)',
    'managed-by=terraform (Terraform)',
    'aws:cloudformation:stack-name=web (CloudFormation)',
  ]);
});
