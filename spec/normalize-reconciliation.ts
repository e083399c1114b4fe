/** From a reconciliation as written to its normal form: all checks, then defaults, milliseconds and bytes. */
import { findInlineSecrets, sameReference } from './checks.js';
import { reconciliationJsonSchema, type PathSegment } from './json-schema.js';
import { otherKind } from './kinds.js';
import { DEFAULT_TASK_QUEUES } from './normal.js';
import { checkBusinessRules, normalBusinessRules } from './normalize-rules.js';
import { oneKind, pathText, schemaProblems, when, type SpecProblem } from './problems.js';
import {
  LEVELS,
  REPAIRABLE_KINDS,
  type Level,
  type NormalReconciliation,
  type NormalSchedule,
  type RepairableKind,
  type RepairAction,
  type ReplicationProof,
  type TemporalRule,
} from './reconciliation.js';
import { Reconciliation, RECONCILIATION_KIND, type ParsedReconciliationSpec } from './reconciliation-schema.js';
import { oneOf } from './spelling.js';

export type NormalizeReconciliationResult =
  { ok: true; normal: NormalReconciliation } | { ok: false; problems: SpecProblem[] };

/** Pure. Finds every problem that it can, not only the first. */
export function normalizeReconciliation(document: unknown): NormalizeReconciliationResult {
  const other = otherKind(document, RECONCILIATION_KIND);
  if (other !== null) return { ok: false, problems: [other] };
  const answer = Reconciliation.safeParse(document);
  const problems = answer.success
    ? checkReconciliation(answer.data.spec)
    : schemaProblems(answer.error.issues, document, reconciliationJsonSchema());
  const known = new Set(problems.map(({ path }) => pathText(path)));
  const secrets = findInlineSecrets(document).filter(({ path }) => {
    return !known.has(pathText(path)) && !known.has(pathText(path.slice(0, -1)));
  });
  if (answer.success && problems.length + secrets.length === 0) {
    return { ok: true, normal: toNormal(answer.data.metadata.name, answer.data.spec) };
  }
  return { ok: false, problems: [...problems, ...secrets] };
}

// ── what no schema can say ──

function checkReconciliation(spec: ParsedReconciliationSpec): SpecProblem[] {
  const { checks, incremental, limits, replication, schedules = {}, source, target } = spec;
  const at = (...path: PathSegment[]): PathSegment[] => ['spec', ...path];
  return [
    ...when(sameReference(source.url, target.url), at('target', 'url'), OTHER_DATABASE),
    ...checkReplication(at('replication'), replication),
    ...(incremental === undefined ? [] : checkIncremental(at('incremental'), incremental)),
    ...checks.temporal.flatMap((rule, index) => oneKind(at('checks', 'temporal', index), rule, TEMPORAL_KINDS)),
    ...checkBusinessRules(at('checks', 'business'), checks.business),
    ...Object.entries(schedules).flatMap(([name, one]) => checkSchedule(at('schedules', name), name, one)),
    ...when(
      limits.rowsPerSecond !== null && limits.rowsPerSecond < limits.leafRows,
      at('limits', 'rowsPerSecond'),
      `expected at least the ${limits.leafRows} rows of one leaf (leafRows), which are read at once`,
    ),
  ];
}

const OTHER_DATABASE =
  'expected another database than the source, found the same reference; name the database that it is compared with';

const TEMPORAL_KINDS = ['order', 'notInFuture', 'noGaps'] as const;
const PROOFS = ['scope', 'subscription', 'grace', 'none'] as const;

function checkReplication(path: PathSegment[], replication: ParsedReconciliationSpec['replication']): SpecProblem[] {
  const given = PROOFS.filter((name) => replication[name] !== undefined);
  return when(given.length > 1, path, `expected at most one of ${oneOf(PROOFS)}, found ${given.join(' and ')}`);
}

function checkIncremental(
  path: PathSegment[],
  { by, column }: NonNullable<ParsedReconciliationSpec['incremental']>,
): SpecProblem[] {
  if (by === 'column')
    return when(column === undefined, path, 'expected column, the name of the time of the last change');
  return when(column !== undefined, [...path, 'column'], `expected by: column with it, found by: ${by}`);
}

function checkSchedule(
  path: PathSegment[],
  name: string,
  { level, every, cron }: NonNullable<ParsedReconciliationSpec['schedules']>[string],
): SpecProblem[] {
  return [
    ...when(
      (every === undefined) === (cron === undefined),
      path,
      `expected every or cron, found ${every === undefined ? 'neither' : 'both'}; such as every: 15m, or cron: 0 2 * * *`,
    ),
    ...when(
      level === undefined && !isLevel(name),
      path,
      `expected level, one of ${oneOf(LEVELS)}, since ${name} names none`,
    ),
  ];
}

function isLevel(text: string): text is Level {
  return LEVELS.some((level) => level === text);
}

// ── the normal form ──

