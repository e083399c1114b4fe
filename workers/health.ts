/** `/healthz` and `/metrics` over HTTP, for probes and Prometheus. Nothing is served unless an address is given. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

export interface HealthOptions {
  /** `PORT` or `HOST:PORT`; loopback without a host. Port 0 takes a free one. */
  listen: string;
  registry: Registry;
  /** What isn't well, in words; empty when all is. */
  complaints: () => string[];
}

export interface Health {
  port: number;
  close(): Promise<void>;
}

export async function serveHealth({ listen, registry, complaints }: HealthOptions): Promise<Health> {
  const server = createServer((request, response) => {
    if (request.url === '/healthz') {
      const wrong = complaints();
      response.writeHead(wrong.length === 0 ? 200 : 503, { 'content-type': 'text/plain' });
      response.end(`${wrong.length === 0 ? 'ok' : wrong.join('\n')}\n`);
    } else if (request.url === '/metrics') {
      registry.metrics().then(
        (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
        () => response.writeHead(500).end(),
      );
    } else {
      response.writeHead(404).end();
    }
  });
  const [port, host = '127.0.0.1'] = listen.split(':').reverse();
  server.listen(Number(port), host);
  await once(server, 'listening');
  const address: AddressInfo | string | null = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : Number(port),
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close').catch(() => undefined);
    },
  };
}
