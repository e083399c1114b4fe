/**
 * A PgBouncer that must point at the primary: paused, pointed, resumed. Safety never rests on it: what reaches the wrong
 * side meets the fence. It makes the difference between clients that wait 30 ms and clients that get errors.
 */
import { access, constants } from 'node:fs/promises';
import pgConnectionString from 'pg-connection-string';
import type { HostPort, Milliseconds, NormalDatabase, NormalEndpoint } from '../../spec/normal.js';
import type { Primary } from '../../spec/status.js';
import { failure } from '../failure.js';
import { resolveSecret } from '../secrets.js';
import { PgBouncerAdmin } from './admin.js';
import { parametersOf, readEntry, withParameters, writeEntry } from './config-file.js';

interface Place extends HostPort {
  database: string;
}

export class PgBouncerEndpoint {
  #admin: PgBouncerAdmin;

  private constructor(
    readonly endpoint: NormalEndpoint,
    readonly places: Record<Primary, Place>,
    admin: PgBouncerAdmin,
  ) {
    this.#admin = admin;
  }

  static async open(endpoint: NormalEndpoint, database: NormalDatabase): Promise<PgBouncerEndpoint> {
    const [source, target] = await Promise.all([
      placeOf(database.source, endpoint.hosts.source),
      placeOf(database.target, endpoint.hosts.target),
    ]);
    const admin = await PgBouncerAdmin.open(endpoint.name, endpoint.admin);
    return new PgBouncerEndpoint(endpoint, { source, target }, admin);
  }

  get name(): string {
    return this.endpoint.name;
  }

  /** The entry as it stands in the configuration file: what undo writes back. */
  image(): Promise<string> {
    return readEntry(this.endpoint.configFile, this.endpoint.database);
  }

  /** The image, once it is sure that the file can be written. Fails with `EndpointFailed`. */
  async prove(): Promise<string> {
    const { configFile } = this.endpoint;
    await access(configFile, constants.W_OK).catch(() => {
      throw failure(
        'EndpointFailed',
        `the worker can't write ${configFile}`,
        'Give it write access; nothing was changed',
      );
    });
    return this.image();
  }

  /**
   * False when open transactions kept it from completing within `timeout`; the pause is then taken back. PgBouncer holds
   * all other clients meanwhile, so a long transaction would hold everybody until `query_wait_timeout`.
   */
  async pause(timeout: Milliseconds): Promise<boolean> {
    if (await this.#admin.pause(this.endpoint.database, timeout)) return true;
    const waiting = this.#admin;
    // Another admin's RESUME leaves the caller of PAUSE waiting for ever, so this connection is given up.
    this.#admin = await PgBouncerAdmin.open(this.endpoint.name, this.endpoint.admin);
    await waiting.close();
    await this.resume();
    return false;
  }

  resume(): Promise<void> {
    return this.#admin.resume(this.endpoint.database);
  }

  /**
   * Writes the entry (with `image`, exactly that) and reloads; RELOAD keeps a pause, and RESUME then uses the new server.
   * Fails with `EndpointFailed` if PgBouncer doesn't show the new place afterwards.
   */
  async pointAt(side: Primary, image: string | null): Promise<void> {
    const { configFile, database } = this.endpoint;
    const place = this.places[side];
    const entry =
      image ??
      withParameters(await this.image(), { host: place.host, port: String(place.port), dbname: place.database });
    if ((await this.image()) !== entry) await writeEntry(configFile, database, entry);
    await this.#admin.command('RELOAD');
    const wanted = parametersOf(entry);
    const shown = (await this.#admin.show('databases')).find((row) => row['name'] === database);
    if (shown?.['host'] !== wanted['host'] || String(shown?.['port']) !== (wanted['port'] ?? '5432')) {
      throw failure(
        'EndpointFailed',
        `PgBouncer ${this.name} shows ${database} at ${shown?.['host']}:${shown?.['port']} after RELOAD, expected ${wanted['host']}:${wanted['port']}`,
        `Is ${configFile} the file that this process was started with?`,
      );
    }
  }

  close(): Promise<void> {
    return this.#admin.close();
  }
}

async function placeOf(url: NormalDatabase['source'], hosts: HostPort | null): Promise<Place> {
  const { host, port, database } = pgConnectionString.parse(await resolveSecret(url));
  return {
    host: hosts?.host ?? host ?? '127.0.0.1',
    port: hosts?.port ?? Number(port ?? 5432),
    database: database ?? 'postgres',
  };
}
