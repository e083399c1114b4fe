/** What a load's process and the one that started it say to each other. */
import type { WindowFigures } from './figures.js';
import type { Mix } from './requests.js';

export interface LoadSettings {
  /** Where clients connect: the pooler. */
  url: string;
  /** File of the record, 100 bytes a request; null: none. */
  record: string | null;
  clients: number;
  /** Requests a second over all clients; null: as fast as they get answers. */
  rate: number | null;
  mix: Mix;
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
