/** One question to one name server: over UDP, and over TCP where the answer doesn't fit. RFC 1035 4.2 */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import {
  decode,
  encode,
  RECURSION_DESIRED,
  streamEncode,
  type DecodedPacket,
  type Packet,
  type Question,
} from 'dns-packet';
import type { Place } from './listener.js';

export interface AskOptions {
  recursive?: boolean;
  overTcp?: boolean;
  /** Size of datagrams that we take; null: the plain 512. */
  size?: number | null;
  timeoutMs?: number;
}

export async function ask(
  server: Place,
  { name, type }: Pick<Question, 'name' | 'type'>,
  options: AskOptions = {},
): Promise<DecodedPacket> {
  const { recursive = false, overTcp = false, size = null, timeoutMs = 2_000 } = options;
  const query: Packet & { id: number } = {
    type: 'query',
    id: randomInt(65_536),
    flags: recursive ? RECURSION_DESIRED : 0,
    questions: [{ name, type, class: 'IN' }],
    additionals: size === null ? [] : [optionsRecord(size)],
  };
  const answer = overTcp ? null : await datagram(server, query, timeoutMs);
  return answer === null || answer.flag_tc ? stream(server, query, timeoutMs) : answer;
}

/** As the datagram came, cut short or not. */
export function datagram(
  { address, port }: Place,
  query: Packet & { id: number },
  timeoutMs = 2_000,
): Promise<DecodedPacket> {
  const socket = createSocket('udp4');
  return new Promise<DecodedPacket>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no answer of ${address}:${port}`)), timeoutMs);
    socket.on('error', reject);
    socket.on('message', (message) => {
      const answer = decode(message);
      if (answer.id !== query.id) return;
      clearTimeout(late);
      resolve(answer);
    });
    socket.connect(port, address, () => socket.send(encode(query)));
  }).finally(() => socket.close());
}

function stream({ address, port }: Place, query: Packet, timeoutMs: number): Promise<DecodedPacket> {
  const socket = connect({ host: address, port, timeout: timeoutMs });
  return new Promise<DecodedPacket>((resolve, reject) => {
    let received = Buffer.alloc(0);
    socket.on('error', reject);
    socket.on('timeout', () => reject(new Error(`no answer of ${address}:${port} over TCP`)));
    socket.on('connect', () => socket.write(streamEncode(query)));
    socket.on('data', (part: Buffer) => {
      received = Buffer.concat([received, part]);
      if (received.length >= 2 && received.length >= received.readUInt16BE(0) + 2)
        resolve(decode(received.subarray(2)));
    });
  }).finally(() => socket.destroy());
}

const optionsRecord = (udpPayloadSize: number) => ({
  type: 'OPT' as const,
  name: '.',
  udpPayloadSize,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
});
