/** Free ports of the loopback address for what starts there: one that another program takes in between is given up for another. */
import getPort from 'get-port';

/** Each try is a race of its own with whatever else starts on the machine. */
const TRIES = 3;

/** The port that the caller wants, else a free one. */
export type Pick = (wanted?: number) => Promise<number>;

/**
 * `start` with free ports, again with others when it failed because an address was in use. A port that the caller wants stays
 * what it is: then the failure is the caller's.
 */
export async function onFreePorts<T>(
  start: (pick: Pick) => Promise<T>,
  free: () => Promise<number> = freePort,
): Promise<T> {
  for (let tried = 1; ; tried += 1) {
    let chosen = false;
    const pick: Pick = async (wanted) => {
      if (wanted !== undefined) return wanted;
      chosen = true;
      return free();
    };
    try {
      return await start(pick);
    } catch (error) {
      if (!chosen || tried === TRIES || !isPortTaken(error)) throw error;
    }
  }
}

const freePort = (): Promise<number> => getPort({ host: '127.0.0.1' });

/** Errors of processes hold the end of their log, and the kernel has one text for it. */
export function isPortTaken(error: unknown): boolean {
  return error instanceof Error && /address already in use|EADDRINUSE/i.test(error.message);
}
