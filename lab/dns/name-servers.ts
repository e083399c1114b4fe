/**
 * The name servers of Route 53, and the root that leads to them: each name server of a zone's delegation set is a server of its own,
 * on an address of its own, and takes changes of the API when it pleases. All listen on the same port, as in a real network, so
 * that addresses alone lead from the root to them.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Route53Client } from '@aws-sdk/client-route-53';
import { AUTHORITATIVE_ANSWER, type DecodedPacket, type Packet } from 'dns-packet';
import getPort from 'get-port';
import { z } from 'zod';
import type { ClientConfiguration } from '../aws/proxy.js';
import { DnsListener, type Place, type Respond } from './listener.js';
import { readZones, type HostedZone } from './read.js';
import {
  answerFrom,
  isWithin,
  lower,
  REFUSED,
  zoneOf,
  type Answer,
  type Balancer,
  type RecordSet,
  type ResourceRecord,
  type Surroundings,
  type Zone,
} from './zone.js';

export interface NameServersOptions {
  /** Each account whose zones they serve. The API for the lab's own parts. */
  aws: ClientConfiguration[];
  /** Control port of the edge, which says where load balancers are; null: there are none. */
  edge?: string | null;
  /** Of all of them. @default one that is free */
  port?: number;
  /** @default 1000 */
  refreshEveryMs?: number;
  /** How long after it was read a change takes effect, at the first server, the second, and so on. @default 0 for all */
  delaysMs?: number[];
  random?: () => number;
  onProblem?: (problem: string) => void;
}

const ROOT_NAME = 'root.name-servers.lab';
const ROOT_TTL = 60;
const CODES = { NOERROR: 0, NXDOMAIN: 3, REFUSED: 5 } as const;
const NOT_IMPLEMENTED = 4;
const OPCODE_BITS = 0x7800;

const LISTENERS = z.array(z.object({ dnsName: z.string(), host: z.string(), healthy: z.boolean() }));

/** One of a delegation set. */
interface NameServer {
  name: string;
  listener: DnsListener;
  zones: HostedZone[];
}

export class NameServers {
  readonly #options: Required<NameServersOptions>;
  readonly #clients: Route53Client[];
  readonly #servers = new Map<string, NameServer>();
  readonly #ended = new AbortController();
  readonly #waiting = new Set<Promise<void>>();
  readonly #delegations = new Map<string, string[]>();
  readonly #held = new Set<string>();
  #root: DnsListener | null = null;
  #zones: HostedZone[] = [];
  #balancers = new Map<string, Balancer>();
  #loop: Promise<void> = Promise.resolve();

