/** What no schema can say: names that must exist, an order that must not go round, two ends that must differ. */
import { GATED_STAGES, type GatedStage } from './approvals.js';
import { checkMetricGates } from './gates.js';
import { findCycle, type GraphNode } from './graph.js';
import type { PathSegment } from './json-schema.js';
import { checkMetrics, normalProviders, type NormalProvider } from './metrics.js';
import type { SecretReference } from './normal.js';
import { checkBusinessRules } from './normalize-rules.js';
import { when, type SpecProblem } from './problems.js';
import { INLINE_SECRET, looksLikeSecret } from './secret-reference.js';
import {
  ENDPOINT_KIND_NAMES,
  type EndpointKind,
  type ParsedDatabase,
  type ParsedEndpoint,
  type ParsedMigration,
} from './schema.js';
import { didYouMean, nearest, oneOf } from './spelling.js';
import { checkOverlap, checkTraffic } from './check-traffic.js';
import { parseUnitRef, STAGES, unitRef, type UnitRef, type UnitType } from './units.js';
import { makeWindow } from './window.js';

export function checkMeaning(migration: ParsedMigration): SpecProblem[] {
  const { databases, traffic, gates } = migration.spec;
  const nodes: Node[] = [
    ...Object.entries(databases).map(([name, { dependsOn }]) => node('database', name, dependsOn)),
    ...Object.entries(traffic).map(([name, { dependsOn }]) => node('traffic', name, dependsOn)),
  ];
  const units = nodes.map(({ unit }) => unit);
  const dependencies = nodes.flatMap((one) => checkDependsOn(one, units));
  const providers = normalProviders(migration.spec.metrics);
  return [
    ...checkMetrics(migration.spec.metrics),
    ...Object.entries(databases).flatMap(([name, one]) => [
      ...checkDatabase(['spec', 'databases', name], one),
      ...checkJudged(['spec', 'databases', name], one, providers),
    ]),
    ...Object.entries(traffic).flatMap(([name, one]) => checkTraffic(['spec', 'traffic', name], one, providers)),
    ...checkOverlap(traffic),
    ...dependencies,
    ...(dependencies.length === 0 ? checkOrder(nodes) : []),
    ...checkGates(Object.keys(gates), units),
  ];
}

/** A unit with where it stands in the document. */
interface Node extends GraphNode<string> {
  unit: UnitRef;
  path: PathSegment[];
}

function node(type: UnitType, name: string, dependsOn: string[]): Node {
  return { unit: unitRef(type, name), dependsOn, path: ['spec', type === 'database' ? 'databases' : type, name] };
}

/** Secrets anywhere in the document, whatever the field; the message never repeats one. */
export function findInlineSecrets(value: unknown, path: PathSegment[] = []): SpecProblem[] {
  if (typeof value === 'string')
    return looksLikeSecret(value) ? [{ path, about: 'value', message: INLINE_SECRET }] : [];
  if (Array.isArray(value)) return value.flatMap((entry, index) => findInlineSecrets(entry, [...path, index]));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, entry]) => findInlineSecrets(entry, [...path, name]));
}

function checkDatabase(path: PathSegment[], database: ParsedDatabase): SpecProblem[] {
  const problems: SpecProblem[] = [];
  if (sameReference(database.source.url, database.target.url)) {
    problems.push({
      path: [...path, 'target', 'url'],
      about: 'value',
      message: 'expected another database than the source, found the same reference; name where the tables move to',
    });
  }
  const window = database.cutover.window;
  if (window !== undefined) {
    const made = makeWindow(window.days, window.from, window.to);
    if (!made.ok) problems.push({ path: [...path, 'cutover', 'window'], about: 'value', message: made.error });
  }
  return [...problems, ...checkEndpoints(path, database), ...checkRules([...path, 'validation'], database.validation)];
}

/** The specification travels with each step of a migration; with more than this, its history would be mostly SQL. */
const SQL_IN_ALL = 64 * 1024;

