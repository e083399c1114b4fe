/** The targets of one group as they are now: who is there, who may be chosen, who is on the way out. */
import { chooseTarget, type Random } from './choose.js';
import type { TargetGroupConfiguration } from './configuration.js';
import { keyOf, Target, type Locate, type TargetHealth } from './target.js';

export class LiveTargetGroup {
  readonly #targets = new Map<string, Target>();
  readonly #draining = new Set<Target>();
  #turn = 0;

  constructor(
    public configuration: TargetGroupConfiguration,
    readonly locate: Locate,
    readonly secondMs: number,
  ) {}

  /** @param inUse a rule of some listener names it; only then are its targets asked for their health */
  update(configuration: TargetGroupConfiguration, inUse: boolean): void {
    this.configuration = configuration;
    const wanted = new Map(configuration.targets.map((address) => [keyOf(address), address]));
    for (const [key, target] of this.#targets) if (!wanted.has(key)) this.#drain(target);
    for (const [key, address] of wanted) {
      if (!this.#targets.has(key)) this.#targets.set(key, this.#newTarget(address));
    }
    for (const target of this.#targets.values()) target.watch(inUse ? configuration.healthCheck : null);
  }

  get health(): TargetHealth[] {
    const draining = [...this.#draining].filter(({ key }) => !this.#targets.has(key));
    return [...this.#targets.values(), ...draining].map((target) => target.health);
  }

  count(state: TargetHealth['state']): number {
    return this.health.filter((one) => one.state === state).length;
  }

  /**
   * Healthy ones; if there are none, all that are registered: ALB fails open. Null: none is registered.
   * @param stickTo key of the target that has this user; it counts while it may be chosen
   */
  choose(stickTo: string | null, random: Random): Target | null {
    const registered = [...this.#targets.values()];
    const healthy = registered.filter(({ state }) => state === 'healthy');
    const candidates = healthy.length > 0 ? healthy : registered;
    const kept = candidates.find(({ key }) => key === stickTo);
    if (kept) return kept;
    const slowStartMs = this.configuration.slowStart * this.secondMs;
    const choices = candidates.map((target) => ({
      target,
      outstanding: target.outstanding,
      warmth: target.warmth(slowStartMs),
    }));
    return chooseTarget(choices, this.configuration.algorithm, (this.#turn += 1), random)?.target ?? null;
  }

  /** Of a group that is gone: its targets have nothing to wait for. */
  close(): void {
    for (const target of [...this.#targets.values(), ...this.#draining]) target.close();
    this.#targets.clear();
  }

  #newTarget(address: TargetGroupConfiguration['targets'][number]): Target {
    return new Target(
      address,
      this.locate,
      this.secondMs,
      () => this.configuration.slowStart > 0 && this.count('healthy') > 0,
    );
  }

  #drain(target: Target): void {
    this.#targets.delete(target.key);
    // Nobody knew a target of an unused group, so nobody is waited for.
    if (target.state === 'unused') return target.close();
    this.#draining.add(target);
    void target.drain(this.configuration.deregistrationDelay * this.secondMs).then(() => this.#draining.delete(target));
  }
}
