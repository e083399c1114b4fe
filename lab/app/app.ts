/**
 * The shop as a service over HTTP: the same program runs as blue and as green, over the same database.
 *
 * - `GET /health`; `GET /browse`; `POST /transfer`, `/order`, `/visit` with `{"id": UUID}`; WebSockets echo
 * - every answer has `x-version`; one to a request has `x-outcome`: acknowledged, failed (nothing was changed), unknown
 *
 * On a port of its own: `PUT /behaviour`, `GET /metrics`. An acknowledged request is committed: the proof that none is lost
 * stands on that.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { json, text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Counter, Histogram, Registry } from 'prom-client';
import { WebSocketServer } from 'ws';
import { z } from 'zod';
import { shopFigures } from '../load/connect.js';
import { outcomeOf } from '../load/outcome.js';
import { KINDS, type Outcome, type RequestKind } from '../load/record.js';
import { requestMaker, type ShopFigures } from '../load/requests.js';
import { Behaviour, delayOf, GOOD, type BehaviourChange } from './behaviour.js';

export interface AppOptions {
  /** `blue`, `green`. */
  version: string;
  database: string;
  /** @default any that is free */
  port?: number;
  /** @default any that is free */
  controlPort?: number;
}

export interface Receipt {
  outcome: Outcome;
  /** Which database server took it, and when by its clock, in microseconds; null for reads and failures. */
  server: string | null;
  at: number | null;
  error: string | null;
}

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10];
/** Longer than the edge keeps a connection that nobody uses; or it would send a request to one that is just being closed. */
const KEEP_ALIVE_MS = 600_000;
const POOL_SIZE = 8;
const BODY = z.object({ id: z.uuid() });
const RECEIPT = z.object({ server: z.string(), at: z.number() });

export class SampleApp {
  readonly #options: AppOptions;
  readonly #pool: pg.Pool;
  readonly #figures: ShopFigures;
  readonly #control: Server;
  readonly #sockets = new Set<Socket>();
  readonly #webSockets = new WebSocketServer({ noServer: true });
  readonly #registry = new Registry();
  readonly #requests = new Counter({
    name: 'http_requests_total',
    help: 'Requests by status',
    labelNames: ['code'],
    registers: [this.#registry],
  });
  readonly #seconds = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'How long requests took',
    buckets: SECONDS,
    registers: [this.#registry],
  });
  #behaviour: Behaviour = GOOD;
  #server: Server | null = null;
  #port = 0;

  private constructor(options: AppOptions, figures: ShopFigures) {
    this.#options = options;
    this.#figures = figures;
    this.#pool = new pg.Pool({ connectionString: options.database, max: POOL_SIZE, application_name: options.version });
    // One that was cut while idle is replaced.
    this.#pool.on('error', () => undefined);
    this.#control = createServer((request, response) => void this.#told(request, response));
  }

  static async start(options: AppOptions): Promise<SampleApp> {
    const app = new SampleApp(options, await shopFigures(options.database));
    app.#port = options.port ?? 0;
    await app.#open();
    app.#control.listen(options.controlPort ?? 0, '127.0.0.1');
    await once(app.#control, 'listening');
    return app;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get controlUrl(): string {
    return `http://127.0.0.1:${(this.#control.address() as AddressInfo).port}`;
  }

  async behave(change: BehaviourChange): Promise<void> {
    this.#behaviour = Behaviour.parse({ ...this.#behaviour, ...change });
    if (this.#behaviour.down) await this.#close();
    else if (this.#server === null) await this.#open();
  }

  async stop(): Promise<void> {
    await this.#close();
    this.#control.close();
    this.#control.closeAllConnections();
    await this.#pool.end();
  }

  async #open(): Promise<void> {
    const server = createServer(
      { keepAliveTimeout: KEEP_ALIVE_MS },
      (request, response) => void this.#serve(request, response),
    );
    this.#server = server;
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    server.on('upgrade', (request, socket, head) => {
      this.#webSockets.handleUpgrade(request, socket, head, (ws) => {
        ws.on('message', (data: Buffer) => ws.send(`${this.#options.version}: ${data.toString()}`));
      });
    });
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
  }

  async #close(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { version } = this.#options;
    response.setHeader('x-version', version);
    if (request.url === '/health') {
      response.writeHead(this.#behaviour.healthy ? 200 : 503).end();
      return;
    }
    const timer = this.#seconds.startTimer();
    response.once('finish', () => {
      timer();
      this.#requests.inc({ code: String(response.statusCode) });
    });
    const kind = kindOf(request);
    if (kind === null) {
      response.writeHead(404).end();
      return;
    }
    await sleep(delayOf(this.#behaviour, Math.random));
    const receipt = await this.#work(kind, request);
    response.writeHead(receipt.outcome === 'acknowledged' ? 200 : 500, {
      'content-type': 'application/json',
      'x-outcome': receipt.outcome,
    });
    response.end(JSON.stringify(receipt));
  }

  async #work(kind: RequestKind, request: IncomingMessage): Promise<Receipt> {
    const nothing = { server: null, at: null };
    const body = kind === 'read' ? { id: '' } : BODY.safeParse(await json(request).catch(() => null)).data;
    if (body === undefined) return { ...nothing, outcome: 'failed', error: 'BAD_REQUEST' };
    if (Math.random() < this.#behaviour.errorRate) return { ...nothing, outcome: 'failed', error: 'FAULTY' };
    const none = { transfer: 0, order: 0, visit: 0, read: 0 };
    const statement = requestMaker(this.#figures, { ...none, [kind]: 1 })(body.id);
    try {
      const { rows } = await this.#pool.query(statement.text, statement.values);
      const receipt = kind === 'read' ? nothing : RECEIPT.parse(rows[0]);
      return { ...receipt, outcome: 'acknowledged', error: null };
    } catch (error) {
      const { outcome, code } = outcomeOf(error);
      return { ...nothing, outcome, error: code };
    }
  }

  async #told(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      if (request.method === 'GET' && request.url === '/metrics') {
        response.setHeader('content-type', this.#registry.contentType);
        response.end(await this.#registry.metrics());
      } else if (request.method === 'PUT' && request.url === '/behaviour') {
        await this.behave(Behaviour.partial().parse(JSON.parse(await text(request))));
        response.end(JSON.stringify(this.#behaviour));
      } else {
        response.writeHead(404).end('GET /metrics; PUT /behaviour');
      }
    } catch (error) {
      response.writeHead(400).end(error instanceof Error ? error.message : String(error));
    }
  }
}

/** `GET /browse`, `POST /transfer`…; null: another path. */
function kindOf({ method, url = '' }: IncomingMessage): RequestKind | null {
  if (method === 'GET') return url === '/browse' ? 'read' : null;
  return KINDS.find((kind) => kind !== 'read' && url === `/${kind}`) ?? null;
}
