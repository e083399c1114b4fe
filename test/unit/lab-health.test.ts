/** A part of a lab is well once it does its work, not once something listens. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { healthOf } from '../../lab/world/health.js';
import { identityOf } from '../../lab/world/process-identity.js';

test('a Prometheus that answers, and says that it is not ready, fails', async () => {
  let status = 503;
  const server = createServer((_request, response) => response.writeHead(status).end());
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(() => void server.close());
  const component = {
    name: 'prometheus',
    kind: 'prometheus' as const,
    process: identityOf(process.pid),
    port: (server.address() as AddressInfo).port,
    uiPort: null,
    log: 'prometheus.log',
  };
  expect(await healthOf(component)).toMatchObject({ state: 'failing', problem: 'it answers 503, and is not ready' });
  status = 200;
  expect(await healthOf(component)).toMatchObject({ state: 'running', problem: null });
});
