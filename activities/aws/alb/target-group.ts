/** Settings and health of target groups. */
import {
  DescribeTargetGroupAttributesCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  ModifyTargetGroupAttributesCommand,
  ModifyTargetGroupCommand,
  type TargetGroup,
  type TargetHealthDescription,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { isDeepStrictEqual } from 'node:util';
import type { NormalAlb } from '../../../spec/normal-traffic.js';
import { failure } from '../../failure.js';
import type { AlbImage, GreenHealth, HealthCheck, TargetGroupSettings } from '../../traffic-contract.js';
import type { AwsClients } from '../clients.js';
import { groupName } from './actions.js';

/** What decides how a target group serves. Others, such as those of Lambda functions, are green's own. */
const ATTRIBUTES = [
  'deregistration_delay.timeout_seconds',
  'slow_start.duration_seconds',
  'stickiness.enabled',
  'stickiness.type',
  'stickiness.lb_cookie.duration_seconds',
  'stickiness.app_cookie.cookie_name',
  'stickiness.app_cookie.duration_seconds',
  'load_balancing.algorithm.type',
  'load_balancing.algorithm.anomaly_mitigation',
  'load_balancing.cross_zone.enabled',
] as const;

const HEALTH_CHECK = [
  'HealthCheckEnabled',
  'HealthCheckProtocol',
  'HealthCheckPort',
  'HealthCheckPath',
  'HealthCheckIntervalSeconds',
  'HealthCheckTimeoutSeconds',
  'HealthyThresholdCount',
  'UnhealthyThresholdCount',
  'Matcher',
] as const satisfies (keyof HealthCheck)[];

export async function readTargetGroup({ elb }: AwsClients, arn: string): Promise<TargetGroup> {
  const { TargetGroups = [] } = await elb.send(new DescribeTargetGroupsCommand({ TargetGroupArns: [arn] }));
  const [group] = TargetGroups;
  if (group === undefined) throw failure('InvalidSpec', `there is no target group ${arn}`);
  return group;
}

export async function attributesOf({ elb }: AwsClients, arn: string): Promise<Record<string, string>> {
  const { Attributes = [] } = await elb.send(new DescribeTargetGroupAttributesCommand({ TargetGroupArn: arn }));
  return Object.fromEntries(Attributes.map(({ Key = '', Value = '' }) => [Key, Value]));
}

async function settingsOf(clients: AwsClients, arn: string): Promise<TargetGroupSettings> {
  const [group, attributes] = await Promise.all([readTargetGroup(clients, arn), attributesOf(clients, arn)]);
  return {
    attributes: Object.fromEntries(ATTRIBUTES.flatMap((key) => entry(key, attributes[key]))),
    healthCheck: Object.fromEntries(HEALTH_CHECK.flatMap((key) => entry(key, group[key]))),
  };
}

const entry = <T>(key: string, value: T | undefined): [string, T][] => (value === undefined ? [] : [[key, value]]);

/** Those of green that are other than blue's, as they are and as they are to be; null: none. */
export async function differingSettings(clients: AwsClients, route: NormalAlb): Promise<AlbImage['settings']> {
  const [blue, green] = await Promise.all([settingsOf(clients, route.blue), settingsOf(clients, route.green)]);
  const attributes = differing(green.attributes, blue.attributes);
  const healthCheck = differing<unknown>({ ...green.healthCheck }, { ...blue.healthCheck });
  if (attributes.length === 0 && healthCheck.length === 0) return null;
  return {
    before: { attributes: only(green.attributes, attributes), healthCheck: only(green.healthCheck, healthCheck) },
    wanted: { attributes: only(blue.attributes, attributes), healthCheck: only(blue.healthCheck, healthCheck) },
  };
}

/** Keys that both have, with other values: one that a side lacks can't be set. */
function differing<T>(one: Record<string, T>, other: Record<string, T>): string[] {
  return Object.keys(other).filter((key) => key in one && !isDeepStrictEqual(one[key], other[key]));
}

function only<T extends object>(all: T, keys: string[]): T {
  return Object.fromEntries(Object.entries(all).filter(([key]) => keys.includes(key))) as T;
}

/** In words, one each; empty: none. */
export function describeSettings(settings: AlbImage['settings']): string[] {
  if (settings === null) return [];
  const { before, wanted } = settings;
  const lines = (from: object, to: object): string[] =>
    Object.entries(to).map(([key, value]) => {
      const found = new Map(Object.entries(from)).get(key) as unknown;
      return `${key}: green has ${text(found)}, blue has ${text(value)}`;
    });
  return [...lines(before.attributes, wanted.attributes), ...lines(before.healthCheck, wanted.healthCheck)];
}

const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** Makes green as blue is. */
export async function applySettings(clients: AwsClients, green: string, settings: TargetGroupSettings): Promise<void> {
  const { attributes, healthCheck } = settings;
  if (Object.keys(healthCheck).length > 0) {
    await clients.elb.send(new ModifyTargetGroupCommand({ TargetGroupArn: green, ...healthCheck }));
  }
  if (Object.keys(attributes).length > 0) {
    const Attributes = Object.entries(attributes).map(([Key, Value]) => ({ Key, Value }));
    await clients.elb.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn: green, Attributes }));
  }
}

