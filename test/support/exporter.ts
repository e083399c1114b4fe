/** An exporter whose page a test writes, in the text format: https://prometheus.io/docs/instrumenting/exposition_formats/ */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

type Labels = Record<string, string>;

/** How many requests took at most so long, by the bounds of the exporter. */
export interface Served {
  labels: Labels;
  times: number;
  /** In the exporter's unit. */
  took: number;
}

export class Exporter {
  #lines: string[] = [];

  private constructor(readonly server: Server) {}

  static async start(): Promise<Exporter> {
    const server = createServer();
    const exporter = new Exporter(server);
    server.on('request', (_request, response) => {
      response.setHeader('content-type', 'text/plain; version=0.0.4').end(`${exporter.#lines.join('\n')}\n`);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return exporter;
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** From the next scrape on. */
  show(...lines: string[]): void {
    this.#lines = lines;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}

export function series(name: string, labels: Labels, value: number): string {
  const text = Object.entries(labels).map(([label, one]) => `${label}="${one}"`);
  return `${name}{${text.join(',')}} ${value}`;
}

/** A histogram as exporters write it: cumulative, with `+Inf`, sum and count. */
export function histogram(name: string, labels: Labels, bounds: number[], served: Omit<Served, 'labels'>[]): string[] {
  const upTo = (bound: number): number =>
    served.filter(({ took }) => took <= bound).reduce((all, { times }) => all + times, 0);
  const sum = served.reduce((all, { times, took }) => all + times * took, 0);
  return [
    ...bounds.map((le) => series(`${name}_bucket`, { ...labels, le: String(le) }, upTo(le))),
    series(`${name}_bucket`, { ...labels, le: '+Inf' }, upTo(Infinity)),
    series(`${name}_sum`, labels, sum),
    series(`${name}_count`, labels, upTo(Infinity)),
  ];
}
