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

/** Before the migration's name in a tag that is not yet a lock: whoever has no more than this has written nothing. */
const CLAIM = 'claim: ';

const ownTag = (key: string): string => `${LOCK_PREFIX}${key}`;
const isLock = ({ Key }: Tag): boolean => Key?.startsWith(LOCK_PREFIX) === true;

/** `ours`: this migration may have written. `theirs`: another has it, named by its tags. */
export type Holder = { kind: 'ours' | 'nobody' } | { kind: 'theirs'; tags: Tag[] };

/** A claim of ours counts for nothing, and one of another as theirs: it may be a lock in a moment. */
function holderIn(tags: Tag[], key: string): Holder {
  const own = tags.find(({ Key }) => Key === ownTag(key));
  if (own !== undefined && own.Value?.startsWith(CLAIM) !== true) return { kind: 'ours' };
  const others = tags.filter((tag) => isLock(tag) && tag !== own);
  return others.length > 0 ? { kind: 'theirs', tags: others } : { kind: 'nobody' };
}

export async function holderOf(clients: AwsClients, key: string, resource: string): Promise<Holder> {
  return holderIn(await tagsOf(clients, resource), key);
}

/**
 * There is no call that tags only if nobody has: each claims, then looks. Of two that claim at once, the later tag is there
 * when both look, so at least one sees the other, and each that sees another gives way: maybe both do, never do both stay. Only
 * then the claim becomes a lock, so that a worker that dies in between leaves nothing that an undo could take for one.
 */
export async function lock(clients: AwsClients, { migration, key }: TrafficMove, resource: string): Promise<void> {
  const tagAs = (Value: string) =>
    clients.elb.send(new AddTagsCommand({ ResourceArns: [resource], Tags: [{ Key: ownTag(key), Value }] }));
  const before = await holderOf(clients, key, resource);
  if (before.kind === 'ours') return;
  if (before.kind === 'theirs') return giveWay(clients, key, resource, before.tags);
  await tagAs(tagValue(`${CLAIM}${migration}`));
  const visible = (tags: Tag[]): boolean => tags.some(({ Key }) => Key === ownTag(key));
  const seen = await lookUntil(() => tagsOf(clients, resource), visible, PATIENCE.readBack);
  if (!visible(seen)) throw failure('AwsUnavailable', `the tag ${ownTag(key)} of ${resource} does not show yet`);
  await sleep(PATIENCE.secondLook, undefined, { signal: cancellation() });
  const after = await holderOf(clients, key, resource);
  if (after.kind === 'theirs') return giveWay(clients, key, resource, after.tags);
  await tagAs(tagValue(migration));
}

async function giveWay(clients: AwsClients, key: string, resource: string, tags: Tag[]): Promise<never> {
  await unlock(clients, key, resource);
  throw failure(
    'ScopeTaken',
    `${resource} is held by another migration: ${holdersText(tags)}`,
    'Wait for it or abort it; if it is no more, remove that tag: aws elbv2 remove-tags',
  );
}

/** Fine when it wasn't locked. */
export async function unlock({ elb }: AwsClients, key: string, resource: string): Promise<void> {
  await elb.send(new RemoveTagsCommand({ ResourceArns: [resource], TagKeys: [ownTag(key)] }));
}

export const holdersText = (tags: Tag[]): string =>
  tags.map(({ Key, Value }) => `${Value ?? 'unnamed'} (tag ${Key ?? ''})`).join(', ');

/** Of what AWS takes in values of tags, https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html, the most. */
export const tagValue = (text: string): string => text.replaceAll(/[^\p{L}\p{N} _.:/=+@-]/gu, '_').slice(0, 256);
