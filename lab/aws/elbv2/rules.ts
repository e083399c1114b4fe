/** Rules of listeners: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateRule.html */
import { AwsError, invalid } from '../answer.js';
import type { Call } from '../call.js';
import { branchesOf, isBranch, listOf, stringsOf, textOf, type Branch, type Tree } from '../tree.js';
import type { Scope } from '../upstream.js';
import { checkedActions, within } from './actions.js';
import { arnOf, listenerOfRule, loadBalancerOfRule, type Inventory } from './inventory.js';
import type { Listeners } from './listeners.js';

const PRIORITIES = { from: 1, to: 50_000 };
/** https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html */
const MOST_CONDITION_VALUES = 5;

export class Rules {
  constructor(
    readonly inventory: Inventory,
    readonly listeners: Listeners,
  ) {}

  async describe(call: Call): Promise<Branch[]> {
    const listener = textOf(call.parameters['ListenerArn']);
    const arns = stringsOf(call.parameters['RuleArns']);
    if ((listener === undefined) === (arns.length === 0)) {
      throw invalid('You must specify either listener rule ARNs or a listener ARN');
    }
    if (listener !== undefined) {
      await this.listeners.surroundingsOf(call, listener);
      return this.inventory.rulesOf(call, listener);
    }
    return Promise.all(arns.map((arn) => this.#found(call, arn)));
  }

  async create(call: Call): Promise<Branch> {
    const { parameters } = call;
    const listenerArn = textOf(parameters['ListenerArn']) ?? '';
    const around = await this.listeners.surroundingsOf(call, listenerArn);
    checkPriority(parameters['Priority']);
    checkConditions(parameters['Conditions']);
    const actions = checkedActions(parameters['Actions'], around);
    const there = await this.inventory.rulesOf(call, listenerArn);
    checkFree(there, textOf(parameters['Priority']) ?? '');
    const loadBalancer = arnOf(around.loadBalancer, 'LoadBalancer');
    const ofBalancer = (await this.inventory.rules(call)).filter(
      (rule) => rule['IsDefault'] !== 'true' && loadBalancerOfRule(arnOf(rule, 'Rule')) === loadBalancer,
    );
    if (ofBalancer.length >= around.quotas.rulesOfLoadBalancer) {
      throw new AwsError('TooManyRules', 'You have reached the limit on the number of rules per load balancer');
    }
    const made = await this.inventory.write(call, 'CreateRule', { ...parameters, Actions: actions });
    return this.#found(call, arnOf(branchesOf(made['Rules'])[0] ?? {}, 'Rule'));
  }

  /** The lists that are given replace what was, whole: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ModifyRule.html */
  async modify(call: Call): Promise<Branch> {
    const { parameters } = call;
    const rule = await this.#found(call, textOf(parameters['RuleArn']) ?? '');
    const arn = arnOf(rule, 'Rule');
    if (rule['IsDefault'] === 'true')
      throw new AwsError('OperationNotPermitted', `Default rule '${arn}' cannot be modified`);
    if (parameters['Conditions'] !== undefined) checkConditions(parameters['Conditions']);
    const around = await this.listeners.surroundingsOf(call, listenerOfRule(arn));
    const actions = parameters['Actions'] === undefined ? undefined : checkedActions(parameters['Actions'], around);
    await this.inventory.write(call, 'ModifyRule', { ...parameters, Actions: actions });
    return this.#found(call, arn);
  }

  async delete(call: Call): Promise<void> {
    const rule = await this.#found(call, textOf(call.parameters['RuleArn']) ?? '');
    if (rule['IsDefault'] === 'true') {
      throw new AwsError('OperationNotPermitted', `Default rule '${arnOf(rule, 'Rule')}' cannot be deleted`);
    }
    await this.inventory.write(call, 'DeleteRule', { RuleArn: rule['RuleArn'] });
  }

  /** All of them or none: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_SetRulePriorities.html */
  async setPriorities(call: Call): Promise<Branch[]> {
    const wanted = branchesOf(call.parameters['RulePriorities']);
    const rules = await Promise.all(wanted.map((one) => this.#found(call, textOf(one['RuleArn']) ?? '')));
    for (const one of wanted) checkPriority(one['Priority']);
    const priorities = wanted.map((one) => textOf(one['Priority']) ?? '');
    if (new Set(priorities).size !== priorities.length) throw inUse(priorities.join(', '));
    const listeners = new Set(rules.map((rule) => listenerOfRule(arnOf(rule, 'Rule'))));
    for (const listener of listeners) {
      const others = (await this.inventory.rulesOf(call, listener)).filter(
        (rule) => !rules.some((one) => one['RuleArn'] === rule['RuleArn']),
      );
      for (const priority of priorities) checkFree(others, priority);
    }
    // moto takes no priority that any rule has, even one that is about to give it up.
    const aside = wanted.map((one, index): Branch => ({ ...one, Priority: String(PRIORITIES.to + 1 + index) }));
    await this.inventory.write(call, 'SetRulePriorities', { RulePriorities: aside });
    await this.inventory.write(call, 'SetRulePriorities', call.parameters);
    return Promise.all(rules.map((rule) => this.#found(call, arnOf(rule, 'Rule'))));
  }

  async #found(scope: Scope, arn: string): Promise<Branch> {
    const found = (await this.inventory.rules(scope)).find((rule) => arnOf(rule, 'Rule') === arn);
    if (found === undefined) throw new AwsError('RuleNotFound', 'One or more rules not found');
    return found;
  }
}

function checkPriority(priority: Tree | undefined): void {
  if (!within(priority, PRIORITIES)) throw invalid('The rule priority must be between 1 and 50000, inclusive');
}

function checkFree(rules: Branch[], priority: string): void {
  if (rules.some((rule) => rule['Priority'] === priority)) throw inUse(priority);
}

const inUse = (priority: string): AwsError =>
  new AwsError('PriorityInUse', `Priority '${priority}' is currently in use`);

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RuleCondition.html */
function checkConditions(list: Tree | undefined): void {
  const conditions = branchesOf(list);
  if (conditions.length === 0) throw invalid('A rule must have at least one condition');
  const values = conditions.reduce((sum, one) => sum + valuesIn(one), 0);
  if (values > MOST_CONDITION_VALUES) {
    throw new AwsError(
      'TooManyConditionValues',
      `Rule cannot have more than '${MOST_CONDITION_VALUES}' condition values`,
    );
  }
}

function valuesIn(condition: Branch): number {
  const configs = Object.values(condition).filter(isBranch);
  return listOf(condition['Values']).length + configs.reduce((sum, one) => sum + listOf(one['Values']).length, 0);
}
