/** Questions to name servers, over UDP, and over TCP where the answer doesn't fit: RFC 1035, 4.2. */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { getServers } from 'node:dns';
import { createConnection, isIPv6 } from 'node:net';
import { decode, encode, RECURSION_DESIRED, streamEncode, type DecodedPacket, type Packet } from 'dns-packet';
import { failure } from '../failure.js';

/** Of one name server. */
export interface Server {
  address: string;
  port: number;
}

export type RecordType = 'A' | 'AAAA' | 'CNAME' | 'NS' | 'TXT';

export interface Question {
  name: string;
  type: RecordType;
  /** Whether the server is to ask others; those with authority are asked what they know themselves. */
  recursive: boolean;
}

const ANSWER_MS = 2_000;
const TRIES = 3;
const DNS_PORT = 53;

/** Who resolves names for this worker: `GODWIT_DNS` as `ADDRESS:PORT`, else what the system has. All servers are asked at its port. */
export function resolver(): Server {
  const told = process.env['GODWIT_DNS'];
  const text = told ?? getServers()[0];
  if (text === undefined) throw failure('DnsUnavailable', 'this worker has no resolver; set GODWIT_DNS=ADDRESS:PORT');
  const match = /^\[?(?<address>[^\]]+?)\]?:(?<port>\d+)$/.exec(text);
  if (match?.groups === undefined || isIPv6(text)) return { address: text, port: DNS_PORT };
  return { address: match.groups['address'] ?? text, port: Number(match.groups['port']) };
}

/** Fails with `DnsUnavailable` when there is no answer. One that says that the name isn't there is an answer. */
export async function ask(server: Server, question: Question): Promise<DecodedPacket> {
  let reason = '';
  for (let tries = 0; tries < TRIES; tries += 1) {
    try {
      const answer = await overUdp(server, question);
      return answer.flag_tc ? await overTcp(server, question) : answer;
    } catch (error) {
      reason = error instanceof Error ? error.message : 'no reason';
    }
  }
  throw failure(
    'DnsUnavailable',
    `the name server ${server.address} (port ${server.port}) did not answer ${question.type} ${question.name}: ${reason}`,
    'The worker needs DNS to it, over UDP and TCP',
  );
}

function packetOf({ name, type, recursive }: Question): Packet & { id: number } {
  return {
    type: 'query',
    id: randomInt(65_536),
    flags: recursive ? RECURSION_DESIRED : 0,
    questions: [{ name, type, class: 'IN' }],
  };
}

function overUdp({ address, port }: Server, question: Question): Promise<DecodedPacket> {
  const query = packetOf(question);
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  return new Promise<DecodedPacket>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no answer within ${ANSWER_MS} ms`)), ANSWER_MS);
    const done = (settle: () => void): void => {
      clearTimeout(late);
      settle();
    };
    socket.on('error', (error) => done(() => reject(error)));
    socket.on('message', (message) => {
      const answer = readable(message);
      // Anything else may come to an open port; it isn't the answer.
      if (answer?.id === query.id && answer.type === 'response') done(() => resolve(answer));
    });
    socket.connect(port, address, () => socket.send(encode(query)));
  }).finally(() => socket.close());
}

function overTcp({ address, port }: Server, question: Question): Promise<DecodedPacket> {
  const query = packetOf(question);
  const socket = createConnection({ host: address, port, timeout: ANSWER_MS });
  return new Promise<DecodedPacket>((resolve, reject) => {
    let received = Buffer.alloc(0);
    socket.on('error', reject);
    socket.on('timeout', () => reject(new Error(`no answer by TCP within ${ANSWER_MS} ms`)));
    socket.on('close', () => reject(new Error('the connection ended without an answer')));
    socket.on('connect', () => socket.write(streamEncode(query)));
    socket.on('data', (part: Buffer) => {
      received = Buffer.concat([received, part]);
      if (received.length < 2 || received.length < received.readUInt16BE(0) + 2) return;
      try {
        resolve(decode(received.subarray(2)));
      } catch (error) {
        reject(error instanceof Error ? error : new Error('an answer that can not be read'));
      }
    });
  }).finally(() => socket.destroy());
}

function readable(message: Buffer): DecodedPacket | null {
  try {
    return decode(message);
  } catch {
    return null;
  }
}
