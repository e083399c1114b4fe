/**
 * A PgBouncer that must point at the primary: paused, pointed, resumed. Safety never rests on it: what reaches the wrong
 * side meets the fence. It makes the difference between clients that wait 30 ms and clients that get errors.
 */
import { access, constants } from 'node:fs/promises';
import type { HostPort, Milliseconds, NormalDatabase, NormalEndpoint } from '../../spec/normal.js';
import type { Primary } from '../../spec/status.js';
import { failure } from '../failure.js';
import { readUrl } from '../postgres/url.js';
import { resolveSecret } from '../secrets.js';
import { PgBouncerAdmin } from './admin.js';
import { parametersOf, readEntry, withParameters, writeEntry } from './config-file.js';

interface Place extends HostPort {
  database: string;
}

/** As an entry of the file writes it. */
type PlaceInEntry = Record<'host' | 'port' | 'dbname', string>;

const samePlace = (a: PlaceInEntry, b: PlaceInEntry): boolean =>
  a.host === b.host && a.port === b.port && a.dbname === b.dbname;

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
    const image = await this.image();
    await this.#requireShown(
      image,
      `Nothing was changed; RELOAD it, or name the file that this process was started with`,
    );
    return image;
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
   * Writes the entry and reloads; RELOAD keeps a pause, and RESUME then uses the new server. With `image`, exactly that is
   * written, but for what an administrator has changed in the meantime.
   * Fails with `EndpointFailed` if PgBouncer doesn't show the new place afterwards.
   */
  async pointAt(side: Primary, image: string | null): Promise<void> {
    const { configFile, database } = this.endpoint;
    const found = await this.image();
    const entry = image === null ? this.#movedTo(side, found) : this.#restored(found, image);
    if (found !== entry) await writeEntry(configFile, database, entry);
    await this.#admin.command('RELOAD');
    await this.#requireShown(entry, `Is ${configFile} the file that this process was started with?`);
  }

  #movedTo(side: Primary, entry: string): string {
    const { host, port, database } = this.places[side];
    return withParameters(entry, { host, port: String(port), dbname: database });
  }

  #restored(found: string, image: string): string {
    const place = this.#placeIn(image);
    if (samePlace(this.#placeIn(found), place)) return found;
    if (place.host === '' || found === this.#movedTo('target', image)) return image;
    return withParameters(found, place);
  }

  async #requireShown(entry: string, next: string): Promise<void> {
    const { database } = this.endpoint;
    const wanted = this.#placeIn(entry);
    const row = (await this.#admin.show('databases')).find((one) => one['name'] === database);
    const shown = { host: row?.['host'] ?? '', port: String(row?.['port'] ?? ''), dbname: row?.['database'] ?? '' };
    if (samePlace(shown, wanted)) return;
    const inWords = ({ host, port, dbname }: PlaceInEntry): string => `${dbname} at ${host}:${port}`;
    throw failure(
      'EndpointFailed',
      `PgBouncer ${this.name} shows ${row === undefined ? 'no entry' : inWords(shown)} for ${database}, its file says ${inWords(wanted)}`,
      next,
    );
  }

  /** With PgBouncer's own defaults. https://www.pgbouncer.org/config.html#section-databases */
  #placeIn(entry: string): PlaceInEntry {
    const { host = '', port = '5432', dbname = this.endpoint.database } = parametersOf(entry);
    return { host, port, dbname };
  }

  close(): Promise<void> {
    return this.#admin.close();
  }
}

async function placeOf(url: NormalDatabase['source'], hosts: HostPort | null): Promise<Place> {
  const { host, port, database } = readUrl(await resolveSecret(url));
  return {
    host: hosts?.host ?? host ?? '127.0.0.1',
    port: hosts?.port ?? Number(port ?? 5432),
    database: database ?? 'postgres',
  };
}
