/**
 * Takes one request, or one WebSocket, to a target and its answer back. Every request that was begun ends here exactly once: with
 * the target's answer, with one of ours (502: the target refused or broke off; 504: it took too long), or with its client gone.
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
 */
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { createProxyServer } from 'http-proxy-3';
import { errorPage, writeRaw } from './own-answers.js';
import type { EdgeMetrics, Place } from './metrics.js';
import type { Target } from './target.js';

/** ALB gives a target so long to accept a connection. */
const CONNECT_TIMEOUT_MS = 10_000;

export interface Errand {
  target: Target;
  place: Place;
  /** Real milliseconds without a byte, after which the target has taken too long. */
  idleTimeoutMs: number;
  /** Cookies for the answer, once the target's own are known. */
  cookies: (ofTarget: string[]) => string[];
}

/** A request on its way. */
interface Trip extends Errand {
  begunAt: number;
  outgoing: ClientRequest | null;
  timedOut: boolean;
  settled: boolean;
  land: () => void;
}

export class Forwarder {
  readonly #proxy = createProxyServer({ connectTimeout: CONNECT_TIMEOUT_MS });
  readonly #trips = new WeakMap<IncomingMessage, Trip>();

  constructor(readonly metrics: EdgeMetrics) {
    this.#proxy.on('proxyReq', (outgoing, request) => this.#leaves(request, outgoing));
    this.#proxy.on('proxyReqWs', (outgoing, request, socket) => {
      this.#leaves(request, outgoing);
      const trip = this.#trips.get(request);
      outgoing.on('upgrade', (answer) => {
        this.#answered(request, answer);
        if (trip) socket.setTimeout(trip.idleTimeoutMs, () => socket.destroy());
      });
      outgoing.on('response', (answer) => this.#answered(request, answer));
    });
    this.#proxy.on('proxyRes', (answer, request, response) => {
      this.#answered(request, answer);
      // A target that breaks off in the middle of its answer: the client must not wait for the rest.
      answer.on('error', () => response.destroy());
    });
    // The client went away; there is nobody to answer.
    this.#proxy.on('econnreset', () => undefined);
  }

  web(request: IncomingMessage, response: ServerResponse, errand: Errand): void {
    const trip = this.#begin(request, errand, () => response.destroy());
    response.once('close', trip.land);
    const to = errand.target.locate(errand.target.address);
    const options = { target: destination(to), agent: errand.target.agent };
    this.#proxy.web(request, response, options, (error) => {
      const status = this.#failed(trip, error);
      if (status === null) return;
      if (response.headersSent) response.destroy();
      else errorPage(response, status);
    });
  }

  socket(request: IncomingMessage, socket: Socket, head: Buffer, errand: Errand): void {
    const trip = this.#begin(request, errand, () => socket.destroy());
    socket.once('close', trip.land);
    const to = errand.target.locate(errand.target.address);
    this.#proxy.ws(request, socket, head, { target: destination(to) }, (error) => {
      const status = this.#failed(trip, error);
      if (status !== null) writeRaw(socket, status);
    });
  }

  #begin(request: IncomingMessage, errand: Errand, hangUp: () => void): Trip {
    this.metrics.requested(errand.place);
    const cut = (): void => (trip.outgoing && !trip.settled ? void trip.outgoing.destroy() : hangUp());
    const trip: Trip = {
      ...errand,
      begunAt: performance.now(),
      outgoing: null,
      timedOut: false,
      settled: false,
      land: errand.target.begin({ cut }),
    };
    this.#trips.set(request, trip);
    return trip;
  }

  #leaves(request: IncomingMessage, outgoing: ClientRequest): void {
    const trip = this.#trips.get(request);
    if (!trip) return;
    trip.outgoing = outgoing;
    outgoing.setTimeout(trip.idleTimeoutMs, () => {
      if (outgoing.socket?.connecting) return;
      trip.timedOut = !trip.settled;
      outgoing.destroy();
    });
  }

  #answered(request: IncomingMessage, answer: IncomingMessage): void {
    const trip = this.#trips.get(request);
    if (!trip || trip.settled) return;
    trip.settled = true;
    this.metrics.answered(trip.place, answer.statusCode ?? 0, (performance.now() - trip.begunAt) / 1_000);
    const own = answer.headers['set-cookie'] ?? [];
    const cookies = [...own, ...trip.cookies(own)];
    if (cookies.length > 0) answer.headers['set-cookie'] = cookies;
    // Ours to the client are our own: a target that closes its connection doesn't close the client's.
    delete answer.headers['connection'];
    delete answer.headers['keep-alive'];
    if (answer.statusCode === 101) answer.headers['connection'] = 'Upgrade';
  }

  /** Status of the answer that is ours to give; null: it is too late for one. */
  #failed(trip: Trip, error: Error): 502 | 504 | null {
    if (trip.settled) return null;
    trip.settled = true;
    const slow = trip.timedOut || ('code' in error && error.code === 'ECONNECT_TIMEOUT');
    const status = slow ? 504 : 502;
    this.metrics.connectionFailed(trip.place);
    this.metrics.refused(trip.place, status);
    return status;
  }
}

/** Nowhere: port 9 (discard) of an address that answers nothing. https://www.rfc-editor.org/rfc/rfc5737 */
const destination = (to: { host: string; port: number } | null) => to ?? { host: '192.0.2.1', port: 9 };
