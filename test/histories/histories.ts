/** Recorded histories as files: one a run, without anything of the machine that recorded them. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WorkflowHandle } from '@temporalio/client';
import { temporal } from '@temporalio/proto';

const folder = dirname(fileURLToPath(import.meta.url));

export interface RecordedHistory {
  name: string;
  workflowId: string;
  history: History;
}

/** protobufjs' own plain form, since Temporal's `historyToJSON` fails where npm installs two copies of protobufjs. */
const { History } = temporal.api.history.v1;
type History = temporal.api.history.v1.IHistory;

interface Recorded {
  workflowId: string;
  history: Record<string, unknown>;
}

export async function recordedHistories(): Promise<RecordedHistory[]> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort();
  return Promise.all(
    files.map(async (file) => {
      const { workflowId, history } = JSON.parse(await readFile(join(folder, file), 'utf8')) as Recorded;
      return { name: basename(file, '.json'), workflowId, history: History.fromObject(history) };
    }),
  );
}

export async function saveHistory(name: string, handle: WorkflowHandle): Promise<void> {
  const recorded = History.toObject(History.fromObject(await handle.fetchHistory()), { bytes: String, longs: String });
  const history = JSON.stringify({ workflowId: handle.workflowId, history: recorded }, withoutMachine);
  await writeFile(join(folder, `${name}.json`), `${history}\n`);
}

/** Process ids, host names and paths are nobody's business, and would change the file with every recording. */
function withoutMachine(key: string, value: unknown): unknown {
  if (key === 'stackTrace') return '';
  if (key === 'identity' || key === 'workerIdentity') return 'worker';
  return typeof value === 'string' ? value.replace(/\d+@[A-Za-z0-9.-]+(-[0-9a-f]{8,})?/g, 'worker') : value;
}
