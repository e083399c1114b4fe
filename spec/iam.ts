/**
 * What `godwit plan --iam` prints: for whoever acts in AWS, the least that the units of traffic need. Pure: it follows from the
 * specification alone. https://docs.aws.amazon.com/service-authorization/latest/reference/ has the actions and their resources.
 */
import type { NormalAlb, NormalCertificate, NormalRoute53, NormalTraffic } from './normal-traffic.js';
import type { UnitRef } from './units.js';

export interface PolicyStatement {
  Sid: string;
  Effect: 'Allow';
  Action: string[];
  Resource: string[];
  Condition?: Record<string, Record<string, string[]>>;
}

export interface PolicyDocument {
  Version: '2012-10-17';
  Statement: PolicyStatement[];
}

export interface IamPolicy {
  /** ARN of the role that gets it; null: whatever the workers are. */
  principal: string | null;
  units: UnitRef[];
  document: PolicyDocument;
}

/** One policy for each role, and one for the workers: for units without a role, and to assume the roles of the others. */
export function iamPolicies(traffic: readonly NormalTraffic[]): IamPolicy[] {
  const roles = [...new Set(traffic.map(({ aws }) => aws.role))];
  const ofRoles = roles.map((role) =>
    policyOf(
      role,
      traffic.filter(({ aws }) => aws.role === role),
    ),
  );
  const named = roles.filter((role) => role !== null).sort();
  if (named.length === 0) return ofRoles;
  const assume: PolicyStatement = { Sid: 'AssumeRoles', Effect: 'Allow', Action: ['sts:AssumeRole'], Resource: named };
  const own = ofRoles.find(({ principal }) => principal === null) ?? policyOf(null, []);
  const workers: IamPolicy = {
    ...own,
    units: traffic.map(({ unit }) => unit),
    document: { ...own.document, Statement: [...own.document.Statement, assume] },
  };
  return [workers, ...ofRoles.filter(({ principal }) => principal !== null)];
}

function policyOf(principal: string | null, traffic: readonly NormalTraffic[]): IamPolicy {
  const statements = traffic.flatMap(({ name, route }) =>
    route.kind === 'alb' ? ofAlb(name, route) : ofRecords(name, route),
  );
  return {
    principal,
    units: traffic.map(({ unit }) => unit),
    document: { Version: '2012-10-17', Statement: merged(statements) },
  };
}

/** As IAM has it, an identifier of a statement is of letters and figures alone. */
const sid = (what: string, name: string): string =>
  `${what}${name.replaceAll(/(?:^|-)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())}`;

/** The Describe actions of the load balancers know no resources. */
const READ_ALB: PolicyStatement = {
  Sid: 'ReadLoadBalancers',
  Effect: 'Allow',
  Action: [
    'elasticloadbalancing:DescribeListenerCertificates',
    'elasticloadbalancing:DescribeListeners',
    'elasticloadbalancing:DescribeRules',
    'elasticloadbalancing:DescribeTags',
    'elasticloadbalancing:DescribeTargetGroupAttributes',
    'elasticloadbalancing:DescribeTargetGroups',
    'elasticloadbalancing:DescribeTargetHealth',
  ],
  Resource: ['*'],
};

const READ_METRICS: PolicyStatement = {
  Sid: 'ReadMetrics',
  Effect: 'Allow',
  Action: ['cloudwatch:GetMetricData'],
  Resource: ['*'],
};

function ofAlb(name: string, { listener, rules, green, settings, certificate }: NormalAlb): PolicyStatement[] {
  const places = rules ?? [listener];
  const apply: PolicyStatement[] =
    settings === 'apply'
      ? [
          {
            Sid: sid('SetUpGreen', name),
            Effect: 'Allow',
            Action: ['elasticloadbalancing:ModifyTargetGroup', 'elasticloadbalancing:ModifyTargetGroupAttributes'],
            Resource: [green],
          },
        ]
      : [];
  return [
    READ_ALB,
    READ_METRICS,
    {
      Sid: sid('ReadCertificates', name),
      Effect: 'Allow',
      Action: ['acm:DescribeCertificate'],
      Resource: [certificatesBeside(listener)],
    },
    {
      Sid: sid('MoveTraffic', name),
      Effect: 'Allow',
      Action: [rules === null ? 'elasticloadbalancing:ModifyListener' : 'elasticloadbalancing:ModifyRule'],
      Resource: places,
    },
    {
      Sid: sid('Lock', name),
      Effect: 'Allow',
      Action: ['elasticloadbalancing:AddTags', 'elasticloadbalancing:RemoveTags'],
      Resource: places,
      Condition: { 'ForAllValues:StringLike': { 'aws:TagKeys': ['godwit.dev/lock/*'] } },
    },
    ...apply,
    ...(certificate === undefined ? [] : ofCertificate(name, certificate)),
  ];
}

/** All of the listener's account and region: which one it will be, nobody knows before. */
const certificatesBeside = (listener: string): string =>
  `${listener.split(':').slice(0, 5).join(':').replace(':elasticloadbalancing:', ':acm:')}:certificate/*`;

