/** Flags that several commands share, as commander hands them over. */
import type { ConnectionFlags } from './connection.js';
import type { Format } from './output/document.js';

export type GlobalFlags = ConnectionFlags;

export interface OutputFlags {
  output: Format;
}

/** Of every message to a migration. */
export interface MessageFlags extends GlobalFlags, OutputFlags {
  by?: string;
  reason?: string;
}

export interface WaitFlags {
  wait?: boolean;
  /** Milliseconds. */
  timeout?: number;
}
