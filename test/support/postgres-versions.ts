/** Servers of many major versions side by side, each started once, by the test that first wants it. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PostgresServer } from '../../lab/postgres.js';
import { alone, cacheFolder } from '../../lab/setup/cache.js';
import { pgDumpBinaries } from '../../lab/setup/pg-dump.js';
import { postgresOfMajor, type PostgresMajor } from '../../lab/setup/postgres-versions.js';
import type { Primary } from '../../spec/status.js';
import type { ServerPair } from './postgres.js';
import { say } from './progress.js';

export class ServerVersions {
  readonly #servers = new Map<string, Promise<PostgresServer>>();

  private constructor(
    readonly folder: string,
    readonly binaries: Map<PostgresMajor, string>,
    readonly settings: Record<string, string>,
  ) {}

  /**
   * Fetches what isn't there: 25 MB a version, and a pg_dump for all of them, into the cache. Starts nothing.
   * @param settings go into every postgresql.conf
   */
  static async open(majors: Set<PostgresMajor>, settings: Record<string, string> = {}): Promise<ServerVersions> {
    const cache = cacheFolder();
    const binaries = new Map<PostgresMajor, string>();
    const dump = await alone(cache, async () => {
      for (const major of majors) binaries.set(major, await postgresOfMajor(major, cache, say));
      return pgDumpBinaries(cache, say);
    });
    // Behind the system's own: the oldest pg_dump that can read a server is taken anyway.
    process.env['PATH'] = `${process.env['PATH'] ?? ''}:${dump}`;
    const folder = await mkdtemp(join(tmpdir(), 'godwit-test-'));
    await chmod(folder, 0o755);
    return new ServerVersions(folder, binaries, settings);
  }

  /** A source and a target of these versions; two servers even where the version is the same. */
  async pair(source: PostgresMajor, target: PostgresMajor): Promise<ServerPair> {
    const [from, to] = await Promise.all([this.#server('source', source), this.#server('target', target)]);
    return { source: from, target: to, destroy: () => Promise.resolve() };
  }

  async destroy(): Promise<void> {
    await Promise.all([...this.#servers.values()].map(async (server) => (await server).destroy()));
    await rm(this.folder, { recursive: true, force: true });
  }

  async #server(side: Primary, major: PostgresMajor): Promise<PostgresServer> {
    const name = `${side}-${major}`;
    const known = this.#servers.get(name);
    if (known !== undefined) return known;
    const binaries = this.binaries.get(major);
    if (binaries === undefined) throw new Error(`PostgreSQL ${major} was not asked for in the beginning`);
    const started = PostgresServer.start({ name, folder: join(this.folder, name), settings: this.settings, binaries });
    this.#servers.set(name, started);
    return started;
  }
}
