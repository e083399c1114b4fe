/** What people see of a state: derived, never stored beside it. */
import type { NormalGate, NormalMigration } from '../spec/normal.js';
import type {
  GateStatus,
  Problem,
  RunStatus,
  State,
  StatusDocument,
  TrafficStatus,
  UnitStatus,
} from '../spec/status.js';
import type { Approval, MigrationState, TrafficProgress, UnitProgress } from './state.js';

export function stateOf(state: MigrationState): State {
  if (state.ended !== null) return state.ended;
  if (state.paused) return 'paused';
  if (state.problem !== null || state.units.some((unit) => problemOfUnit(unit) !== null)) return 'needs-attention';
  if (state.undoing !== 'nothing') return 'undoing';
  if (state.rolledBack) return 'rolled-back';
  if (openGates(state).length > 0) return 'awaiting-approval';
  return 'running';
}

/** What a step or the watch has found comes before what the lookout has. */
export function problemOfUnit({ problem, alarm }: UnitProgress): Problem | null {
  return problem ?? alarm;
}

export function openGates(state: MigrationState): NormalGate[] {
  return (state.normal?.gates ?? []).filter(({ id }) => {
    const gate = state.gates[id];
    return gate !== undefined && gate.reached && !gate.passed;
  });
}

export function validApprovals(approvals: Approval[], now: number): Approval[] {
  return approvals.filter(({ expiresAt }) => Date.parse(expiresAt) > now);
}

export function statusOf(state: MigrationState): StatusDocument {
  return {
    version: 1,
    migration: state.migration,
    name: state.normal?.name ?? state.reconciliation?.reconciliation ?? '',
    state: stateOf(state),
    stage: state.stage,
    planDigest: state.planDigest,
    units: state.units.map((unit) => unitStatus(unit, state.normal)),
    gates: gatesOf(state),
    findings: state.findings,
    undoLog: state.undoLog,
    messages: state.messages,
    reason: reasonOf(state),
    startedAt: state.startedAt,
    updatedAt: state.updatedAt,
    spec: state.normal,
    ...(state.reconciliation === undefined ? {} : { reconciliation: state.reconciliation }),
  };
}

function unitStatus(progress: UnitProgress, normal: NormalMigration | null): UnitStatus {
  const { unit, stage, phase, state, primary, sync, lagMs, certificate, switches, rehearsal, verdicts = [] } = progress;
  const problem = problemOfUnit(progress);
  const traffic = progress.traffic === undefined ? {} : { traffic: trafficStatus(progress.traffic) };
  return {
    unit,
    stage,
    phase,
    state,
    primary,
    sync,
    lagMs,
    certificate,
    switches,
    rehearsal,
    ...traffic,
    ...(verdicts.length === 0 ? {} : { verdicts }),
    ...(progress.recent === undefined ? {} : { recent: progress.recent }),
    ...wellOf(progress, normal),
    problem,
  };
}

/** Of the phase that only waits and looks, if it is in one. */
function wellOf(
  { unit, phase, watched, onTrial }: UnitProgress,
  normal: NormalMigration | null,
): Pick<UnitStatus, 'well'> {
  const database = normal?.databases.find((one) => one.unit === unit);
  const watch = database?.watch ?? normal?.traffic?.find((one) => one.unit === unit)?.watch;
  const probation = database?.cutover.probation;
  if (phase === 'watch' && watch !== undefined) return { well: { for: watched, of: watch.for } };
  if (phase === 'probation' && probation !== undefined) return { well: { for: onTrial, of: probation.for } };
  return {};
}

/** Without its before-image, which is in the undo log. */
export function trafficStatus(progress: TrafficProgress): TrafficStatus {
  const { weight, wanted, step, held, byHand, waitsFor, verdicts, recent, shiftBeganAt, log, certificate } = progress;
  const seen = recent === undefined ? {} : { recent };
  const served = certificate === undefined ? {} : { certificate };
  return { weight, wanted, step, held, byHand, waitsFor, verdicts, ...seen, shiftBeganAt, ...served, log };
}