/** Puts back what still is as it was made here; answers what somebody else has changed, in words. */
export async function restoreSettings(
  clients: AwsClients,
  green: string,
  { before, wanted }: NonNullable<AlbImage['settings']>,
): Promise<string[]> {
  const now = await settingsOf(clients, green);
  const attributes = differing(wanted.attributes, now.attributes);
  const healthCheck = differing<unknown>({ ...wanted.healthCheck }, { ...now.healthCheck });
  const foreign = [
    ...attributes.filter((key) => now.attributes[key] !== before.attributes[key]),
    ...healthCheck.filter((key) => differing<unknown>({ ...before.healthCheck }, { ...now.healthCheck }).includes(key)),
  ];
  const keep = (key: string): boolean => !attributes.includes(key) && !healthCheck.includes(key);
  await applySettings(clients, green, {
    attributes: only(before.attributes, Object.keys(before.attributes).filter(keep)),
    healthCheck: only(before.healthCheck, Object.keys(before.healthCheck).filter(keep)),
  });
  return foreign.map((key) => `somebody else changed ${key} of ${green}, and it stays so`);
}

/** One look. Targets that leave are not counted. */
export async function targetHealth({ elb }: AwsClients, arn: string): Promise<TargetHealthDescription[]> {
  const { TargetHealthDescriptions = [] } = await elb.send(new DescribeTargetHealthCommand({ TargetGroupArn: arn }));
  return TargetHealthDescriptions.filter(({ TargetHealth }) => TargetHealth?.State !== 'draining');
}

/** Without health checks, as Lambda functions have none by default, `unavailable` says nothing bad. */
export const isHealthy = ({ TargetHealth }: TargetHealthDescription): boolean =>
  TargetHealth?.State === 'healthy' || TargetHealth?.Reason === 'Target.HealthCheckDisabled';

/**
 * Green must be healthy as a whole. Blue, to which traffic goes back from something worse, must be so by half.
 * @param share of its targets that must be healthy, above 0 and at most 1
 */
export async function groupHealth(clients: AwsClients, arn: string, share: number): Promise<GreenHealth> {
  const targets = await targetHealth(clients, arn);
  const healthy = targets.filter(isHealthy);
  const others = targets.filter((one) => !isHealthy(one)).map(describeTarget);
  return {
    healthy: healthy.length > 0 && healthy.length >= share * targets.length,
    explanation: [
      `${healthy.length} of ${targets.length} targets of ${groupName(arn)} are healthy`,
      ...(others.length === 0 ? [] : [others.slice(0, 10).join(', ')]),
      ...(others.length > 10 ? [`and ${others.length - 10} more`] : []),
    ].join('; '),
  };
}

function describeTarget({ Target, TargetHealth }: TargetHealthDescription): string {
  const port = Target?.Port === undefined ? '' : `:${Target.Port}`;
  const reason = TargetHealth?.Reason === undefined ? '' : ` (${TargetHealth.Reason})`;
  return `${Target?.Id ?? 'a target'}${port} is ${TargetHealth?.State ?? 'unknown'}${reason}`;
}
