/** From the document as written to the normal form: all checks, then defaults, milliseconds and bytes. */
import { checkMeaning, endpointName, findInlineSecrets, readGateId } from './checks.js';
import { normalBusinessRules } from './normalize-rules.js';
import { normalTraffic, stepGates } from './normalize-traffic.js';
import { DEFAULT_APPROVALS, GATED_STAGES, type GatedStage } from './approvals.js';
import { GATE_DEFAULTS, normalMetricGates, PROBATION_DEFAULTS } from './gates.js';
import { migrationJsonSchema } from './json-schema.js';
import { otherKind } from './kinds.js';
import { normalProviders, type NormalProvider } from './metrics.js';
import {
  DEFAULT_TASK_QUEUES,
  unitsOf,
  type CutoverWindow,
  type HostPort,
  type NormalDatabase,
  type NormalEndpoint,
  type NormalGate,
  type NormalMigration,
  type ReplicationPath,
  type TaskQueues,
} from './normal.js';
import { pathText, schemaProblems, type SpecProblem } from './problems.js';
import { Gate, KIND, Migration, type ParsedDatabase, type ParsedEndpoint, type ParsedMigration } from './schema.js';
import { unitRef, unitRefs, type UnitRef } from './units.js';
import { makeWindow } from './window.js';

export type NormalizeResult = { ok: true; normal: NormalMigration } | { ok: false; problems: SpecProblem[] };

/** Pure. Finds every problem that it can, not only the first. */
export function normalizeMigration(document: unknown): NormalizeResult {
  const other = otherKind(document, KIND);
  if (other !== null) return { ok: false, problems: [other] };
  const answer = Migration.safeParse(document);
  const problems = answer.success
    ? checkMeaning(answer.data)
    : schemaProblems(answer.error.issues, document, migrationJsonSchema());
  const known = new Set(problems.map(({ path }) => pathText(path)));
  const secrets = findInlineSecrets(document).filter(({ path }) => {
    // `url: {env: postgres://…}` is reported once, wherever in the reference.
    return !known.has(pathText(path)) && !known.has(pathText(path.slice(0, -1)));
  });
  if (answer.success && problems.length + secrets.length === 0) return { ok: true, normal: toNormal(answer.data) };
  return { ok: false, problems: [...problems, ...secrets] };
}

function toNormal(migration: ParsedMigration): NormalMigration {
  const providers = normalProviders(migration.spec.metrics);
  const databases = Object.entries(migration.spec.databases).map(([name, database]) =>
    normalDatabase(name, database, providers),
  );
  const traffic = Object.entries(migration.spec.traffic).map(([name, one]) => normalTraffic(name, one, providers));
  const units = unitsOf({ databases, traffic }).map(({ unit }) => unit);
  return {
    version: 1,
    name: migration.metadata.name,
    databases,
    ...(traffic.length === 0 ? {} : { traffic }),
    ...(providers.length === 0 ? {} : { metrics: providers }),
    gates: [...normalGates(migration.spec.gates, units), ...traffic.flatMap(stepGates)],
    rollback: migration.spec.rollback,
  };
}

/** A stage's gate is left out where every unit has its own, since nothing would ever wait for it. */
function normalGates(gates: ParsedMigration['spec']['gates'], units: readonly UnitRef[]): NormalGate[] {
  const written = Object.entries(gates).flatMap(([id, gate]): NormalGate[] => {
    const place = readGateId(id, units);
    return place === null || gate === undefined ? [] : [{ id, ...place, ...gate }];
  });
  return GATED_STAGES.flatMap((stage) => {
    const own = written.filter((gate) => gate.stage === stage && gate.unit !== null);
    const whole = written.find((gate) => gate.id === stage) ?? defaultGate(stage);
    return own.length === units.length ? own : [whole, ...own];
  });
}

function defaultGate(stage: GatedStage): NormalGate {
  return { id: stage, stage, unit: null, ...Gate.parse({}), approvals: DEFAULT_APPROVALS[stage] };
}

