/** A TCP edge in front of two servers, as a proxy that a hook moves: it cuts what leads to the old one. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export class TcpEdge {
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  #to: number;

  private constructor(to: number) {
    this.#to = to;
    this.#server = createServer((client) => this.#join(client));
  }

  /** @param to port on this machine that it leads to */
  static async start(to: number): Promise<TcpEdge> {
    const edge = new TcpEdge(to);
    edge.#server.listen(0, '127.0.0.1');
    await once(edge.#server, 'listening');
    return edge;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** From now on to another port; connections to the old one are cut. */
  lead(to: number): void {
    this.#to = to;
    this.#cut();
  }

  async stop(): Promise<void> {
    this.#cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #cut(): void {
    for (const socket of this.#open) socket.destroy();
  }

  #join(client: Socket): void {
    const server = connect({ host: '127.0.0.1', port: this.#to });
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#open.add(one);
      one.on('error', () => one.destroy());
      one.on('close', () => {
        this.#open.delete(one);
        other.destroy();
      });
      one.pipe(other);
      one.setNoDelay(true);
    }
  }
}