function checkRules(path: PathSegment[], { rules, ignoreRules }: ParsedDatabase['validation']): SpecProblem[] {
  const names = rules.map(({ name }) => name);
  return [
    ...checkBusinessRules([...path, 'rules'], rules),
    ...when(
      JSON.stringify(rules).length > SQL_IN_ALL,
      [...path, 'rules'],
      `expected at most ${SQL_IN_ALL / 1024} KiB of rules in all; make views of what is longer, and ask those`,
    ),
    ...ignoreRules.flatMap((name, index) =>
      when(
        !names.includes(name),
        [...path, 'ignoreRules', index],
        `no such rule in this database${didYouMean(name, names)}`,
      ),
    ),
  ];
}

/** What metrics decide about a database. */
function checkJudged(
  path: PathSegment[],
  { cutover: { probation }, watch }: ParsedDatabase,
  providers: readonly NormalProvider[],
): SpecProblem[] {
  const problems = [
    ...checkMetricGates(watch.gates, { path: [...path, 'watch', 'gates'], providers, blue: false }),
    ...checkMetricGates(probation?.gates ?? [], {
      path: [...path, 'cutover', 'probation', 'gates'],
      providers,
      blue: false,
    }),
  ];
  if (probation === undefined || probation.gates.length + watch.gates.length > 0) return problems;
  const message =
    'expected gates, here or in watch, by which the switch is judged; such as gates: [{ errorRatio: {} }]';
  return [...problems, { path: [...path, 'cutover', 'probation'], about: 'value', message }];
}

function checkEndpoints(path: PathSegment[], { endpoints }: ParsedDatabase): SpecProblem[] {
  const names = endpoints.map(endpointName);
  return endpoints.flatMap((endpoint, index): SpecProblem[] => {
    const here: PathSegment[] = [...path, 'endpoints', index];
    const [kind, ...others] = kindsOf(endpoint);
    if (kind === undefined || others.length > 0) {
      const found = kind === undefined ? 'none' : [kind, ...others].join(' and ');
      const message = `expected one kind of endpoint, ${oneOf(ENDPOINT_KIND_NAMES)}, found ${found}; write each as an entry of the list`;
      return [{ path: here, about: 'value', message }];
    }
    const problems = checkEndpoint([...here, kind], endpoint, endpoints.slice(0, index));
    if (problems.length > 0 || names.indexOf(names[index] ?? '') === index) return problems;
    const message = `expected a name of its own, found ${names[index]} twice`;
    return [{ path: [...here, kind, 'name'], about: 'value', message }];
  });
}

function checkEndpoint(here: PathSegment[], endpoint: ParsedEndpoint, before: ParsedEndpoint[]): SpecProblem[] {
  const { pgbouncer, multiHost, hook } = endpoint;
  if (pgbouncer !== undefined) return checkPgBouncer(here, pgbouncer, before);
  if (multiHost !== undefined && before.some((other) => other.multiHost !== undefined)) {
    const message =
      'expected one multiHost at most, since its hint is for the whole database; name all roles in that one';
    return [{ path: here, about: 'value', message }];
  }
  if (hook !== undefined && (hook.pause === undefined) !== (hook.resume === undefined)) {
    const [there, missing] = hook.pause === undefined ? ['resume', 'pause'] : ['pause', 'resume'];
    const message = `expected ${missing} beside it: clients that are held must be let go; add ${missing}, or remove ${there}`;
    return [{ path: [...here, there], about: 'value', message }];
  }
  const twin = before.findIndex((other) => hook !== undefined && other.hook?.url === hook.url);
  if (twin < 0) return [];
  const message = `expected a URL of its own, found that of endpoints[${twin}]: both would be called for the same`;
  return [{ path: [...here, 'url'], about: 'value', message }];
}

