/** The parts that a lab is made of: found on this machine, or got from where a machine can. */
import { alone, cacheFolder } from './setup/cache.js';
import { motoPython } from './setup/moto.js';
import { pgbouncerBinary } from './setup/pgbouncer.js';
import { postgresBinaries } from './setup/postgres.js';
import type { OnProgress } from './setup/progress.js';
import { prometheusBinary } from './setup/prometheus.js';
import { temporalBinary } from './setup/temporal.js';

export type { OnProgress, SetupEvent, SetupStep } from './setup/progress.js';
export { ComponentMissing } from './setup/sources.js';

export interface Components {
  /** A server that runs already (`TEMPORAL_ADDRESS`), or the CLI that can start one. */
  temporal: { kind: 'server'; address: string } | { kind: 'binary'; path: string };
  /** Folder with `initdb` and `postgres`. */
  postgres: string;
  pgbouncer: string;
}

export interface ComponentsOptions {
  onProgress?: OnProgress;
  env?: NodeJS.ProcessEnv;
}

/**
 * Everything that is needed, got if it must be; the second time it takes 50 ms. Two processes that set up at once wait
 * for each other. Fails with `ComponentMissing`, which says what was tried and what to install.
 */
export async function ensureComponents(options: ComponentsOptions = {}): Promise<Components> {
  const env = options.env ?? process.env;
  const onProgress = options.onProgress ?? (() => undefined);
  const address = env['TEMPORAL_ADDRESS'];
  const cache = cacheFolder(env);
  return alone(cache, async () => ({
    temporal: address ? { kind: 'server', address } : { kind: 'binary', path: await temporalBinary(cache, onProgress) },
    postgres: await postgresBinaries(cache, onProgress),
    pgbouncer: await pgbouncerBinary(onProgress),
  }));
}

/** Python that has moto, for who needs AWS: the second time it takes 10 ms. Fails with `ComponentMissing`. */
export async function ensureMoto(options: ComponentsOptions = {}): Promise<string> {
  const cache = cacheFolder(options.env ?? process.env);
  return alone(cache, () => motoPython(cache, options.onProgress ?? (() => undefined)));
}

/** Path of Prometheus, for who needs it. Fails with `ComponentMissing`. */
export async function ensurePrometheus(options: ComponentsOptions = {}): Promise<string> {
  const cache = cacheFolder(options.env ?? process.env);
  return alone(cache, () => prometheusBinary(options.onProgress ?? (() => undefined)));
}
