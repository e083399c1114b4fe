/** A target behind the edge: a real HTTP server that says who it is, and can misbehave as servers do. */
import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { WebSocketServer } from 'ws';

export type Behaviour =
  | { kind: 'serve' }
  /** Answers when it is told to. */
  | { kind: 'wait' }
  /** Answers after so many milliseconds. */
  | { kind: 'slow'; ms: number }
  | { kind: 'reset' }
  | { kind: 'half an answer' }
  | { kind: 'fail'; status: number };

export class TargetServer {
  /** Status of `/health`; null: no answer. */
  health: number | null = 200;
  behaviour: Behaviour = { kind: 'serve' };
  cookie: string | null = null;
  /** Of requests other than health checks. */
  readonly seen: { url: string; headers: IncomingHttpHeaders }[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #webSockets = new WebSocketServer({ noServer: true });
  #waiting: ServerResponse[] = [];

  private constructor(readonly name: string) {
    this.#server = createServer((request, response) => this.#answer(request, response));
    this.#server.keepAliveTimeout = 120_000;
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('upgrade', (request, socket, head) => {
      this.#webSockets.handleUpgrade(request, socket, head, (ws) => {
        ws.on('message', (data: Buffer) => ws.send(`${this.name}: ${data.toString()}`));
      });
    });
  }

  static async start(name: string): Promise<TargetServer> {
    const target = new TargetServer(name);
    target.#server.listen(0, '127.0.0.1');
    await once(target.#server, 'listening');
    return target;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Answers those that wait. */
  release(): void {
    for (const response of this.#waiting) response.end(this.name);
    this.#waiting = [];
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { url = '/', headers } = request;
    if (url === '/health') {
      if (this.health !== null) response.writeHead(this.health).end();
      return;
    }
    this.seen.push({ url, headers });
    if (this.cookie !== null) response.setHeader('set-cookie', this.cookie);
    switch (this.behaviour.kind) {
      case 'serve':
        response.end(this.name);
        return;
      case 'wait':
        this.#waiting.push(response);
        return;
      case 'slow':
        setTimeout(() => response.end(this.name), this.behaviour.ms);
        return;
      case 'reset':
        request.socket.resetAndDestroy();
        return;
      case 'half an answer':
        response.writeHead(200, { 'content-length': '100' });
        response.write('half', () => request.socket.destroy());
        return;
      case 'fail':
        response.writeHead(this.behaviour.status).end(this.name);
    }
  }
}