function checkPgBouncer(
  here: PathSegment[],
  pgbouncer: NonNullable<ParsedEndpoint['pgbouncer']>,
  before: ParsedEndpoint[],
): SpecProblem[] {
  const twin = before.findIndex(
    ({ pgbouncer: other }) =>
      other !== undefined && other.database === pgbouncer.database && sameReference(other.admin, pgbouncer.admin),
  );
  if (twin < 0) return [];
  return [
    {
      path: [...here, 'admin'],
      about: 'value',
      message:
        `expected a process or an entry of its own, found the same as endpoints[${twin}]; ` +
        'give each PgBouncer process an address of its own, or remove one of the two',
    },
  ];
}

function kindsOf(endpoint: ParsedEndpoint): EndpointKind[] {
  return ENDPOINT_KIND_NAMES.filter((kind) => endpoint[kind] !== undefined);
}

/** As written, else by kind and position. */
export function endpointName(endpoint: ParsedEndpoint, index: number): string {
  const kind = kindsOf(endpoint)[0] ?? 'none';
  return endpoint[kind]?.name ?? `${NAME_OF_KIND[kind]}-${index + 1}`;
}

/** As names are written: in small letters. */
const NAME_OF_KIND: Record<EndpointKind, string> = {
  pgbouncer: 'pgbouncer',
  multiHost: 'multi-host',
  hook: 'hook',
  none: 'none',
};

function checkDependsOn({ unit: own, dependsOn, path: here }: Node, units: readonly UnitRef[]): SpecProblem[] {
  return dependsOn.flatMap((text, index) => {
    const path = [...here, 'dependsOn', index];
    const others = units.filter((unit) => unit !== own);
    if (text === own) return [{ path, about: 'value', message: 'expected another unit, found this one itself' }];
    if (units.some((unit) => unit === text)) return [];
    const bare = units.find((unit) => parseUnitRef(unit)?.name === text);
    if (bare !== undefined)
      return [{ path, about: 'value', message: `expected a unit, written TYPE/NAME; write ${bare}` }];
    return [{ path, about: 'value', message: `no such unit in this migration${didYouMean(text, others)}` }];
  });
}

function checkOrder(nodes: Node[]): SpecProblem[] {
  const cycle = findCycle<string>(nodes);
  const first = nodes.find(({ unit }) => unit === cycle?.[0]);
  if (cycle === null || first === undefined) return [];
  return [
    {
      path: [...first.path, 'dependsOn'],
      about: 'value',
      message: `expected an order, found a circle: ${cycle.join(' waits for ')}; remove one of these`,
    },
  ];
}

function checkGates(ids: readonly string[], units: readonly UnitRef[]): SpecProblem[] {
  return ids.flatMap((id) => {
    if (readGateId(id, units) !== null) return [];
    const known = GATED_STAGES.flatMap((stage) => [stage, ...units.map((unit) => `${stage}:${unit}`)]);
    const isStage = STAGES.some((stage) => stage === id.split(':')[0]);
    const guess = isStage && !id.includes('/') ? null : nearest(id, known);
    const repair =
      guess === null
        ? `write STAGE or STAGE:UNIT, such as switch:database/orders; stages that wait are ${oneOf(GATED_STAGES)}`
        : `did you mean ${guess}?`;
    return [{ path: ['spec', 'gates', id], about: 'key', message: `no such gate; ${repair}` }];
  });
}

/** The stage and unit a gate's id speaks of; null: there is no such gate. */
export function readGateId(id: string, units: readonly UnitRef[]): { stage: GatedStage; unit: UnitRef | null } | null {
  const [stageName, unitName, ...more] = id.split(':');
  const stage = GATED_STAGES.find((one) => one === stageName);
  if (stage === undefined || more.length > 0) return null;
  if (unitName === undefined) return { stage, unit: null };
  const unit = units.find((one) => one === unitName);
  return unit === undefined ? null : { stage, unit };
}

export function sameReference(one: SecretReference, other: SecretReference): boolean {
  const flat = (reference: SecretReference): string => JSON.stringify(Object.entries(reference).sort());
  return flat(one) === flat(other);
}
