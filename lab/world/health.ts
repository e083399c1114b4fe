/** Whether a part of a lab does its work: not that its process is there, but that it answers. */
import pg from 'pg';
import { motoAnswers } from '../aws/moto.js';
import { PgBouncer } from '../pgbouncer.js';
import { answers } from '../temporal.js';
import { SEARCH_ATTRIBUTES } from '../../spec/messages.js';
import { superuserUrl } from './environment.js';
import { runs } from './process-identity.js';
import type { ComponentState } from './state.js';

export interface ComponentHealth {
  name: string;
  state: 'running' | 'stopped' | 'failing';
  /** `host:port`; null for what listens on none. */
  address: string | null;
  /** Of a web page, where there is one. */
  page: string | null;
  pid: number | null;
  log: string;
  /** Why it fails; null when it doesn't. */
  problem: string | null;
}

const ANSWER_WITHIN_MS = 5_000;

export async function healthOf(component: ComponentState): Promise<ComponentHealth> {
  const { name, kind, port, uiPort, log, process: identity } = component;
  const known = {
    name,
    address: port === 0 ? null : `127.0.0.1:${port}`,
    page: uiPort !== null ? `http://127.0.0.1:${uiPort}` : kind === 'prometheus' ? `http://127.0.0.1:${port}` : null,
    log,
  };
  if (identity === null || !runs(identity)) return { ...known, state: 'stopped', pid: null, problem: null };
  try {
    await probe(component);
    return { ...known, state: 'running', pid: identity.pid, problem: null };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { ...known, state: 'failing', pid: identity.pid, problem };
  }
}

async function probe({ kind, port }: ComponentState): Promise<void> {
  switch (kind) {
    case 'temporal':
      if (await answers(`127.0.0.1:${port}`, Object.values(SEARCH_ATTRIBUTES))) return;
      throw new Error('the search attributes are missing; `godwit namespace setup` registers them');
    case 'postgres':
      return query(superuserUrl(port, 'postgres'), 'select 1');
    case 'moto':
      if (await motoAnswers(`http://127.0.0.1:${port}`)) return;
      throw new Error('it does not answer');
    case 'traffic':
      // Unsigned, so refused: by the stand-in for AWS, which is alive then.
      await fetch(`http://127.0.0.1:${port}`, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
      return;
    case 'prometheus':
      return ready(`http://127.0.0.1:${port}/-/ready`);
    case 'load':
      // It asks; that it runs is all there is to know. Its log has the figures.
      return;
    case 'pgbouncer':
      return query(
        `postgres://${PgBouncer.admin}:${PgBouncer.adminPassword}@127.0.0.1:${port}/pgbouncer`,
        'show version',
      );
  }
}

/** Prometheus answers 503 while it reads its log, and once it can't. */
async function ready(url: string): Promise<void> {
  const { status } = await fetch(url, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
  if (status !== 200) throw new Error(`it answers ${status}, and is not ready`);
}

async function query(connectionString: string, sql: string): Promise<void> {
  const client = new pg.Client({
    connectionString,
    connectionTimeoutMillis: ANSWER_WITHIN_MS,
    query_timeout: ANSWER_WITHIN_MS,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query(sql);
  } finally {
    await client.end().catch(() => undefined);
  }
}
