/** Load balancers and their attributes: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html */
import { AwsError, invalid } from '../answer.js';
import type { Call } from '../call.js';
import { branchesOf, listOf, stringsOf, textOf, type Branch } from '../tree.js';
import type { Scope } from '../upstream.js';
import { arnOf, type Inventory } from './inventory.js';

/** Of an Application Load Balancer that nobody changed; moto has some of them, one of them wrong. */
const DEFAULT_ATTRIBUTES: Record<string, string> = {
  'access_logs.s3.enabled': 'false',
  'access_logs.s3.bucket': '',
  'access_logs.s3.prefix': '',
  'deletion_protection.enabled': 'false',
  'idle_timeout.timeout_seconds': '60',
  'client_keep_alive.seconds': '3600',
  'routing.http2.enabled': 'true',
  'routing.http.drop_invalid_header_fields.enabled': 'false',
  'routing.http.preserve_host_header.enabled': 'false',
  'routing.http.xff_header_processing.mode': 'append',
  'routing.http.desync_mitigation_mode': 'defensive',
  'waf.fail_open.enabled': 'false',
};
/** Always on for this kind of load balancer; a target group may turn it off for itself. */
const CROSS_ZONE = 'load_balancing.cross_zone.enabled';

export class LoadBalancers {
  constructor(readonly inventory: Inventory) {}

  async describe(call: Call): Promise<Branch[]> {
    const arns = stringsOf(call.parameters['LoadBalancerArns']);
    const names = stringsOf(call.parameters['Names']);
    if (arns.length > 0 && names.length > 0) {
      throw invalid('Load balancer names and load balancer ARNs cannot be specified at the same time');
    }
    const all = await this.inventory.loadBalancers(call);
    if (arns.length + names.length === 0) return all;
    return [...arns, ...names].map((wanted) => {
      const found = all.find((one) => one['LoadBalancerArn'] === wanted || one['LoadBalancerName'] === wanted);
      if (found === undefined) throw notFound(wanted);
      return found;
    });
  }

  /** Idempotent: the same once more is answered with what is there. */
  async create(call: Call): Promise<Branch> {
    const { parameters } = call;
    const name = textOf(parameters['Name']) ?? '';
    const subnets = subnetsOf(parameters);
    if (subnets.length < 2) throw invalid('At least two subnets in two different Availability Zones must be specified');
    const there = (await this.inventory.loadBalancers(call)).find((one) => one['LoadBalancerName'] === name);
    if (there !== undefined) {
      const zones = branchesOf(there['AvailabilityZones']).map((zone) => textOf(zone['SubnetId']) ?? '');
      const same =
        there['Scheme'] === (textOf(parameters['Scheme']) ?? 'internet-facing') &&
        zones.length === subnets.length &&
        zones.every((zone) => subnets.includes(zone));
      if (same) return there;
      const message = `A load balancer with the same name '${name}' exists, but with different settings`;
      throw new AwsError('DuplicateLoadBalancerName', message);
    }
    const made = await this.inventory.write(call, 'CreateLoadBalancer', { Scheme: 'internet-facing', ...parameters });
    return branchesOf(made['LoadBalancers'])[0] ?? {};
  }

  /** One that isn't there is no error: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeleteLoadBalancer.html */
  async delete(call: Call): Promise<void> {
    const arn = textOf(call.parameters['LoadBalancerArn']) ?? '';
    const all = await this.inventory.loadBalancers(call);
    if (!all.some((one) => arnOf(one, 'LoadBalancer') === arn)) return;
    const attributes = await this.#attributes(call, arn);
    if (attributes['deletion_protection.enabled'] === 'true') {
      const message = `Load balancer '${arn}' cannot be deleted because deletion protection is enabled`;
      throw new AwsError('OperationNotPermitted', message);
    }
    await this.inventory.write(call, 'DeleteLoadBalancer', { LoadBalancerArn: arn });
  }

  async attributes(call: Call): Promise<Branch[]> {
    return asList(await this.#attributes(call, textOf(call.parameters['LoadBalancerArn']) ?? ''));
  }

  /** Answers only what was changed, as AWS does. */
  async modifyAttributes(call: Call): Promise<Branch[]> {
    const changes = branchesOf(call.parameters['Attributes']);
    const crossZone = changes.find((one) => one['Key'] === CROSS_ZONE);
    if (crossZone !== undefined && crossZone['Value'] !== 'true') {
      const message = 'Cross-zone load balancing is always on for Application Load Balancers';
      throw new AwsError('InvalidConfigurationRequest', message);
    }
    await this.#attributes(call, textOf(call.parameters['LoadBalancerArn']) ?? '');
    await this.inventory.write(call, 'ModifyLoadBalancerAttributes', call.parameters);
    return changes;
  }

  async #attributes(scope: Scope, arn: string): Promise<Record<string, string>> {
    const all = await this.inventory.loadBalancers(scope);
    if (!all.some((one) => arnOf(one, 'LoadBalancer') === arn)) throw notFound(arn);
    const own = await this.inventory.read(scope, 'DescribeLoadBalancerAttributes', { LoadBalancerArn: arn });
    return { ...DEFAULT_ATTRIBUTES, ...asRecord(branchesOf(own['Attributes'])), [CROSS_ZONE]: 'true' };
  }
}

export const asList = (attributes: Record<string, string>): Branch[] =>
  Object.entries(attributes).map(([Key, Value]): Branch => ({ Key, Value }));

export const asRecord = (attributes: Branch[]): Record<string, string> =>
  Object.fromEntries(attributes.map((one) => [textOf(one['Key']) ?? '', textOf(one['Value']) ?? '']));

const notFound = (arn: string): AwsError => new AwsError('LoadBalancerNotFound', `Load balancers '[${arn}]' not found`);

function subnetsOf(parameters: Branch): string[] {
  const mapped = branchesOf(listOf(parameters['SubnetMappings'])).map((one) => textOf(one['SubnetId']) ?? '');
  return [...stringsOf(parameters['Subnets']), ...mapped];
}
