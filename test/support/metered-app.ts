/** A service whose metrics tests decide: served requests are counted, and nothing else happens. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, Histogram, Registry, Summary } from 'prom-client';

export class MeteredApp {
  #registry = new Registry();
  #requests = counter(this.#registry);
  #duration = histogram(this.#registry);
  #summary = summary(this.#registry);

  private constructor(readonly server: Server) {}

  static async start(): Promise<MeteredApp> {
    const server = createServer();
    const app = new MeteredApp(server);
    server.on('request', (_request, response) => {
      void app.#registry.metrics().then((text) => response.setHeader('content-type', 'text/plain').end(text));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    app.restart();
    return app;
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  serve(times: number, code: number, seconds = 0.02): void {
    this.#requests.inc({ code }, times);
    for (let time = 0; time < times; time += 1) {
      this.#duration.observe(seconds);
      this.#summary.observe(seconds);
    }
  }

  /** Its counters begin at 0 again, as in a new process. */
  restart(): void {
    this.#registry = new Registry();
    this.#requests = counter(this.#registry);
    this.#duration = histogram(this.#registry);
    this.#summary = summary(this.#registry);
    for (const code of [200, 500]) this.#requests.inc({ code }, 0);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}

const counter = (registry: Registry): Counter<'code'> =>
  new Counter({ name: 'http_requests_total', help: 'Requests.', labelNames: ['code'], registers: [registry] });

const histogram = (registry: Registry): Histogram =>
  new Histogram({ name: 'http_request_duration_seconds', help: 'Time to the answer.', registers: [registry] });

const summary = (registry: Registry): Summary =>
  new Summary({
    name: 'http_request_summary_seconds',
    help: 'Time to the answer.',
    percentiles: [0.95],
    registers: [registry],
  });