function normalDatabase(name: string, database: ParsedDatabase, providers: readonly NormalProvider[]): NormalDatabase {
  const { source, target, dependsOn, endpoints, taskQueue, ...same } = database;
  return {
    name,
    unit: unitRef('database', name),
    dependsOn: unitRefs(dependsOn),
    source: source.url,
    target: target.url,
    ...replicationPaths(source, target),
    tables: normalTables(same.tables),
    schema: same.schema,
    endpoints: endpoints.flatMap(normalEndpoint),
    copy: same.copy,
    cutover: normalCutover(database, providers),
    lookout: same.lookout,
    watch: normalWatch(same.watch, providers),
    validation: normalValidation(same.validation),
    taskQueues: taskQueue === undefined ? DEFAULT_TASK_QUEUES : queuesNamed(taskQueue),
  };
}

/** What is asked for unlogged tables is left out where nothing is, so that a plan from before one could ask stays the same. */
function normalTables({ unlogged, ...same }: ParsedDatabase['tables']): NormalDatabase['tables'] {
  return Object.keys(unlogged).length === 0 ? same : { ...same, unlogged };
}

function normalCutover(
  { cutover, watch }: ParsedDatabase,
  providers: readonly NormalProvider[],
): NormalDatabase['cutover'] {
  const { probation, window, ...same } = cutover;
  const normal = { ...same, window: window === undefined ? null : normalWindow(window) };
  if (probation === undefined) return normal;
  const gates = probation.gates.length === 0 ? watch.gates : probation.gates;
  return { ...normal, probation: { ...probation, gates: normalMetricGates(gates, providers, PROBATION_DEFAULTS) } };
}

/** Gates are left out where there are none, so that a plan from before there were any stays the same. */
function normalWatch(
  { gates, ...same }: ParsedDatabase['watch'],
  providers: readonly NormalProvider[],
): NormalDatabase['watch'] {
  if (gates.length === 0) return same;
  return { ...same, gates: normalMetricGates(gates, providers, { ...GATE_DEFAULTS, onFailure: same.onFailure }) };
}

/** Rules are left out where there are none, so that a plan from before there were any stays the same. */
function normalValidation({
  rules,
  ruleTimeout,
  ignoreRules,
  ...same
}: ParsedDatabase['validation']): NormalDatabase['validation'] {
  if (rules.length === 0) return same;
  return { ...same, rules: normalBusinessRules(rules), ruleTimeout, ignoreRules };
}

/** `checkMeaning` has seen to it that there is exactly one kind. */
function normalEndpoint(written: ParsedEndpoint, index: number): NormalEndpoint[] {
  const { pgbouncer, multiHost, hook, none } = written;
  const name = endpointName(written, index);
  if (pgbouncer !== undefined) {
    const { admin, database, configFile, hosts } = pgbouncer;
    return [{ kind: 'pgbouncer', name, admin, database, configFile, hosts: bothSides(hosts) }];
  }
  if (multiHost !== undefined) {
    const { roles = null, applications = null } = multiHost;
    return [{ kind: 'multiHost', name, roles, applications }];
  }
  if (hook !== undefined) {
    const { url, token = null, check, pause, resume, timeout, hosts } = hook;
    const hold = pause === undefined || resume === undefined ? null : { pause, resume };
    const asked = { url: check.url ?? url, status: check.status ?? null };
    return [{ kind: 'hook', name, url, token, check: asked, hold, timeout, hosts: bothSides(hosts) }];
  }
  return none === undefined ? [] : [{ kind: 'none', name }];
}

function bothSides(hosts: { source?: HostPort | undefined; target?: HostPort | undefined }) {
  return { source: hosts.source ?? null, target: hosts.target ?? null };
}

/** Left out where nothing is said, so that a plan from before this could be said stays the same. */
function replicationPaths(
  source: ParsedDatabase['source'],
  target: ParsedDatabase['target'],
): Pick<NormalDatabase, 'replication'> {
  if (Object.keys({ ...source.replication, ...target.replication }).length === 0) return {};
  const path = ({ replication }: ParsedDatabase['source']): ReplicationPath => {
    return { url: replication.url ?? null, passfile: replication.passfile ?? null };
  };
  return { replication: { source: path(source), target: path(target) } };
}

function normalWindow({ days, from, to }: NonNullable<ParsedDatabase['cutover']['window']>): CutoverWindow | null {
  const made = makeWindow(days, from, to);
  return made.ok ? made.value : null;
}

function queuesNamed(name: string): TaskQueues {
  return { light: name, bulk: `${name}-bulk`, snapshot: `${name}-snapshot`, switch: `${name}-switch` };
}