function toNormal(name: string, spec: ParsedReconciliationSpec): NormalReconciliation {
  const { columns, incremental, limits, replication, review, sample, severity, tables, taskQueue } = spec;
  const side = ({ url, replica }: ParsedReconciliationSpec['source']) => ({ url, replica: replica ?? null });
  return {
    version: 1,
    name,
    source: side(spec.source),
    target: side(spec.target),
    primary: spec.primary,
    replication: normalReplication(replication),
    tables,
    columns: Object.entries(columns).map(([pattern, { exclude, mask }]) => ({ tables: pattern, exclude, mask })),
    level: spec.level,
    sample:
      sample === undefined
        ? null
        : { percent: inPercent(sample.share), method: sample.method, seed: sample.seed, tables: sample.tables },
    incremental: incremental === undefined ? null : { ...incremental, column: incremental.column ?? null },
    checks: normalChecks(spec.checks),
    severity: {
      // Without those that nothing is said of: an undefined one would be lost on the way through JSON.
      kinds: Object.fromEntries(Object.entries(severity.kinds).filter(([, one]) => one !== undefined)),
      highAbove: severity.highAbove,
    },
    repair: normalRepair(spec),
    review,
    limits: { ...limits, slowDown: { ...limits.slowDown, probe: limits.slowDown.probe ?? null } },
    schedules: normalSchedules(spec.schedules),
    taskQueues:
      taskQueue === undefined
        ? { light: DEFAULT_TASK_QUEUES.light, bulk: DEFAULT_TASK_QUEUES.bulk }
        : { light: taskQueue, bulk: `${taskQueue}-bulk` },
  };
}

function normalReplication({
  scope,
  subscription,
  grace,
  none,
}: ParsedReconciliationSpec['replication']): ReplicationProof {
  if (scope !== undefined) return { kind: 'scope', key: scope };
  if (subscription !== undefined) return { kind: 'subscription', name: subscription };
  if (grace !== undefined) return { kind: 'grace', for: grace };
  return { kind: none === true ? 'none' : 'auto' };
}

function normalChecks({ temporal, duplicates, business }: ParsedReconciliationSpec['checks']) {
  return { temporal: temporal.flatMap(normalTemporal), duplicates, business: normalBusinessRules(business) };
}

/** `checkReconciliation` has seen to it that each rule is of exactly one kind. */
function normalTemporal({
  tables,
  order,
  notInFuture,
  noGaps,
}: ParsedReconciliationSpec['checks']['temporal'][number]): TemporalRule[] {
  if (order !== undefined) return [{ kind: 'order', tables, ...order }];
  if (notInFuture !== undefined) return [{ kind: 'not-in-future', tables, ...notInFuture }];
  return noGaps === undefined ? [] : [{ kind: 'no-gaps', tables, ...noGaps }];
}

function normalRepair({ primary, repair }: ParsedReconciliationSpec): NormalReconciliation['repair'] {
  const { rules, limits, batch, rowsPerSecond } = repair;
  return {
    rules: [
      ...rules.map(({ truth = primary, ...rule }) => {
        return { ...rule, truth, kinds: rule.kinds ?? kindsOf(rule.action, truth === primary) };
      }),
      { tables: ['*.*'], kinds: [...REPAIRABLE_KINDS], action: 'ask', truth: primary },
    ],
    limits: { rows: limits.rows, percent: inPercent(limits.share) },
    batch,
    rowsPerSecond,
  };
}

/** A deletion always asks unless a rule names its kind: a row that only the side has that is wrong. */
function kindsOf(action: RepairAction, primaryIsRight: boolean): RepairableKind[] {
  const deletes = primaryIsRight ? 'extra' : 'missing';
  return REPAIRABLE_KINDS.filter((kind) => action !== 'repair' || kind !== deletes);
}

/** 0.07 × 100 is 7.000000000000001 in floating point. */
function inPercent(share: number): number {
  return Number((share * 100).toPrecision(12));
}

/** `godwit schedule create` makes these where the file names none. */
const DEFAULT_SCHEDULES: Record<Level, Pick<NormalSchedule, 'every' | 'cron' | 'jitter'>> = {
  quick: { every: 15 * 60_000, cron: null, jitter: 30_000 },
  comprehensive: { every: 4 * 3_600_000, cron: null, jitter: 5 * 60_000 },
  deep: { every: null, cron: '0 2 * * *', jitter: 5 * 60_000 },
  business: { every: null, cron: '0 3 * * 0', jitter: 5 * 60_000 },
};

function normalSchedules(written: ParsedReconciliationSpec['schedules']): NormalSchedule[] {
  if (written === undefined) {
    return LEVELS.map((level) => ({
      name: level,
      level,
      ...DEFAULT_SCHEDULES[level],
      timeZone: 'UTC',
      catchUpWindow: 3_600_000,
      overlap: 'skip',
    }));
  }
  return Object.entries(written).map(([name, { level, every = null, cron = null, ...same }]) => ({
    ...same,
    name,
    level: level ?? (isLevel(name) ? name : 'comprehensive'),
    every,
    cron,
  }));
}
