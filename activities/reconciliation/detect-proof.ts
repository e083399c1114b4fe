/** Finds out how the standby follows the primary, where the specification leaves that open. */
import type { ReplicationProof } from '../../spec/reconciliation.js';
import { failure } from '../failure.js';
import { readAuthority } from '../postgres/authority.js';
import { scopeNames } from '../postgres/names.js';
import type { Session } from '../postgres/session.js';
import { markerProof, noProof, patienceProof, slotProof, type Ends, type Proof } from '../postgres/validation/proof.js';

/** Fails with `ReplicationBroken` where what is asked for isn't there, and `InvalidSpec` for a standby that can't be written to. */
export async function proofOf(asked: ReplicationProof, { primary, standby }: Ends): Promise<Proof> {
  switch (asked.kind) {
    case 'none':
      return noProof;
    case 'grace':
      return patienceProof(asked.for);
    case 'scope':
      if (!(await isFollowed(standby, asked.key, primary))) {
        throw failure(
          'ReplicationBroken',
          `the ${standby.side} has no subscription that runs for scope ${asked.key}`,
          'Compare once its migration replicates, or say in `replication` how the two sides are kept alike',
        );
      }
      return markerProof(asked.key);
    case 'subscription':
      return slotProof([await slotOf(standby, primary, asked.name)]);
    case 'auto':
      return (await byScope(primary, standby)) ?? (await bySubscriptions(primary, standby)) ?? noProof;
  }
}

/** A migration whose replication flows this way. */
async function byScope(primary: Session, standby: Session): Promise<Proof | null> {
  const known = await standby.row<{ known: boolean }>(`select to_regclass('godwit.authority') is not null as known`);
  if (!known?.known) return null;
  const scopes = await standby.rows<{ scope: string }>('select scope from godwit.authority order by 1');
  const proofs: Proof[] = [];
  for (const { scope } of scopes) {
    const here = await readAuthority(primary, scope);
    if (here === null || !(await isFollowed(standby, scope, primary))) continue;
    proofs.push(markerProof(scope));
  }
  const [only, ...more] = proofs;
  if (only === undefined || more.length === 0) return only ?? null;
  return {
    kind: 'fact',
    words: proofs.map(({ words }) => words).join(', '),
    caughtUp: async (ends, timeout, signal) => {
      for (const proof of proofs) if (!(await proof.caughtUp(ends, timeout, signal))) return false;
      return true;
    },
  };
}

/** Whether the standby's subscription to the scope is there, and enabled. */
async function isFollowed(standby: Session, scope: string, primary: Session): Promise<boolean> {
  const from = primary.side === 'target' ? 'target' : 'source';
  const name = scopeNames(scope).slot(from);
  const found = await standby.row(
    `select from pg_subscription where subname = $1 and subenabled
       and subdbid = (select oid from pg_database where datname = current_database())`,
    [name],
  );
  return found !== undefined;
}

interface Subscription extends Record<string, unknown> {
  name: string;
  slot: string;
  enabled: boolean;
}

async function subscriptionsOf(standby: Session): Promise<Subscription[]> {
  return standby.rows<Subscription>(
    `select subname as name, subslotname as slot, subenabled as enabled from pg_subscription
     where subslotname is not null and subdbid = (select oid from pg_database where datname = current_database())`,
  );
}

/** Of this database: a subscription from elsewhere has its slot on another server. */
async function slotsHere(primary: Session, names: string[]): Promise<string[]> {
  const found = await primary.rows<{ name: string }>(
    `select slot_name as name from pg_replication_slots where slot_name = any ($1::text[]) and database = current_database()`,
    [names],
  );
  return found.map(({ name }) => name);
}

async function slotOf(standby: Session, primary: Session, name: string): Promise<string> {
  const subscription = (await subscriptionsOf(standby)).find((one) => one.name === name);
  if (subscription === undefined || !subscription.enabled) {
    throw failure(
      'ReplicationBroken',
      `the ${standby.side} has no subscription ${name} that is enabled`,
      'Correct `replication.subscription`, or enable it: two sides can only be compared while one follows the other',
    );
  }
  const [slot] = await slotsHere(primary, [subscription.slot]);
  if (slot !== undefined) return slot;
  throw failure(
    'ReplicationBroken',
    `the slot ${subscription.slot} of subscription ${name} is not on the ${primary.side}`,
    'Name the subscription that follows this database',
  );
}

async function bySubscriptions(primary: Session, standby: Session): Promise<Proof | null> {
  const all = await subscriptionsOf(standby);
  const slots = await slotsHere(
    primary,
    all.map(({ slot }) => slot),
  );
  if (slots.length === 0) return null;
  const off = all.find((one) => slots.includes(one.slot) && !one.enabled);
  if (off === undefined) return slotProof(slots);
  throw failure(
    'ReplicationBroken',
    `subscription ${off.name} of the ${standby.side} is disabled`,
    'Enable it; or say `replication: none` to compare the two sides as they are',
  );
}
