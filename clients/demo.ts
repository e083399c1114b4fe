/**
 * The demo: a lab of real servers, a shop under load, and the real `migration` workflow driven by the same commands that a
 * person types. Writes move there, back, and there again; then the record of every request is held against the database.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseDocument } from 'yaml';
import { check, switchWindows } from '../lab/check.js';
import { Lab } from '../lab/lab.js';
import { Load, type WindowFigures } from '../lab/load.js';
import { DEFAULT_TASK_QUEUES } from '../spec/normal.js';
import type { SwitchFigures, UnitStatus } from '../spec/status.js';
import { setupText } from './commands/lab.js';
import { connect, type Temporal } from './connection.js';
import { evidenceOf, evidenceText, type Evidence } from './demo/evidence.js';
import { WorkerProcesses } from './demo/worker-processes.js';
import { CliError } from './errors.js';
import { run } from './command-line.js';
import { EXIT, type ExitCode } from './exit.js';
import { reportOf } from './output/report.js';
import type { Terminal } from './terminal.js';
import type { MigrationView } from './view.js';
import { waitFor } from './waiting.js';
import { hasWorker } from './worker-presence.js';

export interface DemoSettings {
  json: boolean;
  /** Leave the lab running. */
  keep: boolean;
}

/** Requests a second of the shop: enough that a lost one would show, with room for the copy beside it on 2 cores. */
const LOAD_RATE = 500;
/** How long writes stay on a side before they move again. */
const STAY_MS = 3_000;
/** Everything of the demo together takes about 1 minute; beyond this something hangs. */
const PATIENCE_MS = 180_000;
const ID = 'shop';

