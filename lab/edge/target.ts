/**
 * One registered target: its health, found by real requests, and the requests that are at it now. A state here is what
 * DescribeTargetHealth tells, so an error here would send users to what isn't ready, or cut those who are being served.
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
 */
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { matches, type HealthCheck, type TargetAddress } from './configuration.js';

export interface TargetHealth {
  targetId: string;
  port: number;
  state: 'initial' | 'healthy' | 'unhealthy' | 'draining' | 'unused';
  /** As the API has it, such as `Target.ResponseCodeMismatch`; null when healthy. */
  reason: string | null;
  description: string | null;
}

/** Where on this machine a target is; null: nowhere, as an address without a host. */
export type Locate = (target: TargetAddress) => { host: string; port: number } | null;

/** A request, or an open WebSocket, that is at a target. */
export interface Flight {
  /** Ends it at once; its client gets a 502, or a cut connection. */
  cut: () => void;
}

type Standing = Pick<TargetHealth, 'state' | 'reason' | 'description'>;

type CheckResult = { ok: true } | { ok: false; reason: string; description: string };

const REGISTERING: Standing = {
  state: 'initial',
  reason: 'Elb.RegistrationInProgress',
  description: 'Target registration is in progress',
};
const CHECKING: Standing = {
  state: 'initial',
  reason: 'Elb.InitialHealthChecking',
  description: 'Initial health checks in progress',
};
const UNUSED: Standing = {
  state: 'unused',
  reason: 'Target.NotInUse',
  description: 'Target group is not configured to receive traffic from the load balancer',
};
const DRAINING: Standing = {
  state: 'draining',
  reason: 'Target.DeregistrationInProgress',
  description: 'Target deregistration is in progress',
};
const HEALTHY: Standing = { state: 'healthy', reason: null, description: null };

export class Target {
  /** Connections are kept, so that a request costs no handshake; each target has its own, so that draining can end them. */
  readonly agent = new Agent({ keepAlive: true });
  readonly #flights = new Set<Flight>();
  #standing: Standing = UNUSED;
  #check: HealthCheck | null = null;
  #timer: NodeJS.Timeout | null = null;
  #passed = 0;
  #failed = 0;
  #becameHealthyAt: number | null = null;
  #slowStarts = false;

  constructor(
    readonly address: TargetAddress,
    readonly locate: Locate,
    /** How long a second of the API lasts here. */
    readonly secondMs: number,
    /** Called when it becomes healthy: whether its slow start begins. */
    readonly startsSlowly: () => boolean,
  ) {}

  get key(): string {
    return keyOf(this.address);
  }

  get state(): TargetHealth['state'] {
    return this.#standing.state;
  }

  get outstanding(): number {
    return this.#flights.size;
  }

  get health(): TargetHealth {
    return { targetId: this.address.id, port: this.address.port, ...this.#standing };
  }

  /** 0 to 1: the share of a whole target's requests that it gets by now. */
  warmth(slowStartMs: number): number {
    if (!this.#slowStarts || this.#becameHealthyAt === null || slowStartMs === 0) return 1;
    return Math.min(1, (performance.now() - this.#becameHealthyAt) / slowStartMs);
  }

  /** @param check null: no listener uses its group, so nobody asks it */
  watch(check: HealthCheck | null): void {
    if (JSON.stringify(check) === JSON.stringify(this.#check)) return;
    const began = this.#check === null;
    this.#check = check;
    this.#stopChecks();
    if (check === null) {
      this.#standing = UNUSED;
      return;
    }
    if (began) this.#standing = REGISTERING;
    // An interval begins with a check: the time that a target takes to answer doesn't put the next one off.
    this.#timer = setInterval(() => void this.#ask(check), check.interval * this.secondMs);
    void this.#ask(check);
  }

  /** Remembers a request until the answer of this is called. */
  begin(flight: Flight): () => void {
    this.#flights.add(flight);
    return () => this.#flights.delete(flight);
  }

  /**
   * No new requests; those under way may end within the delay, and are cut then. Resolves when the delay is over: until then
   * a target is told as draining, even if nothing is left at it.
   */
  async drain(delayMs: number): Promise<void> {
    this.#stopChecks();
    this.#check = null;
    this.#standing = DRAINING;
    await new Promise<void>((resolve) => {
      this.#timer = setTimeout(resolve, delayMs);
      this.#end = resolve;
    });
    this.close();
  }

  close(): void {
    this.#stopChecks();
    this.#check = null;
    for (const flight of [...this.#flights]) flight.cut();
    this.agent.destroy();
    this.#end();
  }

  #end: () => void = () => undefined;

  #stopChecks(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #ask(check: HealthCheck): Promise<void> {
    const result = await askOnce(check, this.address, this.locate);
    // It may have been deregistered, or be asked otherwise, since.
    if (this.#check !== check) return;
    if (result.ok) this.#pass(check);
    else this.#fail(check, result);
  }

  #pass(check: HealthCheck): void {
    this.#passed += 1;
    this.#failed = 0;
    // A new target needs one success; one that failed before, as many as the threshold says.
    const needed = this.state === 'initial' ? 1 : check.healthyThreshold;
    if (this.state === 'healthy' || this.#passed < needed) return;
    this.#slowStarts = this.startsSlowly();
    this.#becameHealthyAt = performance.now();
    this.#standing = HEALTHY;
  }

  #fail(check: HealthCheck, { reason, description }: { reason: string; description: string }): void {
    this.#failed += 1;
    this.#passed = 0;
    if (this.#failed >= check.unhealthyThreshold) this.#standing = { state: 'unhealthy', reason, description };
    else if (this.state === 'initial') this.#standing = CHECKING;
  }
}

export const keyOf = ({ id, port }: TargetAddress): string => `${id}:${port}`;

const TIMED_OUT: CheckResult = { ok: false, reason: 'Target.Timeout', description: 'Request timed out' };

/** On a connection of its own, which is closed afterwards. */
async function askOnce(check: HealthCheck, address: TargetAddress, locate: Locate): Promise<CheckResult> {
  const port = check.port === 'traffic-port' ? address.port : check.port;
  const place = locate({ id: address.id, port });
  if (place === null) {
    // Packets to an address that no host has are never answered.
    await sleep(check.timeoutMs, undefined, { ref: false });
    return TIMED_OUT;
  }
  return new Promise((resolve) => {
    const asked = request({
      ...place,
      path: check.path,
      agent: false,
      headers: { 'user-agent': 'ELB-HealthChecker/2.0', host: `${address.id}:${port}`, connection: 'close' },
    });
    const late = setTimeout(() => {
      asked.destroy();
      done(TIMED_OUT);
    }, check.timeoutMs);
    const done = (result: CheckResult): void => {
      clearTimeout(late);
      resolve(result);
    };
    asked.on('response', (response) => {
      response.resume();
      const status = response.statusCode ?? 0;
      const description = `Health checks failed with these codes: [${status}]`;
      done(matches(check.matcher, status) ? { ok: true } : { ok: false, reason: MISMATCH, description });
    });
    asked.on('error', () => done({ ok: false, reason: REFUSED, description: 'Health checks failed' }));
    asked.end();
  });
}

const MISMATCH = 'Target.ResponseCodeMismatch';
const REFUSED = 'Target.FailedHealthChecks';
