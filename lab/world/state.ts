/** What a lab writes down, so that another process can ask after it and stop it. */
import { renameSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { TrafficPlaces } from '../traffic-world.js';

const ComponentState = z.object({
  name: z.string(),
  kind: z.enum(['temporal', 'postgres', 'pgbouncer', 'load', 'moto', 'traffic', 'prometheus']),
  /** Null: stopped, or not ours to stop. */
  process: z.object({ pid: z.number(), startedAt: z.string() }).nullable(),
  /** 0: it listens on none. */
  port: z.number(),
  /** Of Temporal's web UI. */
  uiPort: z.number().nullable(),
  log: z.string(),
});
export type ComponentState = z.infer<typeof ComponentState>;

const LabState = z.object({
  version: z.literal(1),
  /** Where the servers keep their files. */
  data: z.string(),
  /** Of a Temporal server that isn't ours. */
  temporalAddress: z.string().nullable(),
  /** The shop has its rows. */
  filled: z.boolean(),
  /** Of the part that serves traffic; null: none, or not yet. */
  traffic: z.custom<TrafficPlaces>().nullable().default(null),
  components: z.array(ComponentState),
});
export type LabState = z.infer<typeof LabState>;

const fileIn = (folder: string): string => join(folder, 'state.json');

/** Null: there is no lab in this folder. */
export async function readState(folder: string): Promise<LabState | null> {
  const text = await readFile(fileIn(folder), 'utf8').catch(() => null);
  return text === null ? null : LabState.parse(JSON.parse(text));
}

/**
 * Whole or not at all: whoever is killed while writing must not hide which processes to stop. Synchronous, so that no
 * server runs unknown while a promise waits.
 */
export function writeState(folder: string, state: LabState): void {
  const draft = `${fileIn(folder)}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(state, null, 2)}\n`);
  renameSync(draft, fileIn(folder));
}
