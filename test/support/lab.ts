/**
 * What the integration and end-to-end tests stand on: the lab's components, got if they must be, and one Temporal dev
 * server and one moto for the whole run. Tests read their addresses with `inject('temporalAddress')` of vitest.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { MotoServer } from '../../lab/aws/moto.js';
import { TRANSPILED } from '../../lab/module-command.js';
import { ensureComponents, ensureMoto } from '../../lab/components.js';
import { TemporalServer } from '../../lab/temporal.js';
import { say } from './progress.js';
import { removeTranspiled, transpile } from './transpiled.js';

/**
 * How much later than asked for the server may let a timer fire: by default 1 s, so that one of 20 ms takes 1 s, and migrations
 * whose waits are as short as a test wants them did little else than wait.
 */
const PROMPT_TIMERS = { 'history.timerProcessorMaxTimeShift': '"20ms"' };

declare module 'vitest' {
  interface ProvidedContext {
    /** `host:port` of Temporal's frontend; the namespace is `default`, Godwit's search attributes are registered. */
    temporalAddress: string;
    /** Path of Temporal's own CLI. */
    temporalBinary: string;
    /** Where moto is, or soon will be: `startAws` waits for it. */
    motoUrl: string;
  }
}

interface Servers {
  temporal: TemporalServer;
  moto: MotoServer;
  folder: string;
  transpiled: string;
}

interface Shared {
  server: Promise<Servers>;
  users: number;
}

declare global {
  /** Vitest runs this file once a project, in one process; the server is for all of them. */
  var godwitTestLab: Shared | undefined;
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const shared = (globalThis.godwitTestLab ??= { server: start(), users: 0 });
  shared.users += 1;
  const { temporal, moto, transpiled } = await shared.server;
  // Files are run by processes that begin after this, with the same environment.
  process.env[TRANSPILED] = transpiled;
  project.provide('temporalAddress', temporal.address);
  project.provide('temporalBinary', temporal.options.binary);
  project.provide('motoUrl', moto.url);
  return async () => {
    shared.users -= 1;
    if (shared.users > 0) return;
    globalThis.godwitTestLab = undefined;
    const { folder } = await shared.server;
    await Promise.all([temporal.stop(), moto.stop(), removeTranspiled(transpiled)]);
    await rm(folder, { recursive: true, force: true });
  };
}

async function start(): Promise<Servers> {
  // A server that TEMPORAL_ADDRESS names belongs to somebody: tests never touch it.
  const env = { ...process.env, TEMPORAL_ADDRESS: undefined };
  const components = await ensureComponents({ env, onProgress: say });
  if (components.temporal.kind !== 'binary') throw new Error('the tests need a Temporal server of their own');
  const python = await ensureMoto({ env, onProgress: say });
  const transpiled = await transpile();
  const folder = await mkdtemp(join(tmpdir(), 'godwit-servers-'));
  const moto = await MotoServer.launch({ python, folder });
  try {
    const temporal = await TemporalServer.start({ binary: components.temporal.path, folder, settings: PROMPT_TIMERS });
    return { temporal, moto, folder, transpiled };
  } catch (error) {
    await moto.stop();
    throw error;
  }
}
