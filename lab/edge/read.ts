/**
 * Reads from the API what the edge serves: every page of every list, with the defaults that AWS documents. What it leaves out
 * gets no traffic, so a kind of action or target that the edge doesn't know is an error here, never a guess there.
 */
import {
  paginateDescribeListeners,
  paginateDescribeLoadBalancers,
  paginateDescribeRules,
  paginateDescribeTargetGroups,
  DescribeLoadBalancerAttributesCommand,
  DescribeTargetGroupAttributesCommand,
  DescribeTargetHealthCommand,
  type Action as ApiAction,
  type ElasticLoadBalancingV2Client,
  type Listener,
  type LoadBalancer as ApiLoadBalancer,
  type Rule as ApiRule,
  type TargetGroup,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type {
  Action,
  EdgeConfiguration,
  ListenerConfiguration,
  LoadBalancer,
  Rule,
  TargetGroupConfiguration,
  TargetStickiness,
} from './configuration.js';

const SECOND_MS = 1_000;

type Attributes = ReadonlyMap<string, string>;

/** About a dozen calls; 60 ms with moto on this side of a loopback interface. */
export async function readConfiguration(client: ElasticLoadBalancingV2Client): Promise<EdgeConfiguration> {
  const balancers: ApiLoadBalancer[] = [];
  for await (const page of paginateDescribeLoadBalancers({ client }, {})) balancers.push(...(page.LoadBalancers ?? []));
  const groups: TargetGroup[] = [];
  for await (const page of paginateDescribeTargetGroups({ client }, {})) groups.push(...(page.TargetGroups ?? []));

  const listeners = await Promise.all(
    balancers.filter(({ Type }) => Type === 'application').map((one) => listenersOf(client, one)),
  );
  return {
    listeners: listeners.flat(),
    targetGroups: await Promise.all(groups.map((one) => targetGroupOf(client, one))),
  };
}

async function listenersOf(
  client: ElasticLoadBalancingV2Client,
  found: ApiLoadBalancer,
): Promise<ListenerConfiguration[]> {
  const arn = given(found.LoadBalancerArn, 'the ARN of a load balancer');
  const { Attributes: attributes = [] } = await client.send(
    new DescribeLoadBalancerAttributesCommand({ LoadBalancerArn: arn }),
  );
  const loadBalancer: LoadBalancer = {
    arn,
    dnsName: given(found.DNSName, `the DNS name of ${arn}`).toLowerCase(),
    dimension: dimensionOf(arn),
    idleTimeoutMs: Number(byKey(attributes).get('idle_timeout.timeout_seconds') ?? 60) * SECOND_MS,
  };
  const listeners: Listener[] = [];
  for await (const page of paginateDescribeListeners({ client }, { LoadBalancerArn: arn })) {
    listeners.push(...(page.Listeners ?? []));
  }
  return Promise.all(
    listeners.map(async (listener) => ({
      arn: given(listener.ListenerArn, `the ARN of a listener of ${arn}`),
      loadBalancer,
      protocol: listener.Protocol === 'HTTPS' ? 'HTTPS' : 'HTTP',
      port: given(listener.Port, `the port of ${listener.ListenerArn}`),
      rules: await rulesOf(client, listener),
    })),
  );
}

async function rulesOf(
  client: ElasticLoadBalancingV2Client,
  { ListenerArn, DefaultActions }: Listener,
): Promise<Rule[]> {
  const rules: ApiRule[] = [];
  for await (const page of paginateDescribeRules({ client }, { ListenerArn })) rules.push(...(page.Rules ?? []));
  const last: Rule = { arn: `${ListenerArn}#default`, conditions: [], action: actionOf(DefaultActions) };
  return [
    ...rules
      .filter(({ IsDefault }) => !IsDefault)
      .sort((a, b) => Number(a.Priority) - Number(b.Priority))
      .map((rule) => ({
        arn: given(rule.RuleArn, `the ARN of a rule of ${ListenerArn}`),
        conditions: rule.Conditions ?? [],
        action: actionOf(rule.Actions),
      })),
    last,
  ];
}

/** Of a list of actions the one that ends it; those before it authenticate, for which the lab has no users. */
function actionOf(actions: ApiAction[] = []): Action {
  const action = [...actions].sort((a, b) => (a.Order ?? 0) - (b.Order ?? 0)).at(-1);
  switch (action?.Type) {
    case 'forward': {
      const { TargetGroups, TargetGroupStickinessConfig: sticky } = action.ForwardConfig ?? {};
      const groups = TargetGroups ?? [{ TargetGroupArn: action.TargetGroupArn, Weight: 1 }];
      return {
        type: 'forward',
        groups: groups.map(({ TargetGroupArn, Weight }) => ({
          arn: given(TargetGroupArn, 'the target group of a forward action'),
          // https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupTuple.html
          weight: Weight ?? 1,
        })),
        stickyFor: sticky?.Enabled ? given(sticky.DurationSeconds, 'DurationSeconds of a sticky action') : null,
      };
    }
    case 'fixed-response': {
      const { StatusCode, ContentType, MessageBody } = action.FixedResponseConfig ?? {};
      return {
        type: 'fixed-response',
        status: Number(given(StatusCode, 'the status of a fixed response')),
        contentType: ContentType ?? 'text/plain',
        body: MessageBody ?? '',
      };
    }
    case 'redirect': {
      const { StatusCode, Protocol, Host, Port, Path, Query } = action.RedirectConfig ?? {};
      // https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RedirectActionConfig.html
      return {
        type: 'redirect',
        status: StatusCode === 'HTTP_301' ? 301 : 302,
        protocol: Protocol ?? '#{protocol}',
        host: Host ?? '#{host}',
        port: Port ?? '#{port}',
        path: Path ?? '/#{path}',
        query: Query ?? '#{query}',
      };
    }
    default:
      throw new Error(`the edge can forward, redirect and answer by itself; it knows no action ${action?.Type}`);
  }
}

async function targetGroupOf(
  client: ElasticLoadBalancingV2Client,
  found: TargetGroup,
): Promise<TargetGroupConfiguration> {
  const arn = given(found.TargetGroupArn, 'the ARN of a target group');
  const [{ Attributes: list = [] }, { TargetHealthDescriptions: described = [] }] = await Promise.all([
    client.send(new DescribeTargetGroupAttributesCommand({ TargetGroupArn: arn })),
    client.send(new DescribeTargetHealthCommand({ TargetGroupArn: arn })),
  ]);
  const attributes = byKey(list);
  return {
    arn,
    dimension: dimensionOf(arn),
    protocol: found.Protocol === 'HTTPS' ? 'HTTPS' : 'HTTP',
    targets: described
      .filter(({ TargetHealth }) => TargetHealth?.State !== 'draining')
      .map(({ Target }) => ({
        id: given(Target?.Id, `the id of a target of ${arn}`),
        port: given(Target?.Port ?? found.Port, `the port of a target of ${arn}`),
      })),
    healthCheck: {
      protocol: found.HealthCheckProtocol === 'HTTPS' ? 'HTTPS' : 'HTTP',
      path: found.HealthCheckPath ?? '/',
      port: found.HealthCheckPort === 'traffic-port' ? 'traffic-port' : Number(found.HealthCheckPort),
      interval: found.HealthCheckIntervalSeconds ?? 30,
      timeoutMs: (found.HealthCheckTimeoutSeconds ?? 5) * SECOND_MS,
      healthyThreshold: found.HealthyThresholdCount ?? 5,
      unhealthyThreshold: found.UnhealthyThresholdCount ?? 2,
      matcher: found.Matcher?.HttpCode ?? '200',
    },
    deregistrationDelay: Number(attributes.get('deregistration_delay.timeout_seconds') ?? 300),
    slowStart: Number(attributes.get('slow_start.duration_seconds') ?? 0),
    algorithm: algorithmOf(attributes.get('load_balancing.algorithm.type')),
    stickiness: stickinessOf(attributes),
  };
}

function algorithmOf(name: string | undefined): TargetGroupConfiguration['algorithm'] {
  return name === 'least_outstanding_requests' || name === 'weighted_random' ? name : 'round_robin';
}

function stickinessOf(attributes: Attributes): TargetStickiness | null {
  if (attributes.get('stickiness.enabled') !== 'true') return null;
  const kind = attributes.get('stickiness.type') === 'app_cookie' ? 'app_cookie' : 'lb_cookie';
  return {
    kind,
    cookie: kind === 'app_cookie' ? (attributes.get('stickiness.app_cookie.cookie_name') ?? '') : '',
    duration: Number(attributes.get(`stickiness.${kind}.duration_seconds`) ?? 86_400),
  };
}

/** `arn:…:loadbalancer/app/shop/50dc` → `app/shop/50dc`; `arn:…:targetgroup/green/73e2` → itself from `targetgroup` on. */
function dimensionOf(arn: string): string {
  return arn.slice(arn.lastIndexOf(':') + 1).replace(/^loadbalancer\//, '');
}

const byKey = (attributes: { Key?: string | undefined; Value?: string | undefined }[]): Attributes =>
  new Map(attributes.flatMap(({ Key, Value }) => (Key === undefined || Value === undefined ? [] : [[Key, Value]])));

function given<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`the API did not tell ${what}`);
  return value;
}
