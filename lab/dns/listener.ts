/** One address on which questions are answered, over UDP and TCP. RFC 1035 4.2, RFC 6891 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { decode, encode, streamEncode, TRUNCATED_RESPONSE, type DecodedPacket, type Packet } from 'dns-packet';

export type Respond = (query: DecodedPacket) => Promise<Packet> | Packet;

export interface Place {
  address: string;
  port: number;
}

/** What a datagram holds where the client doesn't say that it takes more. */
const PLAIN_SIZE = 512;
/** More would be fragmented on the way: https://www.dnsflagday.net/2020/ */
const MOST = 1_232;

const SERVFAIL = 2;

export class DnsListener {
  readonly #udp: UdpSocket = createSocket('udp4');
  readonly #tcp: Server;
  readonly #connections = new Set<Socket>();

  private constructor(
    readonly place: Place,
    readonly respond: Respond,
  ) {
    this.#tcp = createServer((socket) => this.#serve(socket));
    this.#udp.on('message', (message, { address, port }) => {
      void this.#overUdp(message).then((reply) => {
        if (reply !== null && !this.#closed) this.#udp.send(reply, port, address);
      });
    });
    this.#udp.on('error', () => undefined);
  }

  #closed = false;

  /** Fails as `bind` and `listen` do. */
  static async open(place: Place, respond: Respond): Promise<DnsListener> {
    const listener = new DnsListener(place, respond);
    listener.#tcp.listen(place.port, place.address);
    await once(listener.#tcp, 'listening');
    try {
      listener.#udp.bind(place.port, place.address);
      await once(listener.#udp, 'listening');
    } catch (error) {
      listener.#tcp.close();
      throw error;
    }
    return listener;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const closed = [once(this.#udp, 'close'), once(this.#tcp, 'close')];
    this.#udp.close();
    this.#tcp.close();
    for (const socket of this.#connections) socket.destroy();
    await Promise.all(closed);
  }

  async #overUdp(message: Buffer): Promise<Buffer | null> {
    const query = read(message);
    if (query === null) return null;
    const response = await this.#answer(query);
    const whole = encode(response);
    if (whole.length <= sizeFor(query)) return whole;
    return encode({
      ...response,
      flags: (response.flags ?? 0) | TRUNCATED_RESPONSE,
      answers: [],
      authorities: [],
      additionals: [],
    });
  }

  #serve(socket: Socket): void {
    this.#connections.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#connections.delete(socket));
    let received = Buffer.alloc(0);
    socket.on('data', (part: Buffer) => {
      received = Buffer.concat([received, part]);
      while (received.length >= 2 && received.length >= received.readUInt16BE(0) + 2) {
        const end = received.readUInt16BE(0) + 2;
        const query = read(received.subarray(2, end));
        received = received.subarray(end);
        if (query !== null) void this.#answer(query).then((response) => socket.write(streamEncode(response)));
      }
    });
  }

  async #answer(query: DecodedPacket): Promise<Packet> {
    const about = { type: 'response', id: query.id ?? 0, questions: query.questions ?? [] } as const;
    try {
      return { ...(await this.respond(query)), ...about };
    } catch {
      return { ...about, flags: SERVFAIL };
    }
  }
}

function sizeFor(query: DecodedPacket): number {
  const options = query.additionals?.find((record) => record.type === 'OPT');
  return options?.type === 'OPT' ? Math.min(MOST, Math.max(PLAIN_SIZE, options.udpPayloadSize)) : PLAIN_SIZE;
}

function read(message: Buffer): DecodedPacket | null {
  try {
    const packet = decode(message);
    return packet.type === 'query' ? packet : null;
  } catch {
    return null;
  }
}
