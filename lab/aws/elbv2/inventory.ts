/**
 * The load balancers, listeners, rules and target groups that moto has, whole lists of them: its own filters miss unknown
 * ARNs, and its target groups don't know which load balancers use them.
 */
import type { Scope, Upstream } from '../upstream.js';
import { branchesOf, stringsOf, textOf, type Branch, type Tree } from '../tree.js';

const API = 'elasticloadbalancing';

export class Inventory {
  /** Lists of an account and region since its last write: a check of one action needs twenty, at 5 ms each. */
  readonly #lists = new Map<string, Map<string, Promise<Branch[]>>>();

  constructor(readonly upstream: Upstream) {}

  async read(scope: Scope, operation: string, parameters: Branch): Promise<Branch> {
    return this.upstream.query(scope, API, operation, parameters);
  }

  /** Forgets before and after, so that a list that is read meanwhile isn't kept. */
  async write(scope: Scope, operation: string, parameters: Branch): Promise<Branch> {
    this.#forgetChanged(scope, operation, parameters);
    try {
      return await this.upstream.query(scope, API, operation, parameters);
    } finally {
      this.#forgetChanged(scope, operation, parameters);
    }
  }

  /** What moves traffic changes one listener or rule: reading all others anew took most of a test of many listeners. */
  #forgetChanged(scope: Scope, operation: string, parameters: Branch): void {
    const lists = this.#lists.get(keyOf(scope));
    const listener =
      operation === 'ModifyListener'
        ? arnOf(parameters, 'Listener')
        : operation === 'ModifyRule'
          ? listenerOfRule(arnOf(parameters, 'Rule'))
          : null;
    if (listener === null) return this.forget(scope);
    lists?.delete(keyOfList('DescribeListeners', { LoadBalancerArn: loadBalancerOfListener(listener) }));
    lists?.delete(keyOfList('DescribeRules', { ListenerArn: listener }));
  }

  reset(): void {
    this.#lists.clear();
  }

  async loadBalancers(scope: Scope): Promise<Branch[]> {
    return this.#all(scope, 'DescribeLoadBalancers', 'LoadBalancers');
  }

  async targetGroups(scope: Scope): Promise<Branch[]> {
    return this.#all(scope, 'DescribeTargetGroups', 'TargetGroups');
  }

  async listenersOf(scope: Scope, loadBalancerArn: string): Promise<Branch[]> {
    const listeners = await this.#all(scope, 'DescribeListeners', 'Listeners', { LoadBalancerArn: loadBalancerArn });
    return listeners.map(listenerAsAws);
  }

  async listeners(scope: Scope): Promise<Branch[]> {
    const balancers = await this.loadBalancers(scope);
    return (await Promise.all(balancers.map((one) => this.listenersOf(scope, arnOf(one, 'LoadBalancer'))))).flat();
  }

  /** In the order in which the load balancer asks them; the default one last. */
  async rulesOf(scope: Scope, listenerArn: string): Promise<Branch[]> {
    const rules = await this.#all(scope, 'DescribeRules', 'Rules', { ListenerArn: listenerArn });
    return rules.map(ruleAsAws).sort((one, other) => rank(one) - rank(other));
  }

  async rules(scope: Scope): Promise<Branch[]> {
    const listeners = await this.listeners(scope);
    return (await Promise.all(listeners.map((one) => this.rulesOf(scope, arnOf(one, 'Listener'))))).flat();
  }

  /** Target group → load balancers that have it in an action. */
  async use(scope: Scope): Promise<Map<string, Set<string>>> {
    const use = new Map<string, Set<string>>();
    for (const rule of await this.rules(scope)) {
      for (const group of branchesOf(rule['Actions']).flatMap(targetGroupsOf)) {
        use.set(group, (use.get(group) ?? new Set()).add(loadBalancerOfRule(arnOf(rule, 'Rule'))));
      }
    }
    return use;
  }

  forget(scope: Scope): void {
    this.#lists.delete(keyOf(scope));
  }

  async #all(scope: Scope, operation: string, list: string, parameters: Branch = {}): Promise<Branch[]> {
    const lists = this.#lists.get(keyOf(scope)) ?? new Map<string, Promise<Branch[]>>();
    this.#lists.set(keyOf(scope), lists);
    const key = keyOfList(operation, parameters);
    const known = lists.get(key);
    if (known !== undefined) return known;
    const found = this.#ask(scope, operation, list, parameters);
    lists.set(key, found);
    found.catch(() => lists.delete(key));
    return found;
  }

  async #ask(scope: Scope, operation: string, list: string, parameters: Branch): Promise<Branch[]> {
    const found: Branch[] = [];
    for (let marker: string | undefined; ;) {
      const page = await this.read(scope, operation, { ...parameters, PageSize: '400', Marker: marker });
      found.push(...branchesOf(page[list]));
      marker = textOf(page['NextMarker']);
      if (marker === undefined || marker === '') return found;
    }
  }
}

