/**
 * What an account has before a migration: a network, a load balancer that leads to blue, a green target group that nothing
 * leads to yet, and a public and a private zone. Made through the API, as a person's tools would.
 */
import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateRuleCommand,
  CreateTargetGroupCommand,
  ElasticLoadBalancingV2Client,
  ModifyTargetGroupAttributesCommand,
  RegisterTargetsCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { ChangeResourceRecordSetsCommand, CreateHostedZoneCommand, Route53Client } from '@aws-sdk/client-route-53';
import { DEFAULT_ACCOUNT } from './call.js';
import { DEFAULT_REGION, type AwsProxy, type Identity } from './proxy.js';
import { isBranch, textOf, type Branch } from './tree.js';
import { Upstream, type Scope } from './upstream.js';

export interface WorldOptions extends Identity {
  /** Of names in it. @default 'shop' */
  name?: string;
  /** Ports on 127.0.0.1 where the versions of the service listen. */
  blue: number[];
  green: number[];
  /** Of another world, to be beside it. @default one of its own */
  network?: Network;
  /** @default 'example.com' */
  domain?: string;
  /** What clients of the load balancer connect to. @default 80 */
  port?: number;
  /** How long requests of a target that left go on. @default 1 */
  deregistrationDelaySeconds?: number;
}

export interface Network {
  vpc: string;
  subnets: string[];
}

export interface TargetGroup {
  arn: string;
  name: string;
}

export interface Zone {
  id: string;
  /** With its dot. */
  name: string;
  /** Of the delegation; none for a private zone. */
  nameServers: string[];
}

export interface AwsWorld extends Scope, Network {
  loadBalancer: { arn: string; name: string; dnsName: string; zoneId: string };
  /** Its default action leads to blue. */
  listener: string;
  /** `/shop/*` leads to blue, at priority 10. */
  rule: string;
  blue: TargetGroup;
  green: TargetGroup;
  /** Has a simple record `www` of 300 s that leads to the load balancer's name. */
  zone: Zone;
  privateZone: Zone;
}

const SUBNETS = [
  { CidrBlock: '10.0.0.0/24', zone: 'a' },
  { CidrBlock: '10.0.1.0/24', zone: 'b' },
];

/** The quickest that the API takes. */
const HEALTH_CHECK = {
  HealthCheckPath: '/health',
  HealthCheckIntervalSeconds: 5,
  HealthCheckTimeoutSeconds: 2,
  HealthyThresholdCount: 2,
  UnhealthyThresholdCount: 2,
};

/** Not logged, not throttled, and not subject to faults: the world was there before. */
export async function makeWorld(aws: AwsProxy, options: WorldOptions): Promise<AwsWorld> {
  const { account = DEFAULT_ACCOUNT, region = DEFAULT_REGION, name = 'shop', domain = 'example.com' } = options;
  const scope = { account, region };
  const { vpc, subnets } = options.network ?? (await makeNetwork(aws, scope));
  const client = new ElasticLoadBalancingV2Client(aws.observer(scope));
  const made = await client.send(new CreateLoadBalancerCommand({ Name: name, Subnets: subnets }));
  const balancer = first(made.LoadBalancers);
  const loadBalancer = {
    arn: balancer.LoadBalancerArn ?? '',
    name,
    dnsName: balancer.DNSName ?? '',
    zoneId: balancer.CanonicalHostedZoneId ?? '',
  };
  const group = (color: 'blue' | 'green'): Promise<TargetGroup> =>
    makeTargetGroup(client, { ...options, name: `${name}-${color}`, vpc, ports: options[color] });
  const [blue, green] = [await group('blue'), await group('green')];
  const toBlue = [{ Type: 'forward' as const, TargetGroupArn: blue.arn }];
  const listening = await client.send(
    new CreateListenerCommand({
      LoadBalancerArn: loadBalancer.arn,
      Protocol: 'HTTP',
      Port: options.port ?? 80,
      DefaultActions: toBlue,
    }),
  );
  const listener = first(listening.Listeners).ListenerArn ?? '';
  const Conditions = [{ Field: 'path-pattern', PathPatternConfig: { Values: ['/shop/*'] } }];
  const ruled = await client.send(
    new CreateRuleCommand({ ListenerArn: listener, Priority: 10, Conditions, Actions: toBlue }),
  );
  const rule = first(ruled.Rules).RuleArn ?? '';
  client.destroy();
  const zones = await makeZones(aws, scope, { domain, vpc, dnsName: loadBalancer.dnsName });
  return { ...scope, vpc, subnets, loadBalancer, listener, rule, blue, green, ...zones };
}