/** As listing, requesting knows no resources. */
const LIST_CERTIFICATES: PolicyStatement = {
  Sid: 'ListCertificates',
  Effect: 'Allow',
  Action: ['acm:ListCertificates'],
  Resource: ['*'],
};

/** https://docs.aws.amazon.com/acm/latest/userguide/acm-conditions.html */
function ofCertificate(name: string, { names, zone, listener }: NormalCertificate): PolicyStatement[] {
  const certificates = certificatesBeside(listener);
  const hostedZone = `arn:*:route53:::hostedzone/${zone}`;
  const validation = [...new Set(names.map((one) => `_*.${normalized(one.replace(/^\*\./, ''))}`))];
  return [
    LIST_CERTIFICATES,
    {
      Sid: sid('RequestCertificate', name),
      Effect: 'Allow',
      Action: ['acm:RequestCertificate'],
      Resource: ['*'],
      Condition: {
        'ForAllValues:StringEquals': { 'acm:DomainNames': names },
        StringEquals: { 'acm:ValidationMethod': ['DNS'] },
      },
    },
    {
      Sid: sid('TagCertificate', name),
      Effect: 'Allow',
      Action: ['acm:AddTagsToCertificate'],
      Resource: [certificates],
      Condition: { 'ForAllValues:StringEquals': { 'aws:TagKeys': ['godwit:migration', 'godwit:request'] } },
    },
    {
      Sid: sid('ReadCertificateTags', name),
      Effect: 'Allow',
      Action: ['acm:ListTagsForCertificate'],
      Resource: [certificates],
    },
    {
      Sid: sid('DeleteCertificate', name),
      Effect: 'Allow',
      Action: ['acm:DeleteCertificate'],
      Resource: [certificates],
      Condition: { StringLike: { 'aws:ResourceTag/godwit:request': ['*'] } },
    },
    {
      Sid: sid('ServeCertificate', name),
      Effect: 'Allow',
      Action: ['elasticloadbalancing:AddListenerCertificates', 'elasticloadbalancing:RemoveListenerCertificates'],
      Resource: [listener],
    },
    {
      Sid: sid('ReadValidation', name),
      Effect: 'Allow',
      Action: ['route53:GetHostedZone', 'route53:ListResourceRecordSets'],
      Resource: [hostedZone],
    },
    {
      Sid: sid('Validate', name),
      Effect: 'Allow',
      Action: ['route53:ChangeResourceRecordSets'],
      Resource: [hostedZone],
      Condition: {
        'ForAllValues:StringLike': { 'route53:ChangeResourceRecordSetsNormalizedRecordNames': validation },
        'ForAllValues:StringEquals': {
          'route53:ChangeResourceRecordSetsRecordTypes': ['CNAME'],
          'route53:ChangeResourceRecordSetsActions': ['CREATE', 'DELETE'],
        },
      },
    },
  ];
}

/** Load balancers that aliases lead to are compared. */
const READ_ALIASES: PolicyStatement = {
  Sid: 'ReadAliases',
  Effect: 'Allow',
  Action: ['elasticloadbalancing:DescribeLoadBalancerAttributes', 'elasticloadbalancing:DescribeLoadBalancers'],
  Resource: ['*'],
};

function ofRecords(name: string, { zone, recordName, type, green }: NormalRoute53): PolicyStatement[] {
  // GovCloud and China have partitions of their own; a pattern fits all.
  const hostedZone = `arn:*:route53:::hostedzone/${zone}`;
  const lock = `_godwit-lock-${type.toLowerCase()}.${recordName.replace(/^\*/, '_any')}`;
  const change = (what: string, names: string, types: string): PolicyStatement => ({
    Sid: sid(what, name),
    Effect: 'Allow',
    Action: ['route53:ChangeResourceRecordSets'],
    Resource: [hostedZone],
    Condition: {
      'ForAllValues:StringEquals': {
        'route53:ChangeResourceRecordSetsNormalizedRecordNames': [names],
        'route53:ChangeResourceRecordSetsRecordTypes': [types],
        'route53:ChangeResourceRecordSetsActions': ['CREATE', 'DELETE'],
      },
    },
  });
  return [
    ...('alias' in green.target ? [READ_ALIASES] : []),
    {
      Sid: 'FollowChanges',
      Effect: 'Allow',
      Action: ['route53:GetChange', 'route53:GetHealthCheckStatus'],
      Resource: ['arn:*:route53:::change/*', 'arn:*:route53:::healthcheck/*'],
    },
    {
      Sid: sid('ReadZone', name),
      Effect: 'Allow',
      Action: ['route53:GetHostedZone', 'route53:ListResourceRecordSets', 'route53:ListTagsForResource'],
      Resource: [hostedZone],
    },
    change('MoveTraffic', normalized(recordName), type),
    change('Lock', normalized(lock), 'TXT'),
  ];
}

/** Small letters, no dot at the end, and octal escapes for all but letters, figures, `_`, `-` and `.`, as the key compares. */
function normalized(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9_.-]/g, (one) => `\\${one.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

/** What several units need alike, once. */
function merged(statements: PolicyStatement[]): PolicyStatement[] {
  const seen = new Set<string>();
  return statements.filter((statement) => {
    const key = JSON.stringify(statement);
    const first = !seen.has(key);
    seen.add(key);
    return first;
  });
}
