/** Tags of listeners and rules: who manages them, and which migration holds them. */
import {
  AddTagsCommand,
  DescribeTagsCommand,
  RemoveTagsCommand,
  type Tag,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { setTimeout as sleep } from 'node:timers/promises';
import { cancellation } from '../../activity-context.js';
import { failure } from '../../failure.js';
import type { TrafficMove } from '../../traffic-contract.js';
import type { AwsClients } from '../clients.js';
import { ownersIn } from '../owners.js';
import { lookUntil, PATIENCE } from '../patience.js';

/** A tag of this name and a migration's key locks a listener's default action, or a rule. Its value names the migration. */
export const LOCK_PREFIX = 'godwit.dev/lock/';

export async function tagsOf({ elb }: AwsClients, resource: string): Promise<Tag[]> {
  const { TagDescriptions = [] } = await elb.send(new DescribeTagsCommand({ ResourceArns: [resource] }));
  return TagDescriptions.flatMap(({ Tags = [] }) => Tags);
}

/** `; its tags name an owner: …`, or nothing. */
export async function ownersText(clients: AwsClients, resources: string[]): Promise<string> {
  const tags = await Promise.all(resources.map((resource) => tagsOf(clients, resource)));
  const owners = ownersIn(tags.flat());
  return owners.length === 0 ? '' : `. Tags name who may have done it: ${owners.join(', ')}`;
}

/** Locks of others than this migration. */
async function others(clients: AwsClients, resource: string, own: string): Promise<Tag[]> {
  const tags = await tagsOf(clients, resource);
  return tags.filter(({ Key }) => Key?.startsWith(LOCK_PREFIX) === true && Key !== own);
}

/**
 * There is no call that tags only if nobody has: each claims, then looks. Of two that claim at once, the later tag is there
 * when both look, so at least one sees the other, and each that sees another gives way: maybe both do, never do both stay.
 */
export async function lock(clients: AwsClients, { migration, key }: TrafficMove, resource: string): Promise<void> {
  const own = `${LOCK_PREFIX}${key}`;
  const before = await others(clients, resource, own);
  if (before.length > 0) throw taken(resource, before);
  await clients.elb.send(
    new AddTagsCommand({ ResourceArns: [resource], Tags: [{ Key: own, Value: tagValue(migration) }] }),
  );
  const visible = (tags: Tag[]): boolean => tags.some(({ Key }) => Key === own);
  const seen = await lookUntil(() => tagsOf(clients, resource), visible, PATIENCE.readBack);
  if (!visible(seen)) throw failure('AwsUnavailable', `the tag ${own} of ${resource} does not show yet`);
  await sleep(PATIENCE.secondLook, undefined, { signal: cancellation() });
  const after = await others(clients, resource, own);
  if (after.length === 0) return;
  await unlock(clients, key, resource);
  throw taken(resource, after);
}

/** Fine when it wasn't locked. */
export async function unlock({ elb }: AwsClients, key: string, resource: string): Promise<void> {
  await elb.send(new RemoveTagsCommand({ ResourceArns: [resource], TagKeys: [`${LOCK_PREFIX}${key}`] }));
}

function taken(resource: string, tags: Tag[]): Error {
  const who = tags.map(({ Key, Value }) => `${Value ?? 'unnamed'} (tag ${Key ?? ''})`).join(', ');
  return failure(
    'ScopeTaken',
    `${resource} is held by another migration: ${who}`,
    'Wait for it or abort it; if it is no more, remove that tag: aws elbv2 remove-tags',
  );
}

/** Of what AWS takes in values of tags, https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html, the most. */
export const tagValue = (text: string): string => text.replaceAll(/[^\p{L}\p{N} _.:/=+@-]/gu, '_').slice(0, 256);
