/**
 * What others ask of the edge, on a port of its own:
 *
 * - `GET /target-health?targetGroupArn=…`: `[{targetId, port, state, reason, description}]`, what DescribeTargetHealth tells;
 *   404: it knows no such group, even after a look at the API
 * - `GET /listeners`: where the listeners of the API are on this machine
 * - `GET /metrics`: for Prometheus
 * - `POST /refresh`: what the API says now takes effect before this is answered
 * - `PUT /hosts`: where targets are, `{"10.0.0.7:8080": "127.0.0.1:40123"}`, on top of what is known
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import type { Edge } from './edge.js';

const HOSTS = z.record(z.string(), z.string());

interface Reply {
  status: number;
  type: string;
  body: string;
}

export class EdgeControl {
  readonly #server: Server;

  private constructor(readonly edge: Edge) {
    this.#server = createServer((request, response) => {
      void this.#reply(request)
        .catch((error: unknown) => plain(500, error instanceof Error ? error.message : String(error)))
        .then(({ status, type, body }) => response.writeHead(status, { 'content-type': type }).end(body));
    });
  }

  static async start(edge: Edge, port = 0): Promise<EdgeControl> {
    const control = new EdgeControl(edge);
    control.#server.listen(port, '127.0.0.1');
    await once(control.#server, 'listening');
    return control;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #reply(request: IncomingMessage): Promise<Reply> {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.url);
    switch (`${request.method} ${pathname}`) {
      case 'GET /target-health':
        return this.#targetHealth(searchParams.get('targetGroupArn'));
      case 'GET /listeners':
        return json(this.edge.listeners);
      case 'GET /metrics':
        return { status: 200, type: 'text/plain; version=0.0.4', body: await this.edge.metrics.registry.metrics() };
      case 'POST /refresh':
        await this.edge.refresh();
        return json({});
      case 'PUT /hosts':
        this.edge.place(HOSTS.parse(JSON.parse(await text(request))));
        return json({});
      default:
        return plain(404, 'GET /target-health, /listeners, /metrics; POST /refresh; PUT /hosts');
    }
  }

  async #targetHealth(arn: string | null): Promise<Reply> {
    if (arn === null) return plain(400, 'targetGroupArn is missing');
    if (this.edge.targetHealth(arn) === null) await this.edge.refresh();
    const health = this.edge.targetHealth(arn);
    return health === null ? plain(404, 'no such target group') : json(health);
  }
}

const json = (value: unknown): Reply => ({ status: 200, type: 'application/json', body: JSON.stringify(value) });
const plain = (status: number, body: string): Reply => ({ status, type: 'text/plain', body });