/** A VPC with subnets in two zones; for a target group that lives elsewhere, too. */
export async function makeNetwork(aws: AwsProxy, scope: Scope): Promise<Network> {
  const ec2 = new Upstream(aws.observerUrl);
  const vpc = idIn(await ec2.query(scope, 'ec2', 'CreateVpc', { CidrBlock: '10.0.0.0/16' }), 'vpc');
  const subnets: string[] = [];
  for (const { CidrBlock, zone } of SUBNETS) {
    const AvailabilityZone = `${scope.region}${zone}`;
    subnets.push(
      idIn(await ec2.query(scope, 'ec2', 'CreateSubnet', { VpcId: vpc, CidrBlock, AvailabilityZone }), 'subnet'),
    );
  }
  return { vpc, subnets };
}

/** A role that other accounts may assume; its ARN. */
export async function makeRole(aws: AwsProxy, account: string, name: string): Promise<string> {
  const iam = new Upstream(aws.observerUrl);
  const trust = {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: { AWS: '*' }, Action: 'sts:AssumeRole' }],
  };
  const parameters = { RoleName: name, AssumeRolePolicyDocument: JSON.stringify(trust) };
  await iam.query({ account, region: 'us-east-1' }, 'iam', 'CreateRole', parameters);
  return `arn:aws:iam::${account}:role/${name}`;
}

interface GroupWishes {
  name: string;
  vpc: string;
  ports: number[];
  deregistrationDelaySeconds?: number;
}

async function makeTargetGroup(client: ElasticLoadBalancingV2Client, wishes: GroupWishes): Promise<TargetGroup> {
  const { name, vpc, ports } = wishes;
  const settings = { Protocol: 'HTTP' as const, Port: 8080, VpcId: vpc, TargetType: 'ip' as const, ...HEALTH_CHECK };
  const made = await client.send(new CreateTargetGroupCommand({ Name: name, ...settings }));
  const arn = first(made.TargetGroups).TargetGroupArn ?? '';
  const delay = String(wishes.deregistrationDelaySeconds ?? 1);
  const Attributes = [{ Key: 'deregistration_delay.timeout_seconds', Value: delay }];
  await client.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn: arn, Attributes }));
  const Targets = ports.map((Port) => ({ Id: '127.0.0.1', Port }));
  if (ports.length > 0) await client.send(new RegisterTargetsCommand({ TargetGroupArn: arn, Targets }));
  return { arn, name };
}

interface ZoneWishes {
  domain: string;
  vpc: string;
  /** Of the load balancer. */
  dnsName: string;
}

async function makeZones(
  aws: AwsProxy,
  scope: Scope,
  { domain, vpc, dnsName }: ZoneWishes,
): Promise<Pick<AwsWorld, 'zone' | 'privateZone'>> {
  const client = new Route53Client(aws.observer(scope));
  const made = await client.send(new CreateHostedZoneCommand({ Name: domain, CallerReference: `public ${domain}` }));
  const hidden = await client.send(
    new CreateHostedZoneCommand({
      Name: `internal.${domain}`,
      CallerReference: `private ${domain}`,
      VPC: { VPCId: vpc, VPCRegion: scope.region as 'eu-west-1' },
      HostedZoneConfig: { PrivateZone: true },
    }),
  );
  const ResourceRecordSet = {
    Name: `www.${domain}`,
    Type: 'CNAME' as const,
    TTL: 300,
    ResourceRecords: [{ Value: dnsName }],
  };
  await client.send(
    new ChangeResourceRecordSetsCommand({
      HostedZoneId: made.HostedZone?.Id,
      ChangeBatch: { Changes: [{ Action: 'CREATE', ResourceRecordSet }] },
    }),
  );
  client.destroy();
  return { zone: asZone(made), privateZone: asZone(hidden) };
}

interface MadeZone {
  HostedZone?: { Id?: string | undefined; Name?: string | undefined } | undefined;
  DelegationSet?: { NameServers?: string[] | undefined } | undefined;
}

function asZone({ HostedZone, DelegationSet }: MadeZone): Zone {
  const id = (HostedZone?.Id ?? '').replace('/hostedzone/', '');
  return { id, name: HostedZone?.Name ?? '', nameServers: DelegationSet?.NameServers ?? [] };
}

function first<T>(list: T[] | undefined): T {
  const [one] = list ?? [];
  if (one === undefined) throw new Error('the AWS stand-in answered with an empty list where it makes one thing');
  return one;
}

/** EC2 answers `<vpc><vpcId>…`. */
function idIn(response: Branch, kind: 'vpc' | 'subnet'): string {
  const made = response[kind];
  return (isBranch(made) ? textOf(made[`${kind}Id`]) : undefined) ?? '';
}
