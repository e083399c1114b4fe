/** A hook as a user would write one: a real HTTP server that leads somewhere, and can misbehave as networks do. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { HookCall } from '../../activities/hook/endpoint.js';
import type { NormalHook } from '../../spec/normal.js';
import type { Primary } from '../../spec/status.js';

export interface Seen {
  method: string;
  path: string;
  authorization: string | undefined;
  body: HookCall | null;
}

/** What to do with one call; after it, the server behaves again. */
export type Misbehaviour =
  | { kind: 'apply, then drop the connection' }
  | { kind: 'drop the connection' }
  | { kind: 'hang' }
  | { kind: 'answer'; status: number; headers?: Record<string, string>; text?: string };

export class HookServer {
  readonly seen: Seen[] = [];
  primary: Primary = 'source';
  held = false;
  /** Called when it is led elsewhere, as the real thing would act. */
  onLead: (primary: Primary) => void = () => undefined;
  readonly #server: Server;
  readonly #next: { method: string; path: string; times: number; what: Misbehaviour }[] = [];
  readonly #hanging = new Set<ServerResponse>();

  private constructor() {
    this.#server = createServer((request, response) => {
      // Who gave up waiting has taken the rest of the request along.
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  static async start(): Promise<HookServer> {
    const hook = new HookServer();
    hook.#server.listen(0, '127.0.0.1');
    await once(hook.#server, 'listening');
    return hook;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** As the specification has it; `/primary` leads and tells, `/pause` and `/resume` hold. */
  endpoint(name: string, change: Partial<NormalHook> = {}): NormalHook {
    return {
      kind: 'hook',
      name,
      url: `${this.url}/primary`,
      token: null,
      check: { url: `${this.url}/primary`, status: null },
      hold: null,
      // Those of a test that says nothing of it are answered at once; a call that a busy machine took for lost would come twice.
      timeout: 5_000,
      hosts: { source: null, target: null },
      ...change,
    };
  }

  get hold(): NormalHook['hold'] {
    return { pause: `${this.url}/pause`, resume: `${this.url}/resume` };
  }

  /** The next calls of this kind, `times` of them, are treated so. */
  next(call: `${'GET' | 'POST'} /${string}`, what: Misbehaviour, times = 1): void {
    const [method = '', path = ''] = call.split(' ');
    this.#next.push({ method, path, times, what });
  }

  /** Bodies of the calls that came to one path by POST. */
  posts(path = '/primary'): HookCall[] {
    return this.seen.flatMap((one) => (one.method === 'POST' && one.path === path && one.body ? [one.body] : []));
  }

  async stop(): Promise<void> {
    for (const response of this.#hanging) response.destroy();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const text = Buffer.concat(parts).toString();
    const { method = '', url: path = '', headers } = request;
    const body = text === '' ? null : (JSON.parse(text) as HookCall);
    this.seen.push({ method, path, authorization: headers.authorization, body });
    const wish = this.#next.find((one) => one.times > 0 && one.method === method && one.path === path);
    if (wish !== undefined) {
      wish.times -= 1;
      this.#misbehave(wish.what, path, body, response);
      return;
    }
    this.#apply(path, body);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ primary: this.primary, held: this.held }));
  }

  #apply(path: string, body: HookCall | null): void {
    if (path === '/pause') this.held = true;
    if (path === '/resume') this.held = false;
    if (path !== '/primary' || body === null || body.primary === this.primary) return;
    this.primary = body.primary;
    this.onLead(body.primary);
  }

  #misbehave(what: Misbehaviour, path: string, body: HookCall | null, response: ServerResponse): void {
    switch (what.kind) {
      case 'apply, then drop the connection':
        this.#apply(path, body);
        response.destroy();
        return;
      case 'drop the connection':
        response.destroy();
        return;
      case 'hang':
        this.#hanging.add(response);
        return;
      case 'answer':
        response.writeHead(what.status, what.headers);
        response.end(what.text ?? '');
        return;
    }
  }
}