  private constructor(options: NameServersOptions) {
    this.#options = {
      edge: null,
      port: 0,
      refreshEveryMs: 1_000,
      delaysMs: [],
      random: Math.random,
      onProblem: (problem) => console.error(problem),
      ...options,
    };
    this.#clients = options.aws.map((account) => new Route53Client(account));
  }

  static async start(options: NameServersOptions): Promise<NameServers> {
    const servers = new NameServers(options);
    servers.#root = await openRoot(options.port ?? null, (query) => servers.#respond(query, [servers.#rootZone()]));
    await servers.refresh();
    servers.#loop = servers.#follow();
    return servers;
  }

  /** Where a resolver begins. */
  get root(): Place {
    if (this.#root === null) throw new Error('the name servers have not started');
    return this.#root.place;
  }

  /** What a zone's delegation set names. */
  namesOf(zone: string): string[] {
    return this.#zones.find(({ name }) => name === lower(zone))?.nameServers ?? [];
  }

  /** Of those servers, in that order. */
  placesOf(zone: string): Place[] {
    return this.namesOf(zone).flatMap((name) => this.#servers.get(name)?.listener.place ?? []);
  }

  /** As if somebody had told the parent so; null: what Route 53 says. */
  delegate(zone: string, nameServers: string[] | null): void {
    if (nameServers === null) this.#delegations.delete(lower(zone));
    else this.#delegations.set(lower(zone), nameServers.map(lower));
  }

  /** Server number `index` of all takes no changes until it is let go. */
  hold(index: number, held: boolean): void {
    const name = [...this.#servers.keys()][index];
    if (name === undefined) throw new Error(`there is no name server number ${index}`);
    if (held) this.#held.add(name);
    else this.#held.delete(name);
  }

  /** Reads the zones now. Resolves when the servers without delay have them. */
  async refresh(): Promise<void> {
    const zones = (await Promise.all(this.#clients.map(readZones))).flat();
    this.#balancers = await this.#readBalancers();
    this.#zones = zones;
    for (const name of new Set(zones.flatMap(({ nameServers }) => nameServers))) {
      if (!this.#servers.has(name)) await this.#open(name);
    }
    for (const [index, server] of [...this.#servers.values()].entries()) {
      const delayMs = this.#options.delaysMs[index] ?? 0;
      if (delayMs === 0) this.#take(server, zones);
      else this.#later(delayMs, () => this.#take(server, zones));
    }
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#loop;
    await Promise.all(this.#waiting);
    await this.#root?.close();
    await Promise.all([...this.#servers.values()].map(({ listener }) => listener.close()));
    for (const client of this.#clients) client.destroy();
  }

  #take(server: NameServer, zones: HostedZone[]): void {
    if (this.#held.has(server.name)) return;
    server.zones = zones.filter(({ nameServers }) => nameServers.includes(server.name));
  }

  #later(ms: number, work: () => void): void {
    const done = sleep(ms, undefined, { signal: this.#ended.signal })
      .then(work)
      .catch(() => undefined)
      .then(() => {
        this.#waiting.delete(done);
      });
    this.#waiting.add(done);
  }

  async #follow(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      await sleep(this.#options.refreshEveryMs, undefined, { signal: this.#ended.signal }).catch(() => undefined);
      if (this.#ended.signal.aborted) return;
      await this.refresh().catch((error: unknown) => {
        this.#options.onProblem(error instanceof Error ? error.message : String(error));
      });
    }
  }

  async #open(name: string): Promise<void> {
    const place = { address: addressOf(this.#servers.size + 1), port: this.root.port };
    const server: NameServer = {
      name,
      zones: [],
      listener: await DnsListener.open(place, (query) => this.#respond(query, server.zones)),
    };
    this.#servers.set(name, server);
  }

  async #readBalancers(): Promise<Map<string, Balancer>> {
    if (this.#options.edge === null) return new Map();
    const response = await fetch(`${this.#options.edge}/listeners`);
    const found = LISTENERS.parse(await response.json());
    return new Map(
      found.map(({ dnsName, host, healthy }) => [
        dnsName,
        { addresses: [host], healthy: healthy && found.every((one) => one.dnsName !== dnsName || one.healthy) },
      ]),
    );
  }

  #respond(query: DecodedPacket, zones: Zone[]): Packet {
    const [question] = query.questions ?? [];
    // https://www.rfc-editor.org/rfc/rfc1035#section-4.1.1: what isn't a plain question has another opcode
    if (((query.flags ?? 0) & OPCODE_BITS) !== 0 || question === undefined) return { flags: NOT_IMPLEMENTED };
    const name = lower(question.name);
    const zone = zoneOf(zones, name);
    const found: Answer = zone === null ? REFUSED : answerFrom(zone, { name, type: question.type }, this.#around);
    const { answers, authorities, additionals } = found;
    return {
      flags: CODES[found.code] | (found.authoritative ? AUTHORITATIVE_ANSWER : 0),
      answers,
      authorities,
      additionals,
    };
  }

  get #around(): Surroundings {
    return {
      balancer: (dnsName) => this.#balancers.get(dnsName) ?? null,
      addressOf: (nameServer) => this.#addressOf(nameServer),
      random: this.#options.random,
    };
  }

  #addressOf(nameServer: string): string | null {
    return nameServer === ROOT_NAME
      ? this.root.address
      : (this.#servers.get(nameServer)?.listener.place.address ?? null);
  }

  /**
   * Delegates every zone that isn't within another one; for the others, that one has to. Names of load balancers are in a zone of
   * AWS; here the root knows them itself.
   */
  #rootZone(): Zone {
    const delegated = this.#zones.filter(
      (zone) =>
        !this.#zones.some((other) => other !== zone && other.name !== zone.name && isWithin(zone.name, other.name)),
    );
    const names = new Map(delegated.map(({ name, nameServers }) => [name, nameServers]));
    for (const [zone, nameServers] of this.#delegations) names.set(zone, nameServers);
    const hosts = [ROOT_NAME, ...this.#servers.keys()];
    return {
      name: '',
      sets: [
        set('', 'NS', [{ ...about(''), type: 'NS', data: ROOT_NAME }]),
        set('', 'SOA', [{ ...about(''), type: 'SOA', data: ROOT_SOA }]),
        ...[...names].map(([zone, servers]) =>
          set(
            zone,
            'NS',
            servers.map((data) => ({ ...about(zone), type: 'NS', data })),
          ),
        ),
        ...hosts.map((host) => {
          const data = this.#addressOf(host) ?? '';
          return set(host, 'A', [{ ...about(host), type: 'A', data }]);
        }),
        // Of AWS's own zone, which belongs to no account; a CNAME record leads there.
        ...[...this.#balancers].map(([dnsName, { addresses }]) => {
          const host = lower(dnsName);
          return set(
            host,
            'A',
            addresses.map((data) => ({ ...about(host), type: 'A', data })),
          );
        }),
      ],
    };
  }
}

/** Others look for free ports, too: one that was free a moment ago may be taken. */
async function openRoot(port: number | null, respond: Respond, tries = 5): Promise<DnsListener> {
  const place = { address: addressOf(0), port: port ?? (await getPort({ host: addressOf(0) })) };
  return DnsListener.open(place, respond).catch((error: unknown) => {
    if (port !== null || tries <= 1) throw error;
    return openRoot(null, respond, tries - 1);
  });
}

const ROOT_SOA = {
  mname: ROOT_NAME,
  rname: `hostmaster.${ROOT_NAME}`,
  serial: 1,
  refresh: 7_200,
  retry: 900,
  expire: 1_209_600,
  // What isn't there may be there soon: a resolver of the lab asks again.
  minimum: 1,
};

const about = (name: string) => ({ name, ttl: ROOT_TTL, class: 'IN' }) as const;

const set = (name: string, type: RecordSet['type'], records: ResourceRecord[]): RecordSet => ({
  name,
  type,
  content: { kind: 'records', records },
  routing: { kind: 'simple' },
});

/** 127.0.2.x; number 0 is the root's. */
const addressOf = (number: number): string => `127.0.2.${number + 1}`;
