/** All activities, by the names of the contract: what workers register. */
import { trafficActivities } from './aws/traffic.js';
import type { Activities } from './contract.js';
import { judge } from './metrics/looking.js';
import { checkNamespace } from './namespace.js';
import { normalize, normalizeReconciliation } from './normalize.js';
import { assemblePlan } from './plan/assemble.js';
import { planDatabase } from './plan/database.js';
import { planTraffic } from './plan/traffic.js';
import { claim, undoClaim } from './postgres/authority.js';
import { copyRanges } from './postgres/copy/copier.js';
import { holdSnapshot } from './postgres/copy/holder.js';
import { finishSync, initialSync } from './postgres/copy/initial-sync.js';
import { acceptFailover } from './postgres/failover.js';
import { refreshViews } from './postgres/materialized-views.js';
import { checkReferences } from './postgres/references.js';
import { adoptShape } from './postgres/replication/drift.js';
import { adoptPartitions } from './postgres/replication/partitions.js';
import { giveUpSlot } from './postgres/replication/give-up.js';
import { settle, switchWrites, undoSwitch } from './postgres/cutover.js';
import { installFence, undoFence } from './postgres/fence.js';
import { finalizeDatabase } from './postgres/finalize.js';
import { catchUp } from './postgres/replication/catch-up.js';
import { observe } from './postgres/replication/observe.js';
import { createPublication, undoPublication } from './postgres/replication/publication.js';
import { undoInitialSync } from './postgres/replication/undo.js';
import { prepareSchema, undoSchema } from './postgres/schema/prepare.js';
import { validate } from './postgres/validation/validate.js';
import { preflightDatabase } from './preflight/preflight.js';
import { preflightWorkers } from './preflight/workers.js';
import { grantsDatabase } from './rights/grants.js';
import type { ReconciliationActivities } from './reconciliation-contract.js';
import { forgetReconciliation } from './reconciliation/forget.js';
import { reconcile } from './reconciliation/reconcile.js';
import { repair } from './reconciliation/repair.js';
import { checkRules } from './reconciliation/rules.js';
import { undoRepair } from './reconciliation/undo.js';
import type { TrafficActivities } from './traffic-contract.js';

export const activities = {
  ...trafficActivities,
  acceptFailover,
  adoptPartitions,
  adoptShape,
  assemblePlan,
  catchUp: (move) => catchUp(move),
  checkNamespace,
  checkReferences,
  checkRules,
  claim,
  copyRanges,
  createPublication,
  finalizeDatabase,
  finishSync,
  forgetReconciliation,
  giveUpSlot,
  grantsDatabase,
  holdSnapshot,
  initialSync,
  installFence,
  judge,
  normalize,
  normalizeReconciliation,
  observe,
  planDatabase,
  planTraffic,
  preflightDatabase,
  preflightWorkers,
  prepareSchema,
  reconcile,
  repair,
  refreshViews,
  settle,
  switchWrites,
  undoClaim,
  undoFence,
  undoInitialSync,
  undoPublication,
  undoRepair,
  undoSchema,
  undoSwitch,
  validate,
} satisfies Activities & TrafficActivities & ReconciliationActivities;
