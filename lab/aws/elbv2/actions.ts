/**
 * What the API asks of a list of actions, of a rule or as a listener's default:
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Action.html
 */
import { AwsError, invalid } from '../answer.js';
import type { Quotas } from '../settings.js';
import { branchesOf, isBranch, textOf, type Branch, type Tree } from '../tree.js';
import { arnOf, targetGroupsOf } from './inventory.js';

/** What the list is to be part of, and what there is. */
export interface Surroundings {
  loadBalancer: Branch;
  /** Of the listener. */
  protocol: string;
  targetGroups: Branch[];
  /** Target group → load balancers that use it. */
  use: Map<string, Set<string>>;
  quotas: Quotas;
}

const FINAL = ['forward', 'redirect', 'fixed-response'];
const BEFORE = ['authenticate-oidc', 'authenticate-cognito', 'jwt-validation'];
const ORDERS = { from: 1, to: 50_000 };
/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupTuple.html */
const WEIGHTS = { from: 0, to: 999 };
/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupStickinessConfig.html: 7 days */
const STICKINESS_SECONDS = { from: 1, to: 604_800 };

/** The list as the API gives it back: what is implied is written out. Throws what AWS refuses. */
export function checkedActions(list: Tree | undefined, around: Surroundings): Branch[] {
  const actions = branchesOf(list);
  if (actions.length === 0) throw invalid('You must specify at least one action');
  checkOrder(actions);
  const checked = actions.map((action) => checkedAction(action, around));
  checkAssociations(checked.flatMap(targetGroupsOf), around);
  return checked;
}

/** Authentication first, and one action that ends it; with several, each has a place of its own. */
function checkOrder(actions: Branch[]): void {
  for (const action of actions) {
    const type = textOf(action['Type']) ?? '';
    if (![...FINAL, ...BEFORE].includes(type)) throw invalid(`Action type '${type}' is not supported`);
    if (action['Order'] !== undefined && !within(action['Order'], ORDERS)) {
      throw invalid(`Action order '${textOf(action['Order'])}' must be between 1 and 50000, inclusive`);
    }
  }
  const orders = actions.map((action) => Number(action['Order']));
  if (actions.length > 1 && new Set(orders.filter(Number.isInteger)).size !== actions.length) {
    throw invalid('An order must be specified for each action, and be unique, when there are multiple actions');
  }
  const inOrder = [...actions].sort((one, other) => Number(one['Order']) - Number(other['Order']));
  const final = inOrder.filter((action) => FINAL.includes(textOf(action['Type']) ?? ''));
  if (final.length !== 1 || inOrder.at(-1) !== final[0]) {
    const message =
      'The actions must include exactly one forward, redirect or fixed-response action, and it must be the last';
    throw new AwsError('InvalidLoadBalancerAction', message);
  }
}

function checkedAction(action: Branch, around: Surroundings): Branch {
  const type = textOf(action['Type']) ?? '';
  if (BEFORE.includes(type) && around.protocol !== 'HTTPS') {
    throw new AwsError('InvalidLoadBalancerAction', `Actions of type '${type}' are supported only on HTTPS listeners`);
  }
  if (type === 'fixed-response') {
    const config = action['FixedResponseConfig'];
    const status = isBranch(config) ? (textOf(config['StatusCode']) ?? '') : '';
    if (!/^[245]\d\d$/.test(status)) throw invalid(`The status code of a fixed response must be 2XX, 4XX or 5XX`);
  }
  return type === 'forward' ? checkedForward(action, around.quotas) : action;
}

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ForwardActionConfig.html */
function checkedForward(action: Branch, quotas: Quotas): Branch {
  const single = textOf(action['TargetGroupArn']);
  const config = isBranch(action['ForwardConfig']) ? action['ForwardConfig'] : null;
  if (config === null && single === undefined) throw invalid('A target group ARN must be specified');
  const groups = config === null ? [{ TargetGroupArn: single }] : branchesOf(config['TargetGroups']);
  const arns = groups.map((group) => arnOf(group, 'TargetGroup'));
  if (arns.length === 0 || arns.includes('')) throw invalid('A target group ARN must be specified');
  if (single !== undefined && (arns.length > 1 || arns[0] !== single)) {
    throw invalid(
      'You can specify both a target group ARN and a forward configuration only if they name the same target group',
    );
  }
  checkTargetGroupsOfAction(arns, quotas.targetGroupsOfAction);
  const weighted = groups.map((group): Branch => ({ ...group, Weight: textOf(group['Weight']) ?? '1' }));
  checkWeights(weighted);
  const stickiness = checkedStickiness(config?.['TargetGroupStickinessConfig']);
  const [only] = arns;
  return {
    ...action,
    TargetGroupArn: arns.length === 1 ? only : undefined,
    ForwardConfig: { TargetGroups: weighted, TargetGroupStickinessConfig: stickiness },
  };
}

