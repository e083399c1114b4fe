/** Listeners and their certificates: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ModifyListener.html */
import { AwsError, invalid } from '../answer.js';
import type { Call } from '../call.js';
import type { Quotas } from '../settings.js';
import { branchesOf, stringsOf, textOf, type Branch } from '../tree.js';
import type { Scope } from '../upstream.js';
import { checkedActions, within, type Surroundings } from './actions.js';
import { arnOf, loadBalancerOfListener, type Inventory } from './inventory.js';

/** Whether a certificate may be given to a listener: only ACM knows. Throws if not. */
export type CheckCertificate = (scope: Scope, arn: string) => Promise<void>;

export class Listeners {
  /** Certificates for SNI, besides the default one, of each listener. moto mixes them up with it. */
  readonly #extra = new Map<string, string[]>();

  constructor(
    readonly inventory: Inventory,
    readonly checkCertificate: CheckCertificate,
    readonly quotas: () => Quotas,
  ) {}

  async describe(call: Call): Promise<Branch[]> {
    const loadBalancer = textOf(call.parameters['LoadBalancerArn']);
    const arns = stringsOf(call.parameters['ListenerArns']);
    if ((loadBalancer === undefined) === (arns.length === 0)) {
      throw invalid('You must specify either listener ARNs or a load balancer ARN');
    }
    const listeners = await this.inventory.listeners(call);
    if (loadBalancer !== undefined) {
      await this.#loadBalancer(call, loadBalancer);
      return listeners.filter((one) => one['LoadBalancerArn'] === loadBalancer);
    }
    return arns.map((arn) => this.#found(listeners, arn));
  }

  async create(call: Call): Promise<Branch> {
    const { parameters } = call;
    const loadBalancer = await this.#loadBalancer(call, textOf(parameters['LoadBalancerArn']) ?? '');
    const arn = arnOf(loadBalancer, 'LoadBalancer');
    if (!within(parameters['Port'], { from: 1, to: 65_535 })) throw invalid('A listener port must be specified');
    const protocol = textOf(parameters['Protocol']) ?? '';
    this.#checkProtocol(protocol);
    await this.#checkCertificates(call, protocol, branchesOf(parameters['Certificates']), true);
    const around = await this.#surroundings(call, loadBalancer, protocol);
    const actions = checkedActions(parameters['DefaultActions'], around);
    const others = await this.inventory.listenersOf(call, arn);
    const samePort = others.find((one) => one['Port'] === parameters['Port']);
    if (samePort !== undefined) return this.#again(samePort, { ...parameters, DefaultActions: actions });
    const most = this.quotas().listenersOfLoadBalancer;
    if (others.length >= most) throw new AwsError('TooManyListeners', `A load balancer has at most ${most} listeners`);
    const made = await this.inventory.write(call, 'CreateListener', { ...parameters, DefaultActions: actions });
    return this.#reread(call, arnOf(branchesOf(made['Listeners'])[0] ?? {}, 'Listener'));
  }

  /** What is given replaces what was: the whole list of actions, the whole list of certificates. */
  async modify(call: Call): Promise<Branch> {
    const { parameters } = call;
    const listener = this.#found(await this.inventory.listeners(call), textOf(parameters['ListenerArn']) ?? '');
    const loadBalancerArn = textOf(listener['LoadBalancerArn']) ?? '';
    const loadBalancer = await this.#loadBalancer(call, loadBalancerArn);
    const protocol = textOf(parameters['Protocol']) ?? textOf(listener['Protocol']) ?? '';
    this.#checkProtocol(protocol);
    const certificates = branchesOf(parameters['Certificates']);
    const needed = protocol === 'HTTPS' && branchesOf(listener['Certificates']).length === 0;
    await this.#checkCertificates(call, protocol, certificates, needed);
    const port = textOf(parameters['Port']);
    if (port !== undefined) {
      if (!within(port, { from: 1, to: 65_535 })) throw invalid('A listener port must be between 1 and 65535');
      const others = await this.inventory.listenersOf(call, loadBalancerArn);
      const taken = others.some((one) => one['Port'] === port && one['ListenerArn'] !== listener['ListenerArn']);
      if (taken) throw duplicate(loadBalancerArn);
    }
    const actions =
      parameters['DefaultActions'] === undefined
        ? undefined
        : checkedActions(parameters['DefaultActions'], await this.#surroundings(call, loadBalancer, protocol));
    await this.inventory.write(call, 'ModifyListener', { ...parameters, DefaultActions: actions });
    return this.#reread(call, arnOf(listener, 'Listener'));
  }

  async delete(call: Call): Promise<void> {
    const listener = this.#found(await this.inventory.listeners(call), textOf(call.parameters['ListenerArn']) ?? '');
    await this.inventory.write(call, 'DeleteListener', { ListenerArn: listener['ListenerArn'] });
    this.#extra.delete(arnOf(listener, 'Listener'));
  }

  /** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeListenerCertificates.html */
  async certificates(call: Call): Promise<Branch[]> {
    const listener = await this.#https(call);
    const given = branchesOf(listener['Certificates']).map((one): Branch => ({ ...one, IsDefault: 'true' }));
    const extra = this.#extra.get(arnOf(listener, 'Listener')) ?? [];
    return [...given, ...extra.map((CertificateArn): Branch => ({ CertificateArn, IsDefault: 'false' }))];
  }

  /** One that is there already stays as it is: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_AddListenerCertificates.html */
  async addCertificates(call: Call): Promise<Branch[]> {
    const listener = await this.#https(call);
    const added = oneCertificateOf(call.parameters);
    await this.checkCertificate(call, added);
    const arns = [...new Set([...(this.#extra.get(arnOf(listener, 'Listener')) ?? []), added])];
    const others = (await this.inventory.listenersOf(call, textOf(listener['LoadBalancerArn']) ?? '')).filter(
      (one) => one['ListenerArn'] !== listener['ListenerArn'],
    );
    const elsewhere = others.flatMap((one) => this.#extra.get(arnOf(one, 'Listener')) ?? []);
    if (arns.length + elsewhere.length > this.quotas().certificatesOfLoadBalancer)
      throw new AwsError(
        'TooManyCertificates',
        'You have reached the limit on the number of certificates per load balancer',
      );
    this.#extra.set(arnOf(listener, 'Listener'), arns);
    return arns.map((CertificateArn): Branch => ({ CertificateArn, IsDefault: 'false' }));
  }

  async removeCertificates(call: Call): Promise<void> {
    const listener = await this.#https(call);
    const removed = oneCertificateOf(call.parameters);
    if (branchesOf(listener['Certificates']).some((one) => one['CertificateArn'] === removed)) {
      throw new AwsError('OperationNotPermitted', 'Default certificates cannot be removed from a listener');
    }
    const kept = (this.#extra.get(arnOf(listener, 'Listener')) ?? []).filter((arn) => arn !== removed);
    this.#extra.set(arnOf(listener, 'Listener'), kept);
  }

  /** Load balancers with a listener that has this certificate. */
  async usersOf(scope: Scope, certificate: string): Promise<string[]> {
    const users = (await this.inventory.listeners(scope)).filter(
      (one) =>
        branchesOf(one['Certificates']).some((own) => own['CertificateArn'] === certificate) ||
        this.#extra.get(arnOf(one, 'Listener'))?.includes(certificate) === true,
    );
    return [...new Set(users.map((one) => loadBalancerOfListener(arnOf(one, 'Listener'))))];
  }

  async surroundingsOf(scope: Scope, listenerArn: string): Promise<Surroundings> {
    const listener = this.#found(await this.inventory.listeners(scope), listenerArn);
    const loadBalancer = await this.#loadBalancer(scope, textOf(listener['LoadBalancerArn']) ?? '');
    return this.#surroundings(scope, loadBalancer, textOf(listener['Protocol']) ?? '');
  }

  reset(): void {
    this.#extra.clear();
  }

  async #surroundings(scope: Scope, loadBalancer: Branch, protocol: string): Promise<Surroundings> {
    const targetGroups = await this.inventory.targetGroups(scope);
    const use = await this.inventory.use(scope);
    return { loadBalancer, protocol, targetGroups, use, quotas: this.quotas() };
  }

  /** Idempotent: the same once more is answered with what is there. */
  #again(there: Branch, wanted: Branch): Branch {
    const sort = (actions: Branch[]): string => JSON.stringify(actions.map(comparable));
    const same =
      there['Protocol'] === wanted['Protocol'] &&
      sort(branchesOf(there['DefaultActions'])) === sort(branchesOf(wanted['DefaultActions']));
    if (!same) throw duplicate(textOf(there['LoadBalancerArn']) ?? '');
    return there;
  }

  async #loadBalancer(scope: Scope, arn: string): Promise<Branch> {
    const found = (await this.inventory.loadBalancers(scope)).find((one) => arnOf(one, 'LoadBalancer') === arn);
    if (found === undefined) throw new AwsError('LoadBalancerNotFound', `Load balancers '[${arn}]' not found`);
    return found;
  }

  #found(listeners: Branch[], arn: string): Branch {
    const found = listeners.find((one) => arnOf(one, 'Listener') === arn);
    if (found === undefined) throw new AwsError('ListenerNotFound', 'One or more listeners not found');
    return found;
  }

  async #reread(scope: Scope, arn: string): Promise<Branch> {
    return this.#found(await this.inventory.listeners(scope), arn);
  }

  async #https(call: Call): Promise<Branch> {
    const listener = this.#found(await this.inventory.listeners(call), textOf(call.parameters['ListenerArn']) ?? '');
    if (listener['Protocol'] === 'HTTPS') return listener;
    throw invalid('Certificates can be specified only for HTTPS and TLS listeners');
  }

  #checkProtocol(protocol: string): void {
    if (['HTTP', 'HTTPS'].includes(protocol)) return;
    const message = `Protocol '${protocol}' is not supported by Application Load Balancers`;
    throw new AwsError('UnsupportedProtocol', message);
  }

  async #checkCertificates(scope: Scope, protocol: string, certificates: Branch[], needed: boolean): Promise<void> {
    if (protocol !== 'HTTPS' && certificates.length > 0) {
      throw invalid('Certificates cannot be specified for HTTP listeners');
    }
    if (protocol !== 'HTTPS') return;
    if (needed && certificates.length === 0) throw invalid('A certificate must be specified for HTTPS listeners');
    if (certificates.length > 1) throw invalid('Only one certificate can be specified as the default');
    for (const one of certificates) await this.checkCertificate(scope, textOf(one['CertificateArn']) ?? '');
  }
}

const duplicate = (loadBalancer: string): AwsError =>
  new AwsError('DuplicateListener', `A listener already exists on this port for this load balancer '${loadBalancer}'`);

/** "You can specify one certificate per call. Set CertificateArn to the certificate ARN but do not set IsDefault." */
function oneCertificateOf(parameters: Branch): string {
  const [certificate = {}, ...more] = branchesOf(parameters['Certificates']);
  const arn = textOf(certificate['CertificateArn']);
  if (arn === undefined || more.length > 0) throw invalid('You must specify exactly one certificate');
  if (certificate['IsDefault'] !== undefined) throw invalid('IsDefault cannot be specified');
  return arn;
}

/** Keys in one order, for comparison. */
function comparable(action: Branch): unknown {
  return JSON.parse(
    JSON.stringify(action, (_key, value: unknown) =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => one.localeCompare(other)))
        : value,
    ),
  );
}
