/** Target groups and their attributes: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html */
import { AwsError, invalid } from '../answer.js';
import type { Call } from '../call.js';
import { branchesOf, isBranch, stringsOf, textOf, type Branch } from '../tree.js';
import type { Scope } from '../upstream.js';
import { within } from './actions.js';
import { arnOf, type Inventory } from './inventory.js';
import { asList, asRecord } from './load-balancers.js';

/** Of a target group that nobody changed. */
const DEFAULT_ATTRIBUTES: Record<string, string> = {
  'deregistration_delay.timeout_seconds': '300',
  'stickiness.enabled': 'false',
  'stickiness.type': 'lb_cookie',
  'stickiness.lb_cookie.duration_seconds': '86400',
  'stickiness.app_cookie.cookie_name': '',
  'stickiness.app_cookie.duration_seconds': '86400',
  'slow_start.duration_seconds': '0',
  'load_balancing.algorithm.type': 'round_robin',
  'load_balancing.algorithm.anomaly_mitigation': 'off',
  'load_balancing.cross_zone.enabled': 'use_load_balancer_configuration',
  'target_group_health.dns_failover.minimum_healthy_targets.count': '1',
  'target_group_health.dns_failover.minimum_healthy_targets.percentage': 'off',
  'target_group_health.unhealthy_state_routing.minimum_healthy_targets.count': '1',
  'target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage': 'off',
};

const seconds = (from: number, to: number) => (value: string) => within(value, { from, to });
const oneOf = (values: string[]) => (value: string) => values.includes(value);

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupAttribute.html */
const VALUES: Record<string, (value: string) => boolean> = {
  'deregistration_delay.timeout_seconds': seconds(0, 3_600),
  'stickiness.enabled': oneOf(['true', 'false']),
  'stickiness.type': oneOf(['lb_cookie', 'app_cookie']),
  'stickiness.lb_cookie.duration_seconds': seconds(1, 604_800),
  'stickiness.app_cookie.duration_seconds': seconds(1, 604_800),
  'slow_start.duration_seconds': (value) => value === '0' || within(value, { from: 30, to: 900 }),
  'load_balancing.algorithm.type': oneOf(['round_robin', 'least_outstanding_requests', 'weighted_random']),
  'load_balancing.algorithm.anomaly_mitigation': oneOf(['on', 'off']),
  'load_balancing.cross_zone.enabled': oneOf(['true', 'false', 'use_load_balancer_configuration']),
};

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ModifyTargetGroup.html */
const HEALTH_CHECK_RANGES = {
  HealthCheckIntervalSeconds: { from: 5, to: 300 },
  HealthCheckTimeoutSeconds: { from: 2, to: 120 },
  HealthyThresholdCount: { from: 2, to: 10 },
  UnhealthyThresholdCount: { from: 2, to: 10 },
};

export class TargetGroups {
  /** Attributes that were changed, by ARN. moto has some of its own, and refuses a deregistration delay of an hour. */
  readonly #changed = new Map<string, Record<string, string>>();

  constructor(readonly inventory: Inventory) {}

  async describe(call: Call): Promise<Branch[]> {
    const loadBalancer = textOf(call.parameters['LoadBalancerArn']);
    const arns = stringsOf(call.parameters['TargetGroupArns']);
    const names = stringsOf(call.parameters['Names']);
    if ([loadBalancer !== undefined, arns.length > 0, names.length > 0].filter(Boolean).length > 1) {
      throw invalid(
        'Target group names, target group ARNs, and a load balancer ARN cannot be specified at the same time',
      );
    }
    const all = await this.#all(call);
    if (loadBalancer !== undefined) {
      const balancers = await this.inventory.loadBalancers(call);
      if (!balancers.some((one) => arnOf(one, 'LoadBalancer') === loadBalancer)) {
        throw new AwsError('LoadBalancerNotFound', `Load balancers '[${loadBalancer}]' not found`);
      }
      return all.filter((group) => stringsOf(group['LoadBalancerArns']).includes(loadBalancer));
    }
    if (arns.length + names.length === 0) return all;
    return [...arns, ...names].map((wanted) => {
      const found = all.find((one) => one['TargetGroupArn'] === wanted || one['TargetGroupName'] === wanted);
      if (found === undefined) throw notFound();
      return found;
    });
  }

