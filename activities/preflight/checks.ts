/** The registry: every check, in the order in which they run; docs/preflight.md is made from it. */
import { ACCESS_RULES, ALB_RULES, CERTIFICATE_RULES, RECORD_RULES } from '../aws/preflight/rules.js';
import { capacity, lockRoom } from './capacity.js';
import type { Check, Rule } from './check.js';
import { clients } from './clients.js';
import { CONNECTION_RULES } from './connections.js';
import { extensions } from './extensions.js';
import { hooks } from './hooks.js';
import { identity } from './identity.js';
import { foreignKeys, numbers } from './keys.js';
import { links } from './links.js';
import { multiHostScope, multiHostSettings } from './multi-host.js';
import { foreignServers, scheduledJobs } from './neighbourhood.js';
import { neighbours, otherScopes } from './neighbours.js';
import { ownRules } from './own-rules.js';
import { filteredParents, partOfDatabase, rowFilters } from './partial.js';
import { passwords } from './passwords.js';
import { pgbouncerEntries, pgbouncerSettings } from './pgbouncer-console.js';
import { pgbouncerFile } from './pgbouncer-file.js';
import { columns, inheritance, otherRelations } from './relations.js';
import { privileges, rightsToCopySchema, roles, rowSecurity } from './roles.js';
import { network, size } from './room.js';
import { schemaCopy } from './schema-copy.js';
import { superuserObjects } from './superuser-objects.js';
import { server, serverPair } from './servers.js';
import { settings } from './settings.js';
import { standbys } from './standbys.js';
import { detailDifferences, schemaDifferences, targetContents } from './target.js';
import { maintenance, preparedTransactions, transactions } from './transactions.js';
import { eventTriggers, swallowedExceptions, triggers } from './triggers.js';
import { carriedUnlogged } from './unlogged.js';
import { materializedViews } from './views.js';
import { WORKER_RULES } from './workers.js';

export const CHECKS: Check[] = [
  server,
  serverPair,
  standbys,
  settings,
  capacity,
  lockRoom,
  privileges,
  rightsToCopySchema,
  superuserObjects,
  roles,
  rowSecurity,
  identity,
  otherRelations,
  carriedUnlogged,
  materializedViews,
  columns,
  inheritance,
  rowFilters,
  filteredParents,
  partOfDatabase,
  foreignKeys,
  numbers,
  triggers,
  eventTriggers,
  swallowedExceptions,
  extensions,
  neighbours,
  otherScopes,
  scheduledJobs,
  foreignServers,
  transactions,
  preparedTransactions,
  maintenance,
  schemaCopy,
  targetContents,
  schemaDifferences,
  detailDifferences,
  ownRules,
  size,
  network,
  links,
  passwords,
  pgbouncerSettings,
  pgbouncerEntries,
  pgbouncerFile,
  multiHostSettings,
  multiHostScope,
  hooks,
  clients,
];

/** All rules by topic, with those that belong to no check on a database: connections come before all, workers beside; traffic has checks of its own. */
export const TOPICS: { topic: string; rules: Record<string, Rule> }[] = [
  { topic: 'Connections', rules: CONNECTION_RULES },
  ...CHECKS.map(({ topic, rules }) => ({ topic, rules })),
  { topic: 'Workers', rules: WORKER_RULES },
  { topic: 'Access to AWS', rules: ACCESS_RULES },
  { topic: 'Traffic of a load balancer', rules: ALB_RULES },
  { topic: 'Certificates of a listener', rules: CERTIFICATE_RULES },
  { topic: 'Traffic of records', rules: RECORD_RULES },
];
