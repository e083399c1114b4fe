/** A port that is taken between its choice and its use. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import getPort from 'get-port';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { isPortTaken, onFreePorts } from '../../lab/free-port.js';
import { PgBouncer } from '../../lab/pgbouncer.js';
import { PostgresServer } from '../../lab/postgres.js';
import { TemporalServer } from '../../lab/temporal.js';

let folder: string;
let other: Server;
let taken: number;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'godwit-ports-'));
  await chmod(folder, 0o755);
  other = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(other, 'listening');
  taken = (other.address() as AddressInfo).port;
});
afterAll(async () => {
  other.close();
  await rm(folder, { recursive: true, force: true });
});

const STARTS: Record<string, (port: number, name: string) => Promise<{ port: number; stop(): Promise<void> }>> = {
  Postgres: (port, name) => PostgresServer.start({ name, folder: join(folder, `postgres-${name}`), port }),
  PgBouncer: (port, name) => PgBouncer.start({ name, folder: join(folder, `pgbouncer-${name}`), databases: {}, port }),
  Temporal: (port, name) =>
    TemporalServer.start({
      binary: inject('temporalBinary'),
      folder: join(folder, `temporal-${name}`),
      port,
      uiPort: null,
    }),
};

test.each(Object.keys(STARTS))(
  '%s is started on another one; one that the caller wants is not exchanged',
  async (kind) => {
    const start = STARTS[kind];
    const ports = [taken, await getPort({ host: '127.0.0.1' })];
    const wanted = ports[1];
    const server = await onFreePorts(
      async (pick) => start?.(await pick(), 'free'),
      () => Promise.resolve(ports.shift() ?? 0),
    );
    expect(server?.port).toBe(wanted);
    await server?.stop();
    const refusal: unknown = await onFreePorts(async (pick) => start?.(await pick(taken), 'wanted')).catch(
      (error: unknown) => error,
    );
    expect(isPortTaken(refusal)).toBe(true);
  },
);

test('what fails for another reason is not tried again', async () => {
  let tries = 0;
  const failing = onFreePorts(async (pick) => {
    tries += 1;
    await pick();
    throw new Error('no such binary');
  });
  await expect(failing).rejects.toThrow('no such binary');
  expect(tries).toBe(1);
});