  /** Idempotent: the same once more is answered with what is there. */
  async create(call: Call): Promise<Branch> {
    const { parameters } = call;
    checkHealthCheck(parameters);
    const name = textOf(parameters['Name']) ?? '';
    const there = (await this.#all(call)).find((one) => one['TargetGroupName'] === name);
    if (there !== undefined) {
      if (sameSettings(there, parameters)) return there;
      const message = `A target group with the same name '${name}' exists, but with different settings`;
      throw new AwsError('DuplicateTargetGroupName', message);
    }
    const made = await this.inventory.write(call, 'CreateTargetGroup', parameters);
    return this.#found(call, arnOf(branchesOf(made['TargetGroups'])[0] ?? {}, 'TargetGroup'));
  }

  async modify(call: Call): Promise<Branch> {
    const arn = arnOf(call.parameters, 'TargetGroup');
    await this.#found(call, arn);
    checkHealthCheck(call.parameters);
    await this.inventory.write(call, 'ModifyTargetGroup', call.parameters);
    return this.#found(call, arn);
  }

  /** One that isn't there is no error: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeleteTargetGroup.html */
  async delete(call: Call): Promise<void> {
    const arn = arnOf(call.parameters, 'TargetGroup');
    const group = (await this.#all(call)).find((one) => arnOf(one, 'TargetGroup') === arn);
    if (group === undefined) return;
    if (stringsOf(group['LoadBalancerArns']).length > 0) {
      throw new AwsError('ResourceInUse', `Target group '${arn}' is currently in use by a listener or a rule`);
    }
    await this.inventory.write(call, 'DeleteTargetGroup', { TargetGroupArn: arn });
    this.#changed.delete(arn);
  }

  async attributes(call: Call): Promise<Branch[]> {
    return asList(await this.attributesOf(call, arnOf(call.parameters, 'TargetGroup')));
  }

  /** Answers all attributes, with the changes. */
  async modifyAttributes(call: Call): Promise<Branch[]> {
    const arn = arnOf(call.parameters, 'TargetGroup');
    const before = await this.attributesOf(call, arn);
    const changes = asRecord(branchesOf(call.parameters['Attributes']));
    for (const [key, value] of Object.entries(changes)) {
      if (!(key in DEFAULT_ATTRIBUTES)) throw invalid(`Target group attribute key '${key}' is not recognized`);
      if (VALUES[key]?.(value) === false)
        throw invalid(`Target group attribute value '${value}' is not valid for '${key}'`);
    }
    const after = { ...before, ...changes };
    if (after['slow_start.duration_seconds'] !== '0' && after['load_balancing.algorithm.type'] !== 'round_robin') {
      const message = 'Slow start is supported only by target groups with the round robin algorithm';
      throw new AwsError('InvalidConfigurationRequest', message);
    }
    this.#changed.set(arn, { ...this.#changed.get(arn), ...changes });
    return asList(after);
  }

  async attributesOf(scope: Scope, arn: string): Promise<Record<string, string>> {
    await this.#found(scope, arn);
    return { ...DEFAULT_ATTRIBUTES, ...this.#changed.get(arn) };
  }

  reset(): void {
    this.#changed.clear();
  }

  async #all(scope: Scope): Promise<Branch[]> {
    const [groups, use] = await Promise.all([this.inventory.targetGroups(scope), this.inventory.use(scope)]);
    return groups.map((group): Branch => {
      const users = use.get(arnOf(group, 'TargetGroup')) ?? [];
      return { ...group, LoadBalancerArns: [...users] };
    });
  }

  async #found(scope: Scope, arn: string): Promise<Branch> {
    const found = (await this.#all(scope)).find((one) => arnOf(one, 'TargetGroup') === arn);
    if (found === undefined) throw notFound();
    return found;
  }
}

const notFound = (): AwsError => new AwsError('TargetGroupNotFound', 'One or more target groups not found');

function checkHealthCheck(parameters: Branch): void {
  for (const [name, range] of Object.entries(HEALTH_CHECK_RANGES)) {
    const value = parameters[name];
    if (value === undefined || within(value, range)) continue;
    throw invalid(`${name} '${textOf(value)}' must be between ${range.from} and ${range.to}, inclusive`);
  }
}

/** Of what was asked for; the defaults of the rest are the same for both. */
function sameSettings(there: Branch, wanted: Branch): boolean {
  return Object.entries(wanted).every(([key, value]) => {
    if (key === 'Name' || key === 'Tags') return true;
    if (isBranch(value)) return JSON.stringify(value) === JSON.stringify(there[key]);
    return value === there[key];
  });
}
