/** Clients that nobody moves, on purpose: the fence's 25006 tells them that the primary is elsewhere. */
import type { NormalNone } from '../spec/normal.js';
import type { EndpointHandle } from './endpoint-handle.js';

const NOTHING = 'none';

export class UnmovedClients implements EndpointHandle {
  readonly pauses = false;

  constructor(readonly endpoint: NormalNone) {}

  get name(): string {
    return this.endpoint.name;
  }

  prove(): Promise<string> {
    return Promise.resolve(NOTHING);
  }

  pause(): Promise<boolean> {
    return Promise.resolve(true);
  }

  async pointAt(): Promise<void> {}

  async resume(): Promise<void> {}

  async sweep(): Promise<void> {}

  async close(): Promise<void> {}
}
