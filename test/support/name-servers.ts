/**
 * DNS as the world sees a zone of the AWS stand-in: a resolver, which knows the parent and addresses of name servers, and the
 * zone's own servers on loopback addresses, each of which answers from what it was given last.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { ResourceRecordSet } from '@aws-sdk/client-route-53';
import {
  AUTHORITATIVE_ANSWER,
  decode,
  encode,
  TRUNCATED_RESPONSE,
  streamDecode,
  streamEncode,
  type Answer,
  type Packet,
} from 'dns-packet';
import getPort from 'get-port';
import { createServer, type Server } from 'node:net';

export interface NameServer {
  name: string;
  address: string;
  /** What it answers from, chosen by weight. */
  records: ResourceRecordSet[];
  silent: boolean;
  /** Answers over UDP are cut off, so that TCP is needed. */
  truncates: boolean;
}

const RESOLVER = '127.0.0.1';

export class NameServers {
  readonly #sockets: Socket[] = [];
  readonly #tcp: Server[] = [];

  private constructor(
    readonly port: number,
    readonly zone: string,
    readonly servers: NameServer[],
    /** Names that the parent delegates the zone to. */
    public delegated: string[],
  ) {}

  /** Linux answers on every loopback address. Points GODWIT_DNS there. */
  static async start(zone: string, names: string[]): Promise<NameServers> {
    const servers = names.map((name, index) => {
      return { name, address: `127.0.0.${index + 11}`, records: [], silent: false, truncates: false };
    });
    const port = await getPort({ host: RESOLVER });
    const started = new NameServers(port, zone.replace(/\.$/, ''), servers, names);
    await started.#listen(RESOLVER, (query) => started.#resolve(query));
    for (const server of servers)
      await started.#listen(server.address, (query) => started.#answer(server, query), server);
    process.env['GODWIT_DNS'] = `${RESOLVER}:${port}`;
    return started;
  }

  /** All servers answer from these. */
  serve(records: ResourceRecordSet[]): void {
    for (const server of this.servers) server.records = records;
  }

  async stop(): Promise<void> {
    delete process.env['GODWIT_DNS'];
    for (const socket of this.#sockets) socket.close();
    for (const server of this.#tcp) {
      server.close();
      await once(server, 'close');
    }
  }

  async #listen(address: string, answer: (query: Packet) => Partial<Packet>, server?: NameServer): Promise<void> {
    const respond = (query: Packet): Packet => ({
      ...answer(query),
      type: 'response',
      ...(query.id === undefined ? {} : { id: query.id }),
      questions: query.questions ?? [],
    });
    const socket = createSocket('udp4');
    socket.on('message', (message, from) => {
      if (server?.silent === true) return;
      const whole = respond(decode(message));
      const cut = { ...whole, answers: [], flags: TRUNCATED_RESPONSE };
      socket.send(encode(server?.truncates === true ? cut : whole), from.port, from.address);
    });
    socket.bind(this.port, address);
    await once(socket, 'listening');
    this.#sockets.push(socket);
    const tcp = createServer((connection) => {
      connection.on('error', () => connection.destroy());
      connection.once('data', (data) => connection.end(streamEncode(respond(streamDecode(data)))));
    });
    tcp.listen(this.port, address);
    await once(tcp, 'listening');
    this.#tcp.push(tcp);
  }

  /** The resolver is the parent's server, too. */
  #resolve({ questions = [] }: Packet): Partial<Packet> {
    const [{ name, type } = { name: '', type: 'A' }] = questions;
    const parent = this.zone.split('.').slice(1).join('.');
    const found = this.servers.find((one) => one.name === name);
    if (type === 'NS' && name === parent) return { answers: [{ type: 'NS', name, data: 'parent.test' }] };
    if (type === 'NS' && name === this.zone) {
      return { authorities: this.delegated.map((data) => ({ type: 'NS', name, data })) };
    }
    if (type === 'A' && name === 'parent.test') return { answers: [{ type: 'A', name, ttl: 60, data: RESOLVER }] };
    if (type === 'A' && found !== undefined) return { answers: [{ type: 'A', name, ttl: 60, data: found.address }] };
    return { flags: 3 };
  }

  #answer(server: NameServer, { questions = [] }: Packet): Partial<Packet> {
    const [{ name, type } = { name: '', type: 'A' }] = questions;
    const chosen = chooseByWeight(server.records.filter((one) => one.Name === `${name}.` && one.Type === type));
    const answers = (chosen?.ResourceRecords ?? []).map(({ Value = '' }): Answer => {
      return { type: type as 'A', name, ttl: chosen?.TTL ?? 0, data: Value };
    });
    return { flags: AUTHORITATIVE_ANSWER, answers };
  }
}

function chooseByWeight(records: ResourceRecordSet[]): ResourceRecordSet | undefined {
  const total = records.reduce((sum, { Weight = 1 }) => sum + Weight, 0);
  let left = Math.random() * total;
  return records.find(({ Weight = 1 }) => (left -= Weight) < 0);
}
