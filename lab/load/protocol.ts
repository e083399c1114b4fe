/** What a load's process and the one that started it say to each other. */
import type { WindowFigures } from './figures.js';
import type { Mix } from './requests.js';

export interface LoadSettings {
  /** Where clients connect: the pooler (`postgres://…`), or the application behind a load balancer (`http://…`). */
  url: string;
  /** File of the record, 100 bytes a request; null: none. */
  record: string | null;
  clients: number;
  /** Requests a second over all clients; null: as fast as they get answers. */
  rate: number | null;
  mix: Mix;
  /** Requests after which it stops by itself; null: when it is told to. */
  most: number | null;
  /** Of a load over HTTP: the root from which its users resolve the URL's name; null: the name is an address. */
  dns: { address: string; port: number } | null;
}

export interface LoadSnapshot {
  seconds: number;
  sent: number;
  acknowledged: number;
  failed: number;
  unknown: number;
  /** Over the last second or so. */
  perSecond: number;
  latencyMs: { p50: number; p99: number; worst: number };
  /** Requests by error. */
  errors: Record<string, number>;
  /** Answers by the version of the application that gave them; empty where there is none. */
  versions: Record<string, number>;
}

export type LoadQuestion =
  | { ask: 'start'; settings: LoadSettings }
  | { ask: 'snapshot' }
  | { ask: 'within'; from: number; to: number }
  | { ask: 'stop' };

export type LoadAnswer =
  | { answer: 'started'; run: string }
  | { answer: 'snapshot'; snapshot: LoadSnapshot }
  | { answer: 'within'; figures: WindowFigures }
  | { answer: 'stopped'; snapshot: LoadSnapshot };

/** `id` joins a question and its reply: a snapshot is answered while a stop still waits for the last requests. */
export interface LoadMessage {
  id: number;
  question: LoadQuestion;
}

export type LoadReply = { id: number } & ({ ok: true; value: LoadAnswer } | { ok: false; error: string });