const keyOfList = (operation: string, parameters: Branch): string => JSON.stringify([operation, parameters]);

const keyOf = (scope: Scope): string => `${scope.account} ${scope.region}`;

export const arnOf = (resource: Branch, kind: 'LoadBalancer' | 'Listener' | 'Rule' | 'TargetGroup'): string =>
  textOf(resource[`${kind}Arn`]) ?? '';

/** `…:listener/app/NAME/ID/LISTENER` and `…:listener-rule/app/NAME/ID/LISTENER/RULE` both name their load balancer. */
export const loadBalancerOfListener = (arn: string): string =>
  arn.replace(':listener/', ':loadbalancer/').replace(/\/[^/]+$/, '');
export const listenerOfRule = (arn: string): string =>
  arn.replace(':listener-rule/', ':listener/').replace(/\/[^/]+$/, '');
export const loadBalancerOfRule = (arn: string): string => loadBalancerOfListener(listenerOfRule(arn));

/** ARNs in one action, whichever of the two forms it has. */
export function targetGroupsOf(action: Branch): string[] {
  const single = textOf(action['TargetGroupArn']);
  const config = action['ForwardConfig'];
  const several = typeof config === 'object' && !Array.isArray(config) ? branchesOf(config['TargetGroups']) : [];
  return [...new Set([...(single ? [single] : []), ...several.map((one) => arnOf(one, 'TargetGroup'))])];
}

const rank = (rule: Branch): number => (rule['Priority'] === 'default' ? Infinity : Number(rule['Priority']));

/** moto gives HTTP listeners a TLS policy, and lists certificates for SNI beside the default one. */
function listenerAsAws(listener: Branch): Branch {
  const { Certificates, SslPolicy, AlpnPolicy, ...others } = listener;
  if (others['Protocol'] !== 'HTTPS') return others;
  const alpn = stringsOf(AlpnPolicy);
  return {
    ...others,
    Certificates: branchesOf(Certificates).slice(0, 1),
    SslPolicy,
    ...(alpn.length === 0 ? {} : { AlpnPolicy: alpn }),
  };
}

/** AWS gives both forms of a condition on paths and hosts, whichever was written. */
const BOTH_FORMS: Record<string, string> = { 'path-pattern': 'PathPatternConfig', 'host-header': 'HostHeaderConfig' };

function ruleAsAws(rule: Branch): Branch {
  const conditions = branchesOf(rule['Conditions']).map((condition): Branch => {
    const config = BOTH_FORMS[textOf(condition['Field']) ?? ''];
    if (config === undefined) return condition;
    const values = valuesOf(condition[config]) ?? condition['Values'];
    return { Field: condition['Field'], Values: values, [config]: { Values: values } };
  });
  return { ...rule, Conditions: conditions };
}

function valuesOf(config: Tree | undefined): Tree | undefined {
  return typeof config === 'object' && !Array.isArray(config) ? config['Values'] : undefined;
}
