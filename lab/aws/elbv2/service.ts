/** The API of Elastic Load Balancing, version 2, for Application Load Balancers. What isn't here is answered by moto alone. */
import { elbv2Answer, invalid, type Answer } from '../answer.js';
import type { Call } from '../call.js';
import type { Settings } from '../settings.js';
import { stringsOf, type Branch } from '../tree.js';
import type { Scope, Upstream } from '../upstream.js';
import { arnOf, Inventory } from './inventory.js';
import { Listeners, type CheckCertificate } from './listeners.js';
import { LoadBalancers } from './load-balancers.js';
import { page } from './pages.js';
import { Rules } from './rules.js';
import { TargetGroups } from './target-groups.js';
import { Targets, type GroupState } from './targets.js';

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTags.html */
const MOST_TAGGED = 20;

export class Elbv2Service {
  readonly #inventory: Inventory;
  readonly #balancers: LoadBalancers;
  readonly #listeners: Listeners;
  readonly #rules: Rules;
  readonly #groups: TargetGroups;
  readonly #targets = new Targets();
  readonly #operations: Record<string, (call: Call) => Promise<Branch>>;

  constructor(
    readonly upstream: Upstream,
    readonly settings: () => Settings,
    certificates: { checkUsable: CheckCertificate },
  ) {
    const inventory = new Inventory(upstream);
    this.#inventory = inventory;
    this.#balancers = new LoadBalancers(inventory);
    this.#listeners = new Listeners(
      inventory,
      (scope, arn) => certificates.checkUsable(scope, arn),
      () => settings().quotas,
    );
    this.#rules = new Rules(inventory, this.#listeners);
    this.#groups = new TargetGroups(inventory);
    this.#operations = this.#table();
  }

  async answer(call: Call): Promise<Answer> {
    const operation = this.#operations[call.operation];
    if (operation === undefined) return this.#passed(call);
    return elbv2Answer(call.operation, await operation(call));
  }

  /** DescribeTargetHealth without asking the edge: for the edge. */
  async registered(call: Call): Promise<Answer> {
    return elbv2Answer(call.operation, await this.#health(call, null));
  }

  usersOf(scope: Scope, certificate: string): Promise<string[]> {
    return this.#listeners.usersOf(scope, certificate);
  }

  reset(): void {
    this.#inventory.reset();
    this.#groups.reset();
    this.#targets.reset();
    this.#listeners.reset();
  }

  #table(): Record<string, (call: Call) => Promise<Branch>> {
    return {
      DescribeLoadBalancers: (call) => this.#paged(call, 'LoadBalancers', this.#balancers.describe(call)),
      CreateLoadBalancer: async (call) => ({ LoadBalancers: [await this.#balancers.create(call)] }),
      DeleteLoadBalancer: (call) => nothing(this.#balancers.delete(call)),
      DescribeLoadBalancerAttributes: async (call) => ({ Attributes: await this.#balancers.attributes(call) }),
      ModifyLoadBalancerAttributes: async (call) => ({ Attributes: await this.#balancers.modifyAttributes(call) }),

      DescribeListeners: (call) => this.#paged(call, 'Listeners', this.#listeners.describe(call)),
      CreateListener: async (call) => ({ Listeners: [await this.#listeners.create(call)] }),
      ModifyListener: async (call) => ({ Listeners: [await this.#listeners.modify(call)] }),
      DeleteListener: (call) => nothing(this.#listeners.delete(call)),
      DescribeListenerCertificates: (call) => this.#paged(call, 'Certificates', this.#listeners.certificates(call)),
      AddListenerCertificates: async (call) => ({ Certificates: await this.#listeners.addCertificates(call) }),
      RemoveListenerCertificates: (call) => nothing(this.#listeners.removeCertificates(call)),

      DescribeRules: (call) => this.#paged(call, 'Rules', this.#rules.describe(call)),
      CreateRule: async (call) => ({ Rules: [await this.#rules.create(call)] }),
      ModifyRule: async (call) => ({ Rules: [await this.#rules.modify(call)] }),
      DeleteRule: (call) => nothing(this.#rules.delete(call)),
      SetRulePriorities: async (call) => ({ Rules: await this.#rules.setPriorities(call) }),

      DescribeTargetGroups: (call) => this.#paged(call, 'TargetGroups', this.#groups.describe(call)),
      CreateTargetGroup: async (call) => ({ TargetGroups: [await this.#groups.create(call)] }),
      ModifyTargetGroup: async (call) => ({ TargetGroups: [await this.#groups.modify(call)] }),
      DeleteTargetGroup: (call) => this.#deleteGroup(call),
      DescribeTargetGroupAttributes: async (call) => ({ Attributes: await this.#groups.attributes(call) }),
      ModifyTargetGroupAttributes: async (call) => ({ Attributes: await this.#groups.modifyAttributes(call) }),

      RegisterTargets: async (call) => {
        const most = this.settings().quotas.targetsOfTargetGroup;
        this.#targets.register((await this.#stateOf(call)).group, call.parameters, most);
        return {};
      },
      DeregisterTargets: async (call) => {
        this.#targets.deregister((await this.#stateOf(call)).group, call.parameters);
        return {};
      },
      DescribeTargetHealth: (call) => this.#health(call, this.settings().edge),
      DescribeTags: (call) => this.#tags(call),
    };
  }

  /** What it changes, if anything, isn't known here, but for tags: no list has them. */
  async #passed(call: Call): Promise<Answer> {
    const answer = await this.upstream.pass(call);
    if (!call.operation.endsWith('Tags')) this.#inventory.forget(call);
    return answer;
  }

  async #paged(call: Call, list: string, all: Promise<Branch[]>): Promise<Branch> {
    return page(list, await all, call.parameters, this.settings().pageSize);
  }

  async #deleteGroup(call: Call): Promise<Branch> {
    await this.#groups.delete(call);
    this.#targets.forget(arnOf(call.parameters, 'TargetGroup'));
    return {};
  }

  async #health(call: Call, edge: string | null): Promise<Branch> {
    const state = await this.#stateOf(call);
    return { TargetHealthDescriptions: await this.#targets.health(state, call.parameters, edge) };
  }

  async #tags(call: Call): Promise<Branch> {
    if (stringsOf(call.parameters['ResourceArns']).length > MOST_TAGGED) {
      throw invalid(`Tags can be described for at most ${MOST_TAGGED} resources at a time`);
    }
    return this.upstream.query(call, 'elasticloadbalancing', 'DescribeTags', call.parameters);
  }

  async #stateOf(call: Call): Promise<GroupState> {
    const arn = arnOf(call.parameters, 'TargetGroup');
    const [group = {}] = await this.#groups.describe({ ...call, parameters: { TargetGroupArns: [arn] } });
    const attributes = await this.#groups.attributesOf(call, arn);
    return {
      group,
      inUse: stringsOf(group['LoadBalancerArns']).length > 0,
      deregistrationDelayMs: Number(attributes['deregistration_delay.timeout_seconds']) * 1_000,
    };
  }
}

async function nothing(work: Promise<void>): Promise<Branch> {
  await work;
  return {};
}