function gatesOf(state: MigrationState): GateStatus[] {
  return (state.normal?.gates ?? []).map((gate) => {
    const { reached, passed, approvals } = state.gates[gate.id] ?? { reached: false, passed: false, approvals: [] };
    return {
      id: gate.id,
      state: gate.approvals === 0 ? 'off' : passed ? 'passed' : reached ? 'open' : 'not-reached',
      needed: gate.approvals,
      approvals,
      confirm: state.normal?.name ?? '',
    };
  });
}

/** Why it waits or stopped, most pressing first; null while all goes well. */
export function reasonOf(state: MigrationState): string | null {
  const problems = [
    ...(state.problem === null ? [] : [`${state.problem.message}. ${state.problem.next}`]),
    ...state.units.flatMap((unit) => {
      const problem = problemOfUnit(unit);
      return problem === null ? [] : [`${unit.unit}: ${problem.message}. ${problem.next}`];
    }),
  ];
  const lines = [
    ...(state.note === null ? [] : [state.note]),
    ...problems,
    ...(state.ended === null ? waits(state) : []),
    ...state.units.flatMap(({ unit, warnings }) => warnings.map((warning) => `${unit}: ${warning}`)),
    ...state.units.flatMap(({ unit, note }) => (note === null ? [] : [`${unit}: ${note}`])),
    ...state.units.flatMap(({ unit, staleViews }) => (staleViews === null ? [] : [`${unit}: ${staleViews}`])),
  ];
  return lines.length === 0 ? null : lines.join('\n');
}

function waits(state: MigrationState): string[] {
  const asked = state.interrupt === null ? [] : [`${state.interrupt.kind} was asked for; what runs now ends first`];
  const paused = state.paused ? ['paused: `resume` goes on'] : [];
  const rolledBack = state.rolledBack
    ? ['the writes are back on the source and changes still flow to the target: `switch` goes forward again']
    : [];
  const gates = openGates(state).map(({ id, approvals }) => {
    const given = state.gates[id]?.approvals.length ?? 0;
    return `waits for approval of the gate ${id}: ${given} of ${approvals} given`;
  });
  return [...asked, ...paused, ...rolledBack, ...gates];
}

/** Shown by Temporal's UI beside the workflow. */
export function detailsOf(state: MigrationState): string {
  if (state.reconciliation !== undefined) return detailsOfRun(state, state.reconciliation);
  const units = state.units.map(
    ({ unit, stage, phase, state: progress, primary, lagMs }) =>
      `| ${unit} | ${stage} | ${phase} | ${progress} | ${primary} | ${lagMs === null ? '' : `${Math.round(lagMs)} ms`} |`,
  );
  const pending = state.undoLog.filter((entry) => entry.state !== 'done').length;
  return [
    `**${state.normal?.name ?? state.migration}**: ${stateOf(state)}, stage ${state.stage}`,
    ...quoted(reasonOf(state)),
    ...(units.length === 0
      ? []
      : ['', '| unit | stage | phase | state | writes on | lag |', '|---|---|---|---|---|---|', ...units]),
    ...(pending === 0 ? [] : ['', `An abort would undo ${pending} ${pending === 1 ? 'step' : 'steps'}.`]),
  ].join('\n');
}

function detailsOfRun(state: MigrationState, { run, reconciliation, level, step, summary }: RunStatus): string {
  const name = reconciliation === '' ? state.migration : reconciliation;
  const what = level === null ? step : `${level}, ${step}`;
  const found =
    summary === null
      ? []
      : [
          '',
          summary.outcome === 'skipped'
            ? `Skipped: ${summary.why ?? 'another run goes on'}`
            : `**${summary.verdict}**: ${summary.rows} rows of ${summary.tables} tables; ${summary.remaining} findings remain, ${summary.accepted ?? 0} were accepted, ${summary.queued} wait for a person.`,
        ];
  return [`**${name}**: ${stateOf(state)}, ${what}`, ...quoted(reasonOf(state)), '', `Run \`${run}\``, ...found].join(
    '\n',
  );
}

function quoted(reason: string | null): string[] {
  return reason === null ? [] : ['', ...reason.split('\n').map((line) => `> ${line}`)];
}
