/** Logs as JSON lines by pino; of an error only its type and message, which interceptors have scrubbed. */
import type { Logger as TemporalLogger, LogLevel, LogMetadata } from '@temporalio/common';
import { ApplicationFailure } from '@temporalio/common';
import pino, { type Logger } from 'pino';
import { scrubText } from './scrub.js';

export function makeLog(level: string): Logger {
  return pino({ level, base: { service: 'godwit' }, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination(2));
}

/** Temporal's SDK writes through the same. */
export function temporalLog(log: Logger): TemporalLogger {
  const write = (level: LogLevel, message: string, meta?: LogMetadata): void => {
    log[LEVELS[level]](fields(meta), scrubText(message));
  };
  return {
    log: write,
    trace: (message, meta) => write('TRACE', message, meta),
    debug: (message, meta) => write('DEBUG', message, meta),
    info: (message, meta) => write('INFO', message, meta),
    warn: (message, meta) => write('WARN', message, meta),
    error: (message, meta) => write('ERROR', message, meta),
  };
}

const LEVELS = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;

function fields(meta: LogMetadata | undefined): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(meta ?? {})
      .filter(([, value]) => typeof value !== 'symbol' && typeof value !== 'function')
      .map(([name, value]: [string, unknown]) => [name, value instanceof Error ? brief(value) : value]),
  );
}

function brief(error: Error): { type: string; message: string } {
  const type = error instanceof ApplicationFailure ? (error.type ?? error.name) : error.name;
  return { type, message: scrubText(error.message) };
}
