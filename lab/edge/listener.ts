/** One listener: the port that clients connect to, and the way of a request through rules, groups and targets. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { chooseGroup, type Random } from './choose.js';
import type { FixedResponse, Forward, ListenerConfiguration, Redirect } from './configuration.js';
import { readCookie, setCookie, valueOf } from './cookies.js';
import type { Errand, Forwarder } from './forward.js';
import type { EdgeMetrics } from './metrics.js';
import { answer, errorPage, writeRaw } from './own-answers.js';
import { actionFor, locationOf, type IncomingRequest } from './rules.js';
import type { LiveTargetGroup } from './target-group.js';

const GROUP_COOKIE = 'AWSALBTG';
const TARGET_COOKIE = 'AWSALB';
/** Instead of it, where the application's own cookie says how long. */
const TARGET_COOKIE_OF_APPLICATION = 'AWSALBAPP-0';

export interface ListenerParts {
  group: (arn: string) => LiveTargetGroup | undefined;
  forwarder: Forwarder;
  metrics: EdgeMetrics;
  secondMs: number;
  random: Random;
}

export class LiveListener {
  readonly #server: Server;
  readonly #parts: ListenerParts;
  readonly #sockets = new Set<Socket>();

  private constructor(
    public configuration: ListenerConfiguration,
    parts: ListenerParts,
  ) {
    this.#parts = parts;
    this.#server = createServer({ keepAliveTimeout: configuration.loadBalancer.idleTimeoutMs }, (request, response) =>
      this.#answer(request, response),
    );
    this.#server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) =>
      this.#upgrade(request, socket, head),
    );
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  /** @param port 0: any that is free. Fails with EADDRINUSE and EADDRNOTAVAIL as `listen` does. */
  static async open(
    configuration: ListenerConfiguration,
    parts: ListenerParts,
    place: { host: string; port: number },
  ): Promise<LiveListener> {
    const listener = new LiveListener(configuration, parts);
    listener.#server.listen(place);
    await once(listener.#server, 'listening');
    return listener;
  }

  get address(): { host: string; port: number } {
    const { address, port } = this.#server.address() as AddressInfo;
    return { host: address, port };
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    // https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html#http-405-issues
    if (request.method === 'TRACE') return this.#refuse(response, 405);
    const incoming = incomingOf(request);
    const action = actionFor(this.configuration.rules, incoming);
    switch (action.type) {
      case 'fixed-response':
        return answer(response, action.status, fixedHeaders(action), action.body);
      case 'redirect':
        return answer(response, action.status, this.#redirectHeaders(action, incoming));
      case 'forward': {
        const errand = this.#errand(action, request);
        if (errand === null) return this.#refuse(response, 503);
        this.#parts.forwarder.web(request, response, errand);
      }
    }
  }

  /** Only the first request of a WebSocket is routed; from then on it stays with its target. */
  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const incoming = incomingOf(request);
    const action = actionFor(this.configuration.rules, incoming);
    switch (action.type) {
      case 'fixed-response':
        return writeRaw(socket, action.status, fixedHeaders(action), action.body);
      case 'redirect':
        return writeRaw(socket, action.status, this.#redirectHeaders(action, incoming), '');
      case 'forward': {
        const errand = this.#errand(action, request);
        if (errand === null) {
          this.#parts.metrics.refused(this.#nowhere(), 503);
          return writeRaw(socket, 503);
        }
        this.#parts.forwarder.socket(request, socket, head, errand);
      }
    }
  }

  /** Null: there is nobody to send it to. */
  #errand(action: Forward, request: IncomingMessage): Errand | null {
    const { random, secondMs } = this.#parts;
    const { loadBalancer } = this.configuration;
    const groupCookie = action.stickyFor === null ? null : readCookie(request.headers.cookie, GROUP_COOKIE);
    const chosen = chooseGroup(action.groups, groupCookie?.to ?? null, random);
    const group = chosen === null ? undefined : this.#parts.group(chosen.arn);
    if (group === undefined) return null;
    const { stickiness, dimension, arn } = group.configuration;
    const name = stickiness?.kind === 'app_cookie' ? TARGET_COOKIE_OF_APPLICATION : TARGET_COOKIE;
    const targetCookie = stickiness === null ? null : readCookie(request.headers.cookie, name);
    const target = group.choose(targetCookie?.to ?? null, random);
    if (target === null) return null;
    addForwardedHeaders(request, this.configuration);
    return {
      target,
      place: { loadBalancer: loadBalancer.dimension, targetGroup: dimension },
      idleTimeoutMs: loadBalancer.idleTimeoutMs,
      // Each answer begins the time anew.
      cookies: (ofTarget) => {
        const until = (seconds: number): number => Date.now() + seconds * secondMs;
        const sticks =
          stickiness !== null &&
          (stickiness.kind === 'lb_cookie' ||
            targetCookie !== null ||
            ofTarget.some((one) => valueOf(one, stickiness.cookie) !== null));
        return [
          ...(action.stickyFor === null ? [] : setCookie(GROUP_COOKIE, { to: arn, until: until(action.stickyFor) })),
          ...(sticks ? setCookie(name, { to: target.key, until: until(stickiness.duration) }) : []),
        ];
      },
    };
  }

  #refuse(response: ServerResponse, status: number): void {
    this.#parts.metrics.refused(this.#nowhere(), status);
    errorPage(response, status);
  }

  #nowhere() {
    return { loadBalancer: this.configuration.loadBalancer.dimension, targetGroup: null };
  }

  #redirectHeaders(action: Redirect, incoming: IncomingRequest): Record<string, string> {
    return { location: locationOf(action, incoming, this.configuration) };
  }
}

const fixedHeaders = ({ contentType }: FixedResponse): Record<string, string> => ({ 'content-type': contentType });

function incomingOf(request: IncomingMessage): IncomingRequest {
  return {
    method: request.method ?? 'GET',
    url: request.url ?? '/',
    headers: request.headers,
    source: (request.socket.remoteAddress ?? '').replace(/^::ffff:/, ''),
  };
}

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html */
function addForwardedHeaders(request: IncomingMessage, { protocol, port }: ListenerConfiguration): void {
  const before = request.headers['x-forwarded-for'];
  const { source } = incomingOf(request);
  request.headers['x-forwarded-for'] = before === undefined ? source : `${String(before)}, ${source}`;
  request.headers['x-forwarded-proto'] = protocol.toLowerCase();
  request.headers['x-forwarded-port'] = String(port);
  const time = Math.floor(Date.now() / 1_000).toString(16);
  request.headers['x-amzn-trace-id'] ??= `Root=1-${time}-${randomBytes(12).toString('hex')}`;
}
