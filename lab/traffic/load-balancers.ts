/** Makes load balancers, listeners and target groups in the API, as a user's Terraform would. */
import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateRuleCommand,
  CreateTargetGroupCommand,
  DeleteLoadBalancerCommand,
  DeleteTargetGroupCommand,
  DeregisterTargetsCommand,
  ElasticLoadBalancingV2Client,
  ModifyListenerCommand,
  ModifyLoadBalancerAttributesCommand,
  ModifyTargetGroupAttributesCommand,
  RegisterTargetsCommand,
  type Action,
  type CreateTargetGroupCommandInput,
  type RuleCondition,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type { ClientConfiguration } from '../aws/proxy.js';
import { defaultNetwork, type Network } from './network.js';

export interface MadeBalancer {
  arn: string;
  dnsName: string;
  /** Hosted zone that an alias record names. */
  zoneId: string;
}

export interface TargetSpec {
  id: string;
  port: number;
}

/** Shares by ARN of the target group. */
export function forward(weights: Record<string, number>, stickySeconds: number | null = null): Action {
  return {
    Type: 'forward',
    ForwardConfig: {
      TargetGroups: Object.entries(weights).map(([TargetGroupArn, Weight]) => ({ TargetGroupArn, Weight })),
      ...(stickySeconds === null
        ? {}
        : { TargetGroupStickinessConfig: { Enabled: true, DurationSeconds: stickySeconds } }),
    },
  };
}

export class LoadBalancers {
  private constructor(
    readonly client: ElasticLoadBalancingV2Client,
    readonly network: Network,
  ) {}

  static async in(account: ClientConfiguration): Promise<LoadBalancers> {
    return new LoadBalancers(new ElasticLoadBalancingV2Client(account), await defaultNetwork(account));
  }

  close(): void {
    this.client.destroy();
  }

  async balancer(name: string, attributes: Record<string, string> = {}): Promise<MadeBalancer> {
    const { LoadBalancers: made } = await this.client.send(
      new CreateLoadBalancerCommand({ Name: name, Subnets: this.network.subnets.slice(0, 2), Type: 'application' }),
    );
    const { LoadBalancerArn: arn, DNSName: dnsName, CanonicalHostedZoneId: zoneId } = made?.[0] ?? {};
    if (!arn || !dnsName || !zoneId) throw new Error(`load balancer ${name} was not made`);
    await this.setBalancerAttributes(arn, attributes);
    return { arn, dnsName, zoneId };
  }

  /** With its listeners and their rules; then the target groups that nothing names any more. */
  async remove(balancer: string, ...targetGroups: string[]): Promise<void> {
    await this.client.send(new DeleteLoadBalancerCommand({ LoadBalancerArn: balancer }));
    for (const arn of targetGroups) await this.client.send(new DeleteTargetGroupCommand({ TargetGroupArn: arn }));
  }

  async setBalancerAttributes(arn: string, attributes: Record<string, string>): Promise<void> {
    if (Object.keys(attributes).length === 0) return;
    await this.client.send(
      new ModifyLoadBalancerAttributesCommand({ LoadBalancerArn: arn, Attributes: pairs(attributes) }),
    );
  }

  async targetGroup(
    name: string,
    settings: Partial<CreateTargetGroupCommandInput> = {},
    attributes: Record<string, string> = {},
  ): Promise<string> {
    const { TargetGroups: made } = await this.client.send(
      new CreateTargetGroupCommand({
        Name: name,
        Protocol: 'HTTP',
        Port: 8080,
        VpcId: this.network.vpc,
        TargetType: 'ip',
        HealthCheckPath: '/health',
        HealthCheckIntervalSeconds: 5,
        HealthCheckTimeoutSeconds: 2,
        HealthyThresholdCount: 2,
        UnhealthyThresholdCount: 2,
        ...settings,
      }),
    );
    const arn = made?.[0]?.TargetGroupArn;
    if (arn === undefined) throw new Error(`target group ${name} was not made`);
    await this.setGroupAttributes(arn, attributes);
    return arn;
  }

  async setGroupAttributes(arn: string, attributes: Record<string, string>): Promise<void> {
    if (Object.keys(attributes).length === 0) return;
    await this.client.send(
      new ModifyTargetGroupAttributesCommand({ TargetGroupArn: arn, Attributes: pairs(attributes) }),
    );
  }

  async register(targetGroup: string, ...targets: TargetSpec[]): Promise<void> {
    await this.client.send(new RegisterTargetsCommand({ TargetGroupArn: targetGroup, Targets: described(targets) }));
  }

  async deregister(targetGroup: string, ...targets: TargetSpec[]): Promise<void> {
    await this.client.send(new DeregisterTargetsCommand({ TargetGroupArn: targetGroup, Targets: described(targets) }));
  }

  async listener(balancer: string, action: Action, port = 80): Promise<string> {
    const { Listeners: made } = await this.client.send(
      new CreateListenerCommand({ LoadBalancerArn: balancer, Protocol: 'HTTP', Port: port, DefaultActions: [action] }),
    );
    const arn = made?.[0]?.ListenerArn;
    if (arn === undefined) throw new Error(`a listener of ${balancer} was not made`);
    return arn;
  }

  async setDefault(listener: string, action: Action): Promise<void> {
    await this.client.send(new ModifyListenerCommand({ ListenerArn: listener, DefaultActions: [action] }));
  }

  async rule(listener: string, priority: number, conditions: RuleCondition[], action: Action): Promise<string> {
    const { Rules: made } = await this.client.send(
      new CreateRuleCommand({ ListenerArn: listener, Priority: priority, Conditions: conditions, Actions: [action] }),
    );
    const arn = made?.[0]?.RuleArn;
    if (arn === undefined) throw new Error(`a rule of ${listener} was not made`);
    return arn;
  }
}

const pairs = (attributes: Record<string, string>) =>
  Object.entries(attributes).map(([Key, Value]) => ({ Key, Value }));
const described = (targets: TargetSpec[]) => targets.map(({ id, port }) => ({ Id: id, Port: port }));