/** Answers whether every promise held. */
export async function runDemo(terminal: Terminal, { json, keep }: DemoSettings): Promise<boolean> {
  const folder = resolve('.godwit', 'demo');
  await Lab.down(folder);
  await rm(folder, { recursive: true, force: true });
  const onProgress = (event: Parameters<typeof setupText>[0]): void =>
    terminal.note(setupText(event, terminal.colours));
  terminal.note(terminal.colours.bold('Setting up the lab'));
  const lab = await Lab.up({ folder, env: terminal.env, onProgress });
  const forget = lab.endWithUs();
  const env = { ...terminal.env, ...lab.environment };
  const workers = WorkerProcesses.start(2, folder, env);
  process.once('exit', () => workers.cut());
  const temporal = await connect({}, env);
  try {
    terminal.note(terminal.colours.dim('… starting two workers (about 3 s)'));
    await workersPoll(temporal);
    const evidence = await new Demo({ ...terminal, env, interactive: false }, lab, temporal).play();
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

class Demo {
  readonly #terminal: Terminal;
  readonly #lab: Lab;
  readonly #temporal: Temporal;
  /** What was shown last, so that only what is new is shown next. */
  #seen: MigrationView | null = null;
  readonly #moved: { figures: SwitchFigures; clients: WindowFigures }[] = [];

  constructor(terminal: Terminal, lab: Lab, temporal: Temporal) {
    this.#terminal = terminal;
    this.#lab = lab;
    this.#temporal = temporal;
  }

  async play(): Promise<Evidence> {
    const began = performance.now();
    const file = await this.#specification();
    const record = join(this.#lab.folder, 'requests.record');
    const load = await Load.start({ url: this.#lab.environment.SHOP_URL, record, rate: LOAD_RATE });
    try {
      await this.#chapter('Ready?', [
        ['validate', file],
        ['namespace', 'setup'],
        ['plan', file, '-o', this.#plan],
      ]);
      await this.#chapter('Replicate, copy and compare, while the shop is open', [
        ['start', '--plan', this.#plan, '--wait'],
        ['rehearse', ID],
      ]);
      await this.#chapter('Switch', [['approve', ID, 'switch', '--confirm', ID]]);
      await this.#arrived('target', load, 1);
      await this.#chapter('And back', [['rollback', ID, '--yes', '--wait', '--reason', 'to show that it works']]);
      await this.#arrived('source', load, 2);
      await this.#chapter('And there again', [
        ['switch', ID],
        ['approve', ID, 'switch', '--confirm', ID],
      ]);
      await this.#arrived('target', load, 3);
      await this.#until(
        'the end of the watch',
        (unit, view) => view.status.stage === 'finalize' && unit.primary === 'target',
      );
      await this.#chapter('Finalize', [['approve', ID, 'finalize', '--confirm', ID]]);
      const end = await this.#until('the end', (_, view) => view.status.state === 'migrated');
      const snapshot = await load.stop();
      const report = await this.#report();
      const unit = only(end);
      const verdict = await check({
        record: await load.record(),
        primary: this.#lab.environment.GODWIT_TARGET_URL,
        switches: switchWindows(unit.switches),
      });
      return evidenceOf({
        tookMs: performance.now() - began,
        state: end.status.state,
        ...{ sync: unit.sync, lagMs: unit.lagMs, certificate: unit.certificate, rehearsal: unit.rehearsal },
        switches: this.#moved,
        verdict,
        loadSeconds: snapshot.seconds,
        historyEvents: reportOf(end).historyEvents,
        report,
      });
    } catch (error) {
      await load.kill();
      throw error;
    }
  }

  get #plan(): string {
    return join(this.#lab.folder, 'shop.plan');
  }

  /** The lab's own migration file, with a watch that doesn't take an hour. */
  async #specification(): Promise<string> {
    const document = parseDocument(await readFile(join(this.#lab.folder, 'shop.yaml'), 'utf8'));
    document.setIn(['spec', 'databases', 'shop', 'watch'], { for: '3s', every: '1s' });
    const file = join(this.#lab.folder, 'demo.yaml');
    await writeFile(file, document.toString());
    return file;
  }

  /** Commands as a person would type them, shown with what they print. */
  async #chapter(title: string, commands: string[][]): Promise<void> {
    const { bold, cyan } = this.#terminal.colours;
    this.#terminal.note(`\n${bold(title)}`);
    for (const words of commands) {
      this.#terminal.note(cyan(`$ godwit ${words.join(' ')}`));
      await this.#godwit(words);
    }
  }

  async #godwit(words: string[]): Promise<void> {
    // All that commands say goes where progress goes: standard output is the evidence alone.
    const terminal: Terminal = { ...this.#terminal, out: (text) => this.#terminal.note(text) };
    const exitCode = await run(words, terminal);
    const fine: ExitCode[] = [EXIT.done, EXIT.waiting];
    if (!fine.includes(exitCode)) throw new CliError(`\`godwit ${words.join(' ')}\` ended with exit code ${exitCode}.`);
  }

  /** Waits for the writes to arrive on a side, and takes what clients saw meanwhile. */
  async #arrived(side: UnitStatus['primary'], load: Load, switches: number): Promise<void> {
    const view = await this.#until(
      `writes on the ${side}`,
      (unit) => unit.primary === side && unit.switches.length === switches,
    );
    const figures = only(view).switches.at(-1);
    if (figures === undefined) throw new CliError('the switch left no figures.');
    await sleep(STAY_MS);
    const [window] = switchWindows([figures]);
    if (window === undefined) throw new CliError('the switch left no window.');
    const clients = await load.within(window);
    this.#moved.push({ figures, clients });
  }

  async #until(what: string, isThere: (unit: UnitStatus, view: MigrationView) => boolean): Promise<MigrationView> {
    const goal = (view: MigrationView): ExitCode | null => {
      if (isThere(only(view), view)) return EXIT.done;
      return ['needs-attention', 'failed', 'undone'].includes(view.status.state) ? EXIT.failed : null;
    };
    const { exitCode, view } = await waitFor(this.#terminal, this.#temporal, ID, {
      goal,
      since: this.#seen,
      timeoutMs: PATIENCE_MS,
    });
    this.#seen = view;
    if (exitCode === EXIT.done) return view;
    throw new CliError(
      `the demo waited for ${what}, and the migration is ${view.status.state}: ${view.status.reason ?? 'no reason given'}`,
    );
  }

  async #report(): Promise<string> {
    const folder = join(this.#lab.folder, 'report');
    await mkdir(folder, { recursive: true });
    for (const format of ['md', 'json']) await this.#godwit(['report', ID, '-o', join(folder, `report.${format}`)]);
    return join(folder, 'report.md');
  }
}

function only({ status }: MigrationView): UnitStatus {
  const [unit] = status.units;
  if (unit === undefined) throw new CliError('the migration has no units yet.');
  return unit;
}
