/**
 * What the integration and end-to-end tests stand on: the lab's components, got if they must be, and one Temporal dev
 * server for the whole run. Tests read its address with `inject('temporalAddress')` of vitest.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { ensureComponents } from '../../lab/components.js';
import { TemporalServer } from '../../lab/temporal.js';
import { say } from './progress.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** `host:port` of Temporal's frontend; the namespace is `default`, Godwit's search attributes are registered. */
    temporalAddress: string;
    /** Path of Temporal's own CLI. */
    temporalBinary: string;
  }
}

interface Shared {
  server: Promise<{ temporal: TemporalServer; folder: string }>;
  users: number;
}

declare global {
  /** Vitest runs this file once a project, in one process; the server is for all of them. */
  var godwitTestLab: Shared | undefined;
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const shared = (globalThis.godwitTestLab ??= { server: start(), users: 0 });
  shared.users += 1;
  const { temporal } = await shared.server;
  project.provide('temporalAddress', temporal.address);
  project.provide('temporalBinary', temporal.options.binary);
  return async () => {
    shared.users -= 1;
    if (shared.users > 0) return;
    globalThis.godwitTestLab = undefined;
    const { folder } = await shared.server;
    await temporal.stop();
    await rm(folder, { recursive: true, force: true });
  };
}

async function start(): Promise<{ temporal: TemporalServer; folder: string }> {
  // A server that TEMPORAL_ADDRESS names belongs to somebody: tests never touch it.
  const env = { ...process.env, TEMPORAL_ADDRESS: undefined };
  const components = await ensureComponents({ env, onProgress: say });
  if (components.temporal.kind !== 'binary') throw new Error('the tests need a Temporal server of their own');
  const folder = await mkdtemp(join(tmpdir(), 'godwit-temporal-'));
  return { temporal: await TemporalServer.start({ binary: components.temporal.path, folder }), folder };
}
