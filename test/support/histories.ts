/** All that a migration left in Temporal and in its workers' logs, as text to search. */
import { readFile } from 'node:fs/promises';
import type { RealWorld } from './real-world.js';

/** Text by where it was found: the whole history of the migration and each child, memos and queries, logs of workers. */
export async function textsOf(world: RealWorld, id: string): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  for await (const { workflowId, runId } of world.client.workflow.list({ query: `WorkflowId starts_with '${id}'` })) {
    const handle = world.client.workflow.getHandle(workflowId, runId);
    const strings = [...stringsIn(await handle.fetchHistory()), ...stringsIn((await handle.describe()).raw)];
    texts.set(`history of ${workflowId}`, strings.join('\n'));
  }
  texts.set('status', JSON.stringify(await world.status(id)));
  texts.set('state', JSON.stringify(await world.state(id)));
  for (const log of world.logs) texts.set(log, await readFile(log, 'utf8'));
  return texts;
}

/** Where one of the secrets is, or a URL with a password. */
export function secretsIn(texts: Map<string, string>, secrets: string[]): string[] {
  const found: string[] = [];
  for (const [where, text] of texts) {
    for (const secret of secrets) if (text.includes(secret)) found.push(`${secret} in ${where}`);
    const url = /[a-z]+:\/\/[^\s/:@]+:[^\s/@*]+@/.exec(text)?.[0];
    if (url !== undefined) found.push(`${url} in ${where}`);
  }
  return found;
}

/** Payloads are bytes. */
function* stringsIn(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (value instanceof Uint8Array) yield Buffer.from(value).toString('utf8');
  else if (typeof value === 'object' && value !== null)
    for (const inner of Object.values(value)) yield* stringsIn(inner);
}
