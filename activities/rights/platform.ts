/** What the providers of managed servers do in another way. */
import type { Platform } from '../../spec/grants.js';

export interface PlatformWays {
  /** Gives a role (quoted) the right to make slots and to stream. */
  replication(role: string): string;
  /** Before version 16, when Postgres itself lets superusers alone make subscriptions; null: there is no way. */
  subscriptionBefore16(role: string): string | null;
  /** Where `wal_level` is changed. */
  walLevel: string;
  /** Whether its administrator is a superuser, who may grant what belongs to superusers alone. */
  superusers: boolean;
}

export const WAYS: Record<Platform, PlatformWays> = {
  postgres: {
    replication: (role) => `ALTER ROLE ${role} REPLICATION`,
    subscriptionBefore16: () => null,
    walLevel: 'ALTER SYSTEM SET wal_level = logical, then restart the server',
    superusers: true,
  },
  rds: {
    replication: (role) => `GRANT rds_replication TO ${role}`,
    subscriptionBefore16: (role) => `GRANT rds_superuser TO ${role}`,
    walLevel: 'rds.logical_replication = 1 in a parameter group of the instance, then reboot it',
    superusers: false,
  },
  aurora: {
    replication: (role) => `GRANT rds_replication TO ${role}`,
    subscriptionBefore16: (role) => `GRANT rds_superuser TO ${role}`,
    walLevel: 'rds.logical_replication = 1 in a parameter group of the cluster, then reboot the writer',
    superusers: false,
  },
  cloudsql: {
    replication: (role) => `ALTER USER ${role} WITH REPLICATION`,
    subscriptionBefore16: (role) => `GRANT cloudsqlsuperuser TO ${role}`,
    walLevel: 'the flag cloudsql.logical_decoding = on; the instance restarts',
    superusers: false,
  },
};

/** Told by the roles and functions that only that platform has. */
export function platformOf(seen: { rds: boolean; aurora: boolean; cloudsql: boolean }): Platform {
  if (seen.aurora) return 'aurora';
  if (seen.rds) return 'rds';
  return seen.cloudsql ? 'cloudsql' : 'postgres';
}
