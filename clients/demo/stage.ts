/** What every story of the demo is told with: commands as a person types them, and waiting for what they lead to. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDocument, stringify, type Document } from 'yaml';
import type { Lab } from '../../lab/lab.js';
import { Load } from '../../lab/load.js';
import { RECONCILIATION_KIND } from '../../spec/reconciliation-schema.js';
import { API_VERSION } from '../../spec/schema.js';
import type { UnitStatus } from '../../spec/status.js';
import { run } from '../command-line.js';
import type { Temporal } from '../connection.js';
import { CliError } from '../errors.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { Terminal } from '../terminal.js';
import type { MigrationView } from '../view.js';
import { waitFor } from '../waiting.js';

/** Requests a second of the shop's users: enough that a lost one would show, with room for the copy beside them on 2 cores. */
const LOAD_RATE = 200;
/** Everything of the demo together takes about 2 minutes; beyond this something hangs. */
const PATIENCE_MS = 240_000;
export const ID = 'shop';

export class Stage {
  /** What was shown last, so that only what is new is shown next. */
  #seen: MigrationView | null = null;

  constructor(
    readonly terminal: Terminal,
    readonly lab: Lab,
    readonly temporal: Temporal,
  ) {}

  get plan(): string {
    return join(this.lab.folder, 'shop.plan');
  }

  /** Users who find the shop by its name, go through its load balancer, and never try again. */
  startLoad(): Promise<Load> {
    const { SHOP_WEB_URL: url = '', SHOP_DNS = '' } = this.lab.environment;
    const [address = '', port] = SHOP_DNS.split(':');
    const record = join(this.lab.folder, 'requests.record');
    return Load.start({ url, record, rate: LOAD_RATE, dns: { address, port: Number(port) } });
  }

  /** The lab's own migration of the whole shop, with holds that don't take an hour. */
  async specification(change: (document: Document) => void): Promise<string> {
    const { whole } = this.lab.files;
    if (whole === null) throw new CliError('this lab serves no traffic.');
    const document = parseDocument(await readFile(whole, 'utf8'));
    document.setIn(['metadata', 'name'], ID);
    change(document);
    const file = join(this.lab.folder, 'demo.yaml');
    await writeFile(file, document.toString());
    return file;
  }

  /** A reconciliation of the two databases that the migration moves between. */
  async reconciliation(name: string): Promise<string> {
    const file = join(this.lab.folder, `${name}.yaml`);
    const spec = {
      source: { url: { env: 'GODWIT_SOURCE_URL' } },
      target: { url: { env: 'GODWIT_TARGET_URL' } },
      // by default it would read for 4 % of the time under this load
      limits: { busy: { transactions: 'none' } },
    };
    const document = { apiVersion: API_VERSION, kind: RECONCILIATION_KIND, metadata: { name }, spec };
    await writeFile(file, stringify(document));
    return file;
  }

  /** Commands as a person would type them, shown with what they print. */
  async chapter(title: string, commands: string[][]): Promise<void> {
    this.title(title);
    for (const words of commands) await this.command(words);
  }

  title(text: string): void {
    this.terminal.note(`\n${this.terminal.colours.bold(text)}`);
  }

  /** @param expected beside what every command may end with */
  async command(words: string[], expected: ExitCode[] = []): Promise<void> {
    this.terminal.note(this.terminal.colours.cyan(`$ godwit ${words.join(' ')}`));
    await this.#godwit(words, expected);
  }

  /** Fails when it comes to anything else that it won't leave by itself. */
  async until(what: string, isThere: (view: MigrationView) => boolean): Promise<MigrationView> {
    const goal = (view: MigrationView): ExitCode | null => {
      if (isThere(view)) return EXIT.done;
      return ['needs-attention', 'failed', 'undone'].includes(view.status.state) ? EXIT.failed : null;
    };
    const { exitCode, view } = await waitFor(this.terminal, this.temporal, ID, {
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

  /** Answers where it lies. */
  async report(): Promise<string> {
    const folder = join(this.lab.folder, 'report');
    await mkdir(folder, { recursive: true });
    for (const format of ['md', 'json']) await this.#godwit(['report', ID, '-o', join(folder, `report.${format}`)]);
    return join(folder, 'report.md');
  }

  async #godwit(words: string[], expected: ExitCode[] = []): Promise<void> {
    // All that commands say goes where progress goes: standard output is the evidence alone.
    const terminal: Terminal = { ...this.terminal, out: (text) => this.terminal.note(text) };
    const exitCode = await run(words, terminal);
    const fine: ExitCode[] = [EXIT.done, EXIT.waiting, ...expected];
    if (words[0] === 'abort') fine.push(EXIT.undone);
    if (!fine.includes(exitCode)) throw new CliError(`\`godwit ${words.join(' ')}\` ended with exit code ${exitCode}.`);
  }
}

export function unitOf({ status }: MigrationView, unit: string): UnitStatus {
  const found = status.units.find((one) => one.unit === unit);
  if (found === undefined) throw new CliError(`the migration has no unit ${unit} yet.`);
  return found;
}

/** Milliseconds of each step and look, of every unit of traffic. */
export function shorten(document: Document, hold: string): void {
  for (const unit of ['web', 'names']) {
    const steps = (document.toJS() as { spec: { traffic: Record<string, { steps: { weight: number }[] }> } }).spec
      .traffic[unit]?.steps;
    document.setIn(
      ['spec', 'traffic', unit, 'steps'],
      (steps ?? []).map(({ weight }) => ({ weight, hold })),
    );
    document.setIn(['spec', 'traffic', unit, 'every'], '1s');
  }
  document.setIn(['spec', 'traffic', 'names', 'watch'], { for: '3s', every: '1s' });
  document.setIn(['spec', 'databases', 'shop', 'watch'], { for: '3s', every: '1s' });
}
