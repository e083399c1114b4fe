/** Temporal's dev server: one process, its state in a file, so that a lab that went down goes on where it was. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../spec/messages.js';
import { onFreePorts } from './free-port.js';
import { LabProcess } from './process.js';

export interface TemporalOptions {
  /** Path of the `temporal` binary. */
  binary: string;
  /** Made if missing. */
  folder: string;
  port?: number;
  /** Null: no web UI. */
  uiPort?: number | null;
  detached?: (pid: number) => void;
  /** Registered when the database file is new; by default those that Godwit needs, each a Keyword. */
  searchAttributes?: string[];
  /** Of the server's dynamic configuration, each as JSON. */
  settings?: Record<string, string>;
}

/** Cold start takes 1–2 s alone, and much more when everything else on the machine starts, too. */
const READY_TIMEOUT_MS = 90_000;

/**
 * Each commit of the server waits its turn at one connection. Without a write-ahead log it is several fsyncs of two files, and
 * then most of what a workflow takes: 110 s instead of 44 for the 19 migrations of workflow-pause.test.ts, at twice the server's CPU.
 * With `normal` a killed server still loses nothing; a machine without power may lose the last commits, never more.
 */
const SQLITE = ['journal_mode=wal', 'synchronous=normal'];

export class TemporalServer {
  #process: LabProcess | null = null;

  private constructor(
    readonly options: TemporalOptions,
    readonly port: number,
    readonly uiPort: number | null,
  ) {}

  /** Answers when workflows can be started in the namespace `default`. */
  static async start(options: TemporalOptions): Promise<TemporalServer> {
    await mkdir(options.folder, { recursive: true });
    return onFreePorts(async (pick) => {
      const port = await pick(options.port);
      const uiPort = options.uiPort === null ? null : await pick(options.uiPort);
      const server = new TemporalServer(options, port, uiPort);
      await server.restart();
      return server;
    });
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Web UI; null when started without. */
  get ui(): string | null {
    return this.uiPort === null ? null : `http://127.0.0.1:${this.uiPort}`;
  }

  get log(): string {
    return join(this.options.folder, 'temporal.log');
  }

  get pid(): number {
    return this.#process?.pid ?? -1;
  }

  /** The same server again, with the same address and everything it knew. */
  async restart(): Promise<void> {
    await this.stop();
    this.#process = LabProcess.start({
      name: 'Temporal',
      command: this.options.binary,
      args: this.#arguments(),
      log: this.log,
      detached: this.options.detached,
    });
    await this.#process.ready(() => answers(this.address, this.#searchAttributes()), READY_TIMEOUT_MS);
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    await this.#process?.stop(signal);
    this.#process = null;
  }

  #searchAttributes(): string[] {
    return this.options.searchAttributes ?? Object.values(SEARCH_ATTRIBUTES);
  }

  #arguments(): string[] {
    return [
      'server',
      'start-dev',
      // A developer's own settings must not reach the lab.
      '--disable-config-file',
      '--disable-config-env',
      ...['--ip', '127.0.0.1', '--port', String(this.port)],
      ...(this.uiPort === null ? ['--headless'] : ['--ui-port', String(this.uiPort)]),
      ...['--db-filename', join(this.options.folder, 'temporal.sqlite')],
      ...SQLITE.flatMap((pragma) => ['--sqlite-pragma', pragma]),
      ...Object.entries(this.options.settings ?? {}).flatMap(([key, value]) => [
        '--dynamic-config-value',
        `${key}=${value}`,
      ]),
      ...this.#searchAttributes().flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
      ...['--log-format', 'json', '--log-level', 'warn'],
    ];
  }
}

/** Whether the server at `address` has the namespace `default` with these search attributes. */
export async function answers(address: string, searchAttributes: string[] = []): Promise<boolean> {
  const connection = await Connection.connect({ address, connectTimeout: '2s' });
  try {
    const known = await connection.operatorService.listSearchAttributes({ namespace: 'default' });
    return searchAttributes.every((name) => Object.hasOwn(known.customAttributes, name));
  } finally {
    await connection.close();
  }
}
