/**
 * The demo: a lab of real servers, a shop under load, and the real `migration` workflow driven by the same commands that a
 * person types. When its story has been told, the record of every request is held against the database.
 */
import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Lab } from '../lab/lab.js';
import { DEFAULT_TASK_QUEUES } from '../spec/normal.js';
import { setupText } from './commands/lab.js';
import { connect, type Temporal } from './connection.js';
import { evidenceText } from './demo/evidence.js';
import { Stage } from './demo/stage.js';
import { badGreen, wholeShop } from './demo/story.js';
import { WorkerProcesses } from './demo/worker-processes.js';
import { CliError } from './errors.js';
import type { Terminal } from './terminal.js';
import { hasWorker } from './worker-presence.js';

export interface DemoSettings {
  json: boolean;
  /** Leave the lab running. */
  keep: boolean;
  /** Tell of a new version that turns bad. */
  badGreen: boolean;
}

/** Workers take 3 s to start; beyond this something hangs. */
const PATIENCE_MS = 60_000;

/** Answers whether every promise held. */
export async function runDemo(terminal: Terminal, { json, keep, badGreen: bad }: DemoSettings): Promise<boolean> {
  const folder = resolve('.godwit', 'demo');
  await Lab.down(folder);
  await rm(folder, { recursive: true, force: true });
  const onProgress = (event: Parameters<typeof setupText>[0]): void =>
    terminal.note(setupText(event, terminal.colours));
  terminal.note(terminal.colours.bold('Setting up the lab'));
  const lab = await Lab.up({ folder, env: terminal.env, onProgress, traffic: true });
  const forget = lab.endWithUs();
  const env = { ...terminal.env, ...lab.environment };
  // commands that show rows read the databases in this process, with its secrets
  Object.assign(process.env, lab.environment);
  const workers = WorkerProcesses.start(2, folder, env);
  process.once('exit', () => workers.cut());
  const temporal = await connect({}, env);
  try {
    terminal.note(terminal.colours.dim('… starting two workers (about 3 s)'));
    await workersPoll(temporal);
    const stage = new Stage({ ...terminal, env, interactive: false }, lab, temporal);
    const evidence = await (bad ? badGreen : wholeShop)(stage);
    terminal.out(json ? JSON.stringify(evidence, null, 2) : evidenceText(evidence, terminal.colours));
    return evidence.ok;
  } finally {
    await temporal.connection.close();
    await workers.stop();
    if (keep) terminal.note(`The lab goes on: GODWIT_LAB=${folder} godwit lab status`);
    else await lab.down();
    forget();
  }
}

async function workersPoll(temporal: Temporal): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await hasWorker(temporal, DEFAULT_TASK_QUEUES.light))) {
    if (Date.now() > deadline) throw new CliError('the workers did not start; their logs are beside the lab.');
    await sleep(200);
  }
}
