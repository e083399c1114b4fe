/** Prepares and copies one database in a process of its own, so that its memory is its own: `copy-process.ts MOVE`, as JSON. */
import { readFile } from 'node:fs/promises';
import type { DatabaseMove } from '../activities/contract.js';
import { initialSync } from '../activities/postgres/copy/initial-sync.js';
import type { SyncFigures } from '../spec/status.js';
import { prepareReplication } from '../test/support/sync.js';

export interface CopyReport {
  /** Authority, schema, fence and publication. */
  preparationMs: number;
  /** Rows, keys and indexes, until replication runs. */
  copyMs: number;
  figures: SyncFigures;
  /** The most memory that the process ever had. Null: no /proc to ask. */
  peakKiB: number | null;
}

const move = JSON.parse(process.argv[2] ?? '') as DatabaseMove;
const began = performance.now();
await prepareReplication(move);
const prepared = performance.now();
const figures = await initialSync(move);
const report: CopyReport = {
  preparationMs: prepared - began,
  copyMs: performance.now() - prepared,
  figures,
  peakKiB: await peakKiB(),
};
console.log(JSON.stringify(report));

async function peakKiB(): Promise<number | null> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const found = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  return found === undefined ? null : Number(found);
}
