/** A Prometheus of the lab's own, which scrapes what it is told, as often as every second. */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import getPort from 'get-port';
import { stringify } from 'yaml';
import { LabProcess } from './process.js';
import { onPath } from './setup/path.js';

export interface ScrapeTarget {
  /** `host:port` whose /metrics is scraped. */
  address: string;
  /** On every series of it, such as version: blue. */
  labels?: Record<string, string>;
}

export interface PrometheusOptions {
  /** Made if missing; kept by `stop`, removed by `destroy`. */
  folder: string;
  /** By the name of their job. */
  jobs: Record<string, ScrapeTarget[]>;
  /** @default '1s' */
  scrapeInterval?: string;
  port?: number;
  binary?: string;
  /** Outlives us; see `LabProcess`. */
  detached?: (pid: number) => void;
}

export class Prometheus {
  #process: LabProcess | null = null;
  #jobs: Record<string, ScrapeTarget[]>;

  private constructor(
    readonly options: PrometheusOptions,
    readonly port: number,
    readonly binary: string,
  ) {
    this.#jobs = options.jobs;
  }

  static async start(options: PrometheusOptions): Promise<Prometheus> {
    const binary = options.binary ?? onPath('prometheus');
    if (binary === null) throw new Error('no prometheus found; `godwit lab up` installs it');
    const port = options.port ?? (await getPort({ host: '127.0.0.1' }));
    const prometheus = new Prometheus(options, port, binary);
    await mkdir(join(options.folder, 'data'), { recursive: true });
    await prometheus.#configure();
    await prometheus.restart();
    return prometheus;
  }

  /** What a provider's `url` names. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get log(): string {
    return join(this.options.folder, 'prometheus.log');
  }

  get pid(): number {
    return this.#process?.pid ?? -1;
  }

  /** From its next scrape on. */
  async scrape(jobs: Record<string, ScrapeTarget[]>): Promise<void> {
    this.#jobs = jobs;
    await this.#configure();
    const response = await fetch(`${this.url}/-/reload`, { method: 'POST' });
    if (!response.ok) throw new Error(`Prometheus refuses its configuration: ${await response.text()}`);
  }

  /** The first value that an instant query finds; null: none. */
  async value(query: string, at = Date.now()): Promise<number | null> {
    const response = await fetch(`${this.url}/api/v1/query`, {
      method: 'POST',
      body: new URLSearchParams({ query, time: String(at / 1_000) }),
    });
    const answer = (await response.json()) as { data?: { result: { value: [number, string] }[] } };
    const found = answer.data?.result[0]?.value[1];
    return found === undefined ? null : Number(found);
  }

  async restart(): Promise<void> {
    await this.stop();
    this.#process = LabProcess.start({
      name: 'Prometheus',
      command: this.binary,
      args: [
        `--config.file=${join(this.options.folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(this.options.folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${this.port}`,
        '--web.enable-lifecycle',
      ],
      log: this.log,
      cwd: this.options.folder,
      detached: this.options.detached,
    });
    await this.#process.ready(async () => (await fetch(`${this.url}/-/ready`)).ok);
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
    this.#process = null;
  }

  async destroy(): Promise<void> {
    await this.stop();
    await rm(this.options.folder, { recursive: true, force: true });
  }

  async #configure(): Promise<void> {
    const file = join(this.options.folder, 'prometheus.yml');
    const interval = this.options.scrapeInterval ?? '1s';
    const text = stringify({
      global: { scrape_interval: interval, scrape_timeout: interval },
      scrape_configs: Object.entries(this.#jobs).map(([job_name, targets]) => ({
        job_name,
        static_configs: targets.map(({ address, labels = {} }) => ({ targets: [address], labels })),
      })),
    });
    // Whole or not at all: a reload may come while it is written.
    await writeFile(`${file}.new`, text);
    await rename(`${file}.new`, file);
  }
}