function checkTargetGroupsOfAction(arns: string[], most: number): void {
  if (arns.length > most) {
    const message = `The maximum number of target groups of a forward action is ${most}`;
    throw new AwsError('InvalidLoadBalancerAction', message);
  }
  if (new Set(arns).size !== arns.length) {
    throw invalid('A target group can be specified only once in a forward action');
  }
}

function checkWeights(groups: Branch[]): void {
  if (!groups.every((group) => within(group['Weight'], WEIGHTS))) {
    throw invalid('The weight for each target group must be between 0 and 999, inclusive');
  }
  if (groups.every((group) => Number(group['Weight']) === 0)) {
    throw invalid('At least one target group of a forward action must have a weight above 0');
  }
}

function checkedStickiness(config: Tree | undefined): Branch {
  if (!isBranch(config) || config['Enabled'] !== 'true') return { Enabled: 'false' };
  if (!within(config['DurationSeconds'], STICKINESS_SECONDS)) {
    throw invalid('The duration of target group stickiness must be between 1 and 604800 seconds, inclusive');
  }
  return config;
}

/** Whether those target groups may be behind this load balancer. */
function checkAssociations(arns: string[], around: Surroundings): void {
  const loadBalancer = arnOf(around.loadBalancer, 'LoadBalancer');
  for (const arn of arns) {
    const group = around.targetGroups.find((one) => arnOf(one, 'TargetGroup') === arn);
    if (group === undefined) throw new AwsError('TargetGroupNotFound', `Target groups '${arn}' not found`);
    if (!['HTTP', 'HTTPS'].includes(textOf(group['Protocol']) ?? '')) {
      throw new AwsError(
        'IncompatibleProtocols',
        `Target group '${arn}' has a protocol that Application Load Balancers do not support`,
      );
    }
    if (group['VpcId'] !== around.loadBalancer['VpcId']) {
      const message = `Target group '${arn}' is in a different VPC than load balancer '${loadBalancer}'`;
      throw new AwsError('InvalidConfigurationRequest', message);
    }
  }
  const elsewhere = arns.filter((arn) => [...(around.use.get(arn) ?? [])].some((user) => user !== loadBalancer));
  if (elsewhere.length > 0) {
    const message = `The following target groups cannot be associated with more than one load balancer: ${elsewhere.join(', ')}`;
    throw new AwsError('TargetGroupAssociationLimit', message);
  }
  const most = around.quotas.targetGroupsOfLoadBalancer;
  const already = [...around.use].filter(([, users]) => users.has(loadBalancer)).map(([arn]) => arn);
  if (new Set([...already, ...arns]).size > most) {
    const message = `The maximum number of target groups of a load balancer is ${most}`;
    throw new AwsError('TooManyUniqueTargetGroupsPerLoadBalancer', message);
  }
}

/** Whether it is written as a whole number of that range. */
export function within(value: Tree | undefined, range: { from: number; to: number }): boolean {
  if (typeof value !== 'string' || !/^-?\d+$/.test(value)) return false;
  return Number(value) >= range.from && Number(value) <= range.to;
}
