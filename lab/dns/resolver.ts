/**
 * A resolver as users have one: it follows delegations from the root, remembers answers for as long as their TTL says, and is a
 * server itself. What it remembers is why traffic moves only a TTL after a record did. RFC 1034 5.3.3, RFC 2308
 */
import { RECURSION_AVAILABLE, type DecodedPacket } from 'dns-packet';
import { ask } from './ask.js';
import { DnsListener, type Place } from './listener.js';
import { isWithin, lower, type RecordType, type ResourceRecord } from './zone.js';

export interface ResolverOptions {
  root: Place;
  /** How long a second of a TTL lasts. @default 1000 */
  secondMs?: number;
  random?: () => number;
}

export interface Resolved {
  code: 'NOERROR' | 'NXDOMAIN' | 'SERVFAIL';
  /** With the aliases that led there; TTLs are what is left of them. */
  records: ResourceRecord[];
}

interface Remembered {
  code: 'NOERROR' | 'NXDOMAIN';
  records: ResourceRecord[];
  until: number;
}

interface Delegation {
  zone: string;
  servers: Place[];
  until: number;
}

const LONGEST_CHAIN = 16;
const CODES = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3 } as const;
/** Of an answer without SOA, which says nothing of it. */
const NEGATIVE_TTL = 1;

export class Resolver {
  readonly #options: Required<ResolverOptions>;
  readonly #answers = new Map<string, Remembered>();
  #delegations: Delegation[] = [];
  #listener: DnsListener | null = null;

  constructor(options: ResolverOptions) {
    this.#options = { secondMs: 1_000, random: Math.random, ...options };
  }

  /** As a server, at the port of the root. */
  static async listen(options: ResolverOptions, address = '127.0.3.1'): Promise<Resolver> {
    const resolver = new Resolver(options);
    resolver.#listener = await DnsListener.open({ address, port: options.root.port }, async (query) => {
      const [question] = query.questions ?? [];
      if (question === undefined) throw new Error('no question');
      const { code, records } = await resolver.resolve(question.name, question.type);
      return { flags: CODES[code] | RECURSION_AVAILABLE, answers: records };
    });
    return resolver;
  }

  get place(): Place {
    if (this.#listener === null) throw new Error('this resolver is no server');
    return this.#listener.place;
  }

  async resolve(name: string, type: RecordType | 'OPT'): Promise<Resolved> {
    const records: ResourceRecord[] = [];
    let at = lower(name);
    if (type === 'OPT') return { code: 'SERVFAIL', records };
    for (let hops = 0; hops < LONGEST_CHAIN; hops += 1) {
      const found = await this.#lookUp(at, type);
      if (found === null) return { code: 'SERVFAIL', records: [] };
      const left = Math.max(0, Math.round((found.until - performance.now()) / this.#options.secondMs));
      records.push(...found.records.map((record) => ({ ...record, ttl: Math.min(record.ttl ?? 0, left) })));
      const last = records.at(-1);
      if (last?.type !== 'CNAME' || type === 'CNAME' || found.records.length === 0)
        return { code: found.code, records };
      at = lower(last.data);
    }
    return { code: 'SERVFAIL', records: [] };
  }

  /** Addresses only; empty: there are none. */
  async addresses(name: string): Promise<string[]> {
    const { records } = await this.resolve(name, 'A');
    return records.flatMap((record) => (record.type === 'A' ? [record.data] : []));
  }

  async close(): Promise<void> {
    await this.#listener?.close();
  }

  async #lookUp(name: string, type: RecordType): Promise<Remembered | null> {
    const key = `${name} ${type}`;
    const known = this.#answers.get(key);
    if (known && known.until > performance.now()) return known;
    const found = await this.#ask(name, type);
    if (found !== null) this.#answers.set(key, found);
    return found;
  }

  /** From the nearest servers that are known, down. Null: nobody answered. */
  async #ask(name: string, type: RecordType): Promise<Remembered | null> {
    let { zone, servers } = this.#nearest(name);
    for (let depth = 0; depth < LONGEST_CHAIN; depth += 1) {
      const answer = await this.#askOneOf(servers, name, type);
      if (answer === null) return null;
      const next = this.#delegationIn(answer, zone, name);
      if (next === null) return this.#remembered(answer);
      this.#delegations = [...this.#delegations.filter((one) => one.zone !== next.zone), next];
      ({ zone, servers } = next);
    }
    return null;
  }

  #nearest(name: string): { zone: string; servers: Place[] } {
    const alive = this.#delegations.filter(({ until }) => until > performance.now());
    const above = alive.filter(({ zone }) => isWithin(name, zone)).sort((a, b) => b.zone.length - a.zone.length);
    return above[0] ?? { zone: '', servers: [this.#options.root] };
  }

  /** In any order: that is how load spreads, and why servers that disagree are seen by some users. */
  async #askOneOf(servers: Place[], name: string, type: RecordType): Promise<DecodedPacket | null> {
    const drawn = servers.map((server) => ({ server, at: this.#options.random() })).sort((a, b) => a.at - b.at);
    for (const { server } of drawn) {
      const answer = await ask(server, { name, type }).catch(() => null);
      if (answer !== null && codeOf(answer) !== 'SERVFAIL') return answer;
    }
    return null;
  }

  /** Null: this is the answer, and no referral. */
  #delegationIn(
    { flag_aa, answers, authorities, additionals }: DecodedPacket,
    above: string,
    name: string,
  ): Delegation | null {
    if (flag_aa || (answers ?? []).length > 0) return null;
    const referrals = (authorities ?? []).flatMap((record) => (record.type === 'NS' ? [record] : []));
    const [first] = referrals;
    if (first === undefined) return null;
    const zone = lower(first.name);
    if (zone === above || !isWithin(name, zone)) return null;
    const addresses = (additionals ?? []).flatMap((record) =>
      record.type === 'A' && referrals.some(({ data }) => lower(data) === lower(record.name)) ? [record.data] : [],
    );
    const servers = addresses.map((address) => ({ address, port: this.#options.root.port }));
    return { zone, servers, until: this.#until(first.ttl ?? 0) };
  }

  #remembered(answer: DecodedPacket): Remembered {
    const code = codeOf(answer) === 'NXDOMAIN' ? 'NXDOMAIN' : 'NOERROR';
    const records = (answer.answers ?? []).flatMap((record) => (record.type === 'OPT' ? [] : [record]));
    const ttls = records.map(({ ttl }) => ttl ?? 0);
    const soa = (answer.authorities ?? []).find((record) => record.type === 'SOA');
    const negative = soa?.type === 'SOA' ? Math.min(soa.ttl ?? 0, soa.data.minimum ?? 0) : NEGATIVE_TTL;
    return { code, records, until: this.#until(ttls.length > 0 ? Math.min(...ttls) : negative) };
  }

  #until(ttl: number): number {
    return performance.now() + ttl * this.#options.secondMs;
  }
}

/** RFC 1035 4.1.1: the last four bits of the flags. What is neither an answer nor its absence is no answer. */
export function codeOf({ flags = 0 }: DecodedPacket): Resolved['code'] {
  const code = flags & 0xf;
  return code === CODES.NOERROR ? 'NOERROR' : code === CODES.NXDOMAIN ? 'NXDOMAIN' : 'SERVFAIL';
}
