/** A whole world on this machine, of real parts. It outlives the process that started it, until `down`. */
import { chmod, mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ensureComponents, ensureMoto, ensurePrometheus, type OnProgress } from './components.js';
import { reachable } from './reachable.js';
import { alone } from './setup/cache.js';
import { DEMO_SIZE, type ShopSize } from './shop/create.js';
import type { TrafficPlaces } from './traffic-world.js';
import { filesIn, writeFiles, type Environment, type LabFiles } from './world/files.js';
import { healthOf, type ComponentHealth } from './world/health.js';
import { environmentOf } from './world/environment.js';
import { runs } from './world/process-identity.js';
import { startServers } from './world/start.js';
import { readState, writeState, type LabState } from './world/state.js';
import { cutAll, stopAll } from './world/stop.js';

export type { Environment, LabFiles } from './world/files.js';
export type { ComponentHealth } from './world/health.js';

export interface LabOptions {
  /** @default `GODWIT_LAB`, else .godwit/lab in the working directory */
  folder?: string;
  onProgress?: OnProgress;
  /** Rows of the shop, when it is made. */
  size?: ShopSize;
  /** Requests a second that clients of the shop send for as long as the lab stands. @default none */
  load?: number;
  /**
   * AWS with a load balancer and DNS, Prometheus, and the shop as blue and green services; what AWS held isn't kept by `down`.
   * @default whether the lab of this folder had it
   */
  traffic?: boolean;
  env?: NodeJS.ProcessEnv;
}

export interface LabStatus {
  folder: string;
  /** `partly`: some of it; `up` starts the rest, `down` stops what runs. */
  state: 'up' | 'partly' | 'down' | 'absent';
  components: ComponentHealth[];
  /** What workers and clients need to reach it; null while it was never whole. */
  environment: Environment | null;
  files: LabFiles | null;
}

export class Lab {
  readonly #state: LabState;

  private constructor(
    readonly folder: string,
    state: LabState,
    readonly environment: Environment,
    readonly files: LabFiles,
  ) {
    this.#state = state;
  }

  static folder(env: NodeJS.ProcessEnv = process.env): string {
    return resolve(env['GODWIT_LAB'] ? env['GODWIT_LAB'] : join('.godwit', 'lab'));
  }

  /**
   * Starts what doesn't run, and gets what this machine lacks. What an earlier lab in this folder held is kept, ports
   * too. Fails with `ComponentMissing`, or with the log of the server that didn't start; then nothing new is left running.
   */
  static async up(options: LabOptions = {}): Promise<Lab> {
    const env = options.env ?? process.env;
    const folder = resolve(options.folder ?? Lab.folder(env));
    const onProgress = options.onProgress ?? (() => undefined);
    await mkdir(folder, { recursive: true });
    return alone(folder, async () => {
      const state = (await readState(folder)) ?? (await emptyState(folder));
      const components = await ensureComponents({ onProgress, env: withoutOurTemporal(env, state) });
      const hasTraffic = options.traffic ?? state.components.some(({ kind }) => kind === 'traffic');
      const needed = { onProgress, env };
      const traffic = hasTraffic
        ? { python: await ensureMoto(needed), prometheus: await ensurePrometheus(needed) }
        : null;
      const before = state.components.filter(({ process: identity }) => identity !== null && runs(identity));
      const save = (): void => writeState(folder, state);
      save();
      try {
        await startServers({
          state,
          components,
          size: options.size ?? DEMO_SIZE,
          load: options.load ?? null,
          traffic,
          onProgress,
          save,
        });
      } catch (error) {
        await stopAll(state.components.filter((component) => !before.includes(component)));
        throw error;
      }
      const environment = environmentOf(state);
      if (environment === null) throw new Error(`the lab in ${folder} is not whole`);
      return new Lab(folder, state, environment, await writeFiles(folder, state, environment));
    });
  }

  static async status(folder: string = Lab.folder()): Promise<LabStatus> {
    const state = await readState(folder);
    if (state === null) return { folder, state: 'absent', components: [], environment: null, files: null };
    const components = await Promise.all(state.components.map(healthOf));
    const running = components.filter((component) => component.state === 'running').length;
    const environment = environmentOf(state);
    const whole = environment !== null && running === components.length;
    return {
      folder,
      state: whole ? 'up' : components.some((component) => component.state !== 'stopped') ? 'partly' : 'down',
      components,
      environment,
      files: environment === null ? null : filesIn(folder, state),
    };
  }

  /** Stops all of it, whoever started it. Answers how many processes there were to stop. */
  static async down(folder: string = Lab.folder(), options: { remove?: boolean } = {}): Promise<number> {
    if ((await readState(folder)) === null) return 0;
    const stopped = await alone(folder, async () => {
      const state = await readState(folder);
      if (state === null) return 0;
      const running = state.components.filter(({ process: identity }) => identity !== null && runs(identity));
      await stopAll(running);
      for (const component of state.components) component.process = null;
      writeState(folder, state);
      if (options.remove) await rm(state.data, { recursive: true, force: true });
      return running.length;
    });
    if (options.remove) await rm(folder, { recursive: true, force: true });
    return stopped;
  }

  /** Null: it serves none. */
  get traffic(): TrafficPlaces | null {
    return this.#state.traffic;
  }

  down(options: { remove?: boolean } = {}): Promise<number> {
    return Lab.down(this.folder, options);
  }

  status(): Promise<LabStatus> {
    return Lab.status(this.folder);
  }

  /**
   * For a lab that is only for this process: it goes when the process is told to, and when it ends in any other way
   * that it notices. Answers what takes that back.
   */
  endWithUs(): () => void {
    const cut = (): void => cutAll(this.#state.components);
    const end = (): void => {
      void this.down().finally(() => process.exit(130));
    };
    process.once('exit', cut).once('SIGINT', end).once('SIGTERM', end).once('SIGHUP', end);
    return () => {
      process.off('exit', cut).off('SIGINT', end).off('SIGTERM', end).off('SIGHUP', end);
    };
  }
}

async function emptyState(folder: string): Promise<LabState> {
  const data = join(await reachable(folder), 'data');
  await mkdir(data, { recursive: true });
  await chmod(data, 0o755);
  return { version: 1, data, temporalAddress: null, filled: false, traffic: null, components: [] };
}

/** Whoever read the lab's own variables into a shell has TEMPORAL_ADDRESS set to what we are about to start. */
function withoutOurTemporal(env: NodeJS.ProcessEnv, state: LabState): NodeJS.ProcessEnv {
  const ours = state.components.find(({ kind }) => kind === 'temporal');
  if (!ours || env['TEMPORAL_ADDRESS'] !== `127.0.0.1:${ours.port}`) return env;
  return { ...env, TEMPORAL_ADDRESS: undefined };
}
