/** Waits for a migration, printing what happens as plain lines, until it comes to what was waited for. */
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT, exitCodeOf, type ExitCode } from './exit.js';
import type { State } from '../spec/status.js';
import type { Temporal } from './connection.js';
import { changes } from './output/changes.js';
import { duration } from './output/figures.js';
import { nextSteps } from './output/next.js';
import type { Terminal } from './terminal.js';
import { viewMigration, type MigrationView } from './view.js';

/** Null: it isn't there yet. */
export type Goal = (view: MigrationView) => ExitCode | null;

/** A look costs one query and one description: close together while something happens, else once a second. */
const LOOK_AGAIN_MS = { first: 250, longest: 1_000 };

export interface WaitOptions {
  goal: Goal;
  /** What was seen last, so that only what is new is printed. */
  since?: MigrationView | null;
  timeoutMs?: number | undefined;
}

export interface Waited {
  exitCode: ExitCode;
  view: MigrationView;
}

export async function waitFor(
  terminal: Terminal,
  temporal: Temporal,
  id: string,
  { goal, since = null, timeoutMs }: WaitOptions,
): Promise<Waited> {
  const interrupted = terminal.interrupt();
  const deadline = timeoutMs === undefined ? Infinity : Date.now() + timeoutMs;
  let before = since;
  let pauseMs = LOOK_AGAIN_MS.first;
  for (;;) {
    const view = await viewMigration(temporal, id);
    const news = changes(before, view, new Date());
    for (const line of news) terminal.note(line);
    pauseMs = news.length > 0 ? LOOK_AGAIN_MS.first : Math.min(pauseMs * 2, LOOK_AGAIN_MS.longest);
    const exitCode = goal(view);
    if (exitCode !== null) return { exitCode, view };
    if (Date.now() >= deadline) {
      terminal.note(`Not there after ${duration(timeoutMs ?? 0)}; \`${id}\` goes on: godwit status ${id} --watch`);
      return { exitCode: EXIT.failed, view };
    }
    await sleep(pauseMs, undefined, { signal: interrupted }).catch(() => undefined);
    if (interrupted.aborted) {
      terminal.note(`No longer watching; \`${id}\` goes on: godwit status ${id} --watch`);
      return { exitCode: EXIT.failed, view };
    }
    before = view;
  }
}

/** It ended, or nothing happens any more without a person. */
export const settled: Goal = ({ status, execution }) => {
  if (status.state === 'running' || status.state === 'undoing')
    return hasStopped(execution.status) ? EXIT.failed : null;
  return exitCodeOf(status.state);
};

/** As `settled`, but what it waited for when a message was sent doesn't count again. */
export function settledSince(before: MigrationView): Goal {
  const known = situation(before);
  return (view) => (situation(view) === known ? null : settled(view));
}

function situation({ status }: MigrationView): string {
  const problems = status.units.map(({ problem }) => problem?.at ?? '');
  const open = status.gates.filter((gate) => gate.state === 'open').map((gate) => gate.id);
  return JSON.stringify([status.state, problems, open]);
}

const ENDS: readonly State[] = ['migrated', 'undone', 'failed', 'done', 'aborted'];

/** It ended, and not only this look at it: a terminated workflow keeps the state it had. */
export const ended: Goal = ({ status, execution }) => {
  if (ENDS.includes(status.state)) return exitCodeOf(status.state);
  return hasStopped(execution.status) ? EXIT.failed : null;
};

/** `state` is what was asked for, so it is success; another end, or a wait for a person, isn't. */
export function reached(isThere: (view: MigrationView) => boolean): Goal {
  return (view) => {
    if (isThere(view)) return EXIT.done;
    if (view.status.state === 'needs-attention') return EXIT.waiting;
    return ended(view);
  };
}

function hasStopped(execution: string): boolean {
  return execution !== 'RUNNING' && execution !== 'PAUSED';
}

/** What to do now, for the end of a wait. */
export function hint(terminal: Terminal, view: MigrationView): void {
  for (const command of nextSteps(view.status)) terminal.note(`  ${terminal.colours.dim('→')} ${command}`);
}
