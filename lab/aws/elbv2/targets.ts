/**
 * Registered targets, and how they are. moto knows a target by its address alone, so that two ports of one machine would
 * be one target to it, and calls everything healthy; here a target is an address and a port, and its health is what the
 * lab's edge sees.
 */
import { isIP } from 'node:net';
import { AwsError, invalid } from '../answer.js';
import { branchesOf, textOf, type Branch } from '../tree.js';

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetHealth.html */
export type TargetState =
  'initial' | 'healthy' | 'unhealthy' | 'unhealthy.draining' | 'unused' | 'draining' | 'unavailable';

/** What the edge answers of each target that it knows. */
export interface EdgeHealth {
  targetId: string;
  port: number;
  state: TargetState;
  /** "Target.ResponseCodeMismatch"; none when healthy. */
  reason?: string | null;
  description?: string | null;
}

interface Target {
  id: string;
  port: number;
  /** When it was deregistered; null: it is registered. */
  leftAt: number | null;
}

/** What decides how a target is, besides itself. */
export interface GroupState {
  group: Branch;
  inUse: boolean;
  deregistrationDelayMs: number;
}

const EDGE_TIMEOUT_MS = 2_000;

interface Health {
  State: TargetState;
  Reason?: string;
  Description?: string;
}

const NOT_IN_USE: Health = {
  State: 'unused',
  Reason: 'Target.NotInUse',
  Description: 'Target group is not configured to receive traffic from the load balancer',
};
const NOT_REGISTERED: Health = {
  State: 'unused',
  Reason: 'Target.NotRegistered',
  Description: 'Target is not registered to the target group',
};
const REGISTERING: Health = {
  State: 'initial',
  Reason: 'Elb.RegistrationInProgress',
  Description: 'Target registration is in progress',
};
const DRAINING: Health = {
  State: 'draining',
  Reason: 'Target.DeregistrationInProgress',
  Description: 'Target deregistration is in progress',
};
const EDGE_AWAY: Health = {
  State: 'unhealthy',
  Reason: 'Elb.InternalError',
  Description: 'Health checks failed due to an internal error',
};

const DESCRIPTIONS: Record<string, string> = {
  'Elb.InitialHealthChecking': 'Initial health checks in progress',
  'Elb.RegistrationInProgress': 'Target registration is in progress',
  'Target.Timeout': 'Request timed out',
  'Target.FailedHealthChecks': 'Health checks failed',
  'Target.ResponseCodeMismatch': 'Health checks failed with these codes',
  'Target.DeregistrationInProgress': 'Target deregistration is in progress',
};

export class Targets {
  readonly #groups = new Map<string, Map<string, Target>>();

  register(group: Branch, parameters: Branch, most: number): void {
    const added = targetsOf(group, parameters);
    const targets = this.#of(textOf(group['TargetGroupArn']) ?? '');
    const keys = new Set([...targets.keys(), ...added.map(keyOf)]);
    if (keys.size > most) throw new AwsError('TooManyTargets', 'You have reached the limit on the number of targets');
    for (const target of added) targets.set(keyOf(target), target);
  }

  /** One that isn't registered is no error: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeregisterTargets.html */
  deregister(group: Branch, parameters: Branch): void {
    const targets = this.#of(textOf(group['TargetGroupArn']) ?? '');
    const portGiven = new Set(branchesOf(parameters['Targets']).filter((one) => one['Port'] !== undefined));
    const named = branchesOf(parameters['Targets']);
    for (const target of targets.values()) {
      const meant = named.some(
        (one) => one['Id'] === target.id && (!portGiven.has(one) || Number(one['Port']) === target.port),
      );
      if (meant && target.leftAt === null) target.leftAt = Date.now();
    }
  }

  /** @param edge null: nobody to ask */
  async health(state: GroupState, parameters: Branch, edge: string | null): Promise<Branch[]> {
    const arn = textOf(state.group['TargetGroupArn']) ?? '';
    this.#forgetDrained(arn, state);
    const targets = this.#of(arn);
    const asked = branchesOf(parameters['Targets']).length === 0 ? null : targetsOf(state.group, parameters);
    const wanted = asked ?? [...targets.values()];
    const seen = edge === null || !state.inUse ? null : await askEdge(edge, arn);
    return wanted.map((one) => describe(one, state, healthOf(targets.get(keyOf(one)), state, seen)));
  }

  forget(arn: string): void {
    this.#groups.delete(arn);
  }

  reset(): void {
    this.#groups.clear();
  }

  #forgetDrained(arn: string, state: GroupState): void {
    const targets = this.#of(arn);
    for (const [key, target] of targets) {
      const gone =
        target.leftAt !== null && (!state.inUse || Date.now() >= target.leftAt + state.deregistrationDelayMs);
      if (gone) targets.delete(key);
    }
  }

  #of(arn: string): Map<string, Target> {
    const targets = this.#groups.get(arn) ?? new Map<string, Target>();
    this.#groups.set(arn, targets);
    return targets;
  }
}

const keyOf = (target: { id: string; port: number }): string => `${target.id} ${target.port}`;

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetDescription.html */
function targetsOf(group: Branch, parameters: Branch): Target[] {
  const named = branchesOf(parameters['Targets']);
  if (named.length === 0) throw invalid('At least one target must be specified');
  return named.map((target) => {
    const id = textOf(target['Id']) ?? '';
    const port = Number(target['Port'] ?? group['Port']);
    const address = group['TargetType'] === 'ip';
    if (address !== isIP(id) > 0) {
      throw new AwsError(
        'InvalidTarget',
        `The following targets are not valid for target type '${textOf(group['TargetType'])}': '${id}'`,
      );
    }
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw invalid(`Port '${port}' must be between 1 and 65535`);
    return { id, port, leftAt: null };
  });
}

type Seen = Map<string, Health> | 'away';

function healthOf(target: Target | undefined, state: GroupState, seen: Seen | null): Health {
  if (target === undefined) return NOT_REGISTERED;
  if (!state.inUse) return NOT_IN_USE;
  if (target.leftAt !== null) return DRAINING;
  if (seen === null) return REGISTERING;
  return seen === 'away' ? EDGE_AWAY : (seen.get(keyOf(target)) ?? REGISTERING);
}

function describe(target: Target, { group }: GroupState, health: Health): Branch {
  const checked = textOf(group['HealthCheckPort']) ?? 'traffic-port';
  return {
    Target: { Id: target.id, Port: String(target.port) },
    HealthCheckPort: checked === 'traffic-port' ? String(target.port) : checked,
    TargetHealth: { ...health },
  };
}

async function askEdge(edge: string, arn: string): Promise<Seen> {
  try {
    const url = new URL('/target-health', edge);
    url.searchParams.set('targetGroupArn', arn);
    const response = await fetch(url, { signal: AbortSignal.timeout(EDGE_TIMEOUT_MS) });
    if (!response.ok) return 'away';
    const known = (await response.json()) as EdgeHealth[];
    return new Map(known.map((one) => [keyOf({ id: one.targetId, port: one.port }), asHealth(one)]));
  } catch {
    return 'away';
  }
}

function asHealth({ state, reason, description }: EdgeHealth): Health {
  if (state === 'healthy' || !reason) return { State: state };
  const said = description ?? DESCRIPTIONS[reason];
  return { State: state, Reason: reason, ...(said === undefined ? {} : { Description: said }) };
}
