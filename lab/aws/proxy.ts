/**
 * AWS for tests and the demo: an endpoint for the SDK's clients of all services. moto remembers what exists; this proxy
 * refuses what AWS refuses, and answers as late, as inconsistently and as badly as it is told to.
 *
 *     const aws = await AwsProxy.start({ moto: moto.url });
 *     const client = new Route53Client(aws.client({ account: '111122223333' }));
 *     aws.fail({ service: 'route53', operation: 'ChangeResourceRecordSets', fault: { kind: 'lost after' } });
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { AcmService } from './acm.js';
import { AwsError, errorAnswer, type Answer } from './answer.js';
import { DEFAULT_ACCOUNT, readCall, type Call, type HttpRequest, type Service } from './call.js';
import { CloudWatchService } from './cloudwatch/service.js';
import { Elbv2Service } from './elbv2/service.js';
import { expired, Faults, throttled, type Fault, type FaultOrder, type GivenFault } from './faults.js';
import { RateLimiter } from './rate.js';
import { isRead, Replica } from './replica.js';
import { Route53Service } from './route53/service.js';
import { changed, DEFAULT_SETTINGS, type Settings, type SettingsChange } from './settings.js';
import { StsService } from './sts.js';
import type { Branch } from './tree.js';
import { Upstream } from './upstream.js';

export interface AwsProxyOptions {
  /** `MotoServer.url` */
  moto: string;
  port?: number;
  settings?: SettingsChange;
}

export interface LoggedCall {
  service: Service;
  operation: string;
  account: string;
  region: string;
  parameters: Branch;
  /** Milliseconds since the epoch, when it came. */
  at: number;
  /** An error's code, 'answered', or 'lost' when no answer went out; null while it is under way. */
  outcome: string | null;
}

/** What a client of the SDK takes to work against the stand-in. */
export interface ClientConfiguration {
  endpoint: string;
  region: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
}

/** A service that the proxy keeps strict; what it doesn't know, it lets moto answer. */
interface StrictService {
  answer(call: Call): Promise<Answer>;
  reset(): void;
}

/** Of a test: an account of its own is a world of its own. */
export interface Identity {
  /** Twelve digits. */
  account?: string;
  region?: string;
}

export const DEFAULT_REGION = 'eu-west-1';

/** A lab that stands for weeks forgets the oldest. */
const MOST_LOGGED = 20_000;

export class AwsProxy {
  /** Every call but the observer's, oldest first; the last 20,000. */
  readonly calls: LoggedCall[] = [];
  readonly #elbv2: Elbv2Service;
  readonly #route53: Route53Service;
  readonly #sts: StsService;
  /** moto alone answers for the others. */
  readonly #strict: Partial<Record<Service, StrictService>>;
  readonly #upstream: Upstream;
  readonly #front: Server;
  readonly #observer: Server;
  readonly #faults = new Faults();
  readonly #limiter = new RateLimiter();
  readonly #replica: Replica;
  /** The last write of each account and service; the next waits for it, so that a check still holds when moto is told. */
  readonly #writes = new Map<string, Promise<unknown>>();
  #settings: Settings;

  private constructor(options: AwsProxyOptions) {
    this.#upstream = new Upstream(options.moto);
    this.#settings = changed(DEFAULT_SETTINGS, options.settings ?? {});
    const settings = (): Settings => this.#settings;
    this.#route53 = new Route53Service(this.#upstream, settings);
    const acm = new AcmService(this.#upstream, settings, this.#route53);
    const elbv2 = new Elbv2Service(this.#upstream, settings, acm);
    acm.usedBy = (scope, certificate) => elbv2.usersOf(scope, certificate);
    this.#elbv2 = elbv2;
    this.#sts = new StsService(this.#upstream);
    const cloudwatch = new CloudWatchService(this.#upstream, settings);
    this.#strict = { elbv2, route53: this.#route53, acm, sts: this.#sts, cloudwatch };
    this.#replica = new Replica(
      (call) => this.#answer(call),
      (service) => this.#settings.staleness[service],
    );
    this.#front = createServer((request, response) => void this.#serve(request, response, false));
    this.#observer = createServer((request, response) => void this.#serve(request, response, true));
  }

  static async start(options: AwsProxyOptions): Promise<AwsProxy> {
    const proxy = new AwsProxy(options);
    proxy.#front.listen(options.port ?? 0, '127.0.0.1');
    proxy.#observer.listen(0, '127.0.0.1');
    await Promise.all([once(proxy.#front, 'listening'), once(proxy.#observer, 'listening')]);
    return proxy;
  }

  get url(): string {
    return urlOf(this.#front);
  }

  /**
   * The same API for the lab's own parts, which follow it as AWS's data plane does: never failed, throttled, stale or
   * logged. Target health from here is what is registered, without asking the edge.
   */
  get observerUrl(): string {
    return urlOf(this.#observer);
  }

  get settings(): Settings {
    return this.#settings;
  }

  /** From now on; what isn't named stays. */
  tell(change: SettingsChange): void {
    this.#settings = changed(this.#settings, change);
  }

  /** For the constructor of any client of the SDK. */
  client(identity: Identity = {}): ClientConfiguration {
    return configuration(this.url, identity);
  }

  /** As `client`, of the observer. */
  observer(identity: Identity = {}): ClientConfiguration {
    return configuration(this.observerUrl, identity);
  }

  /** From now on, calls that fit the order go wrong. Of several orders that fit, the oldest counts. */
  fail(order: FaultOrder): GivenFault {
    return this.#faults.give(order);
  }

  /** Ends all faults, lets every change of Route 53 become INSYNC, and every write be seen by all reads. */
  heal(): void {
    this.#faults.clear();
    this.#replica.catchUp();
    this.#route53.letChangesSync();
  }

  /** Calls of one operation, oldest first. */
  callsOf(operation: string, account?: string): LoggedCall[] {
    return this.calls.filter(
      (call) => call.operation === operation && (account === undefined || call.account === account),
    );
  }

  /** All accounts as new, no faults, the log empty; settings stay. */
  async reset(): Promise<void> {
    await fetch(`${this.#upstream.url}/moto-api/reset`, { method: 'POST' });
    for (const service of Object.values(this.#strict)) service.reset();
    this.#faults.clear();
    this.#limiter.clear();
    this.#replica.clear();
    this.calls.length = 0;
  }

  async stop(): Promise<void> {
    for (const server of [this.#front, this.#observer]) {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    }
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse, observer: boolean): Promise<void> {
    let call: Call | null = null;
    try {
      const request = await receive(incoming);
      call = readCall(request, (key) => this.#sts.accountOf(key));
      if (call === null) {
        const error = new AwsError('MissingAuthenticationToken', 'Missing Authentication Token', 403);
        return send(response, errorAnswer('other', error));
      }
      if (observer) return send(response, await this.#observed(call));
      await this.#failing(call, response);
    } catch (error) {
      // moto is away, or a bug of ours: said, so that it isn't taken for a fault that was ordered.
      const reason = error instanceof Error ? error.message : String(error);
      const failure = new AwsError('InternalFailure', `The stand-in for AWS failed: ${reason}`, 500);
      if (!response.headersSent) send(response, errorAnswer(call?.service ?? 'other', failure));
    }
  }

  async #observed(call: Call): Promise<Answer> {
    if (call.operation === 'DescribeTargetHealth') return refusedAsAnswer(call, () => this.#elbv2.registered(call));
    return isRead(call.operation) ? this.#answer(call) : this.#write(call);
  }

  /** Answers, unless an order says otherwise. */
  async #failing(call: Call, response: ServerResponse): Promise<void> {
    const { service, operation, account, region, parameters } = call;
    const logged: LoggedCall = { service, operation, account, region, parameters, at: Date.now(), outcome: null };
    this.calls.push(logged);
    if (this.calls.length > MOST_LOGGED) this.calls.shift();
    const fault = this.#faults.take(call);
    if (fault?.kind === 'lost before') {
      logged.outcome = 'lost';
      response.destroy();
      return;
    }
    const refusal = fault === null ? null : refusalOf(fault, service);
    const answer = refusal === null ? await this.#limited(call, fault) : errorAnswer(service, refusal);
    if (fault?.kind === 'slow') await heldBack(response, fault.ms);
    logged.outcome = fault?.kind === 'lost after' ? 'lost' : outcomeOf(answer);
    if (fault?.kind === 'lost after') response.destroy();
    else send(response, answer);
  }

  async #limited(call: Call, fault: Fault | null): Promise<Answer> {
    return refusedAsAnswer(call, async () => {
      this.#limiter.spend(call, this.#settings.rates);
      if (isRead(call.operation)) return this.#replica.read(call);
      return this.#write(call, fault);
    });
  }

  /** Writes of an account and service happen one after the other. */
  async #write(call: Call, fault: Fault | null = null): Promise<Answer> {
    const key = `${call.account} ${call.service}`;
    const earlier = this.#writes.get(key) ?? Promise.resolve();
    const work = earlier.then(async () => {
      await this.#replica.keep(call);
      const answer = await this.#answer(call);
      if (fault?.kind === 'never in sync' && answer.status < 400) this.#route53.holdLastChange(call);
      return answer;
    });
    this.#writes.set(
      key,
      work.catch(() => undefined),
    );
    return work;
  }

  async #answer(call: Call): Promise<Answer> {
    return refusedAsAnswer(call, () => this.#answering(call));
  }

  #answering(call: Call): Promise<Answer> {
    return this.#strict[call.service]?.answer(call) ?? this.#upstream.pass(call);
  }
}

function configuration(
  endpoint: string,
  { account = DEFAULT_ACCOUNT, region = DEFAULT_REGION }: Identity,
): ClientConfiguration {
  return { endpoint, region, credentials: { accessKeyId: account, secretAccessKey: 'lab' } };
}

/** For that long, or until the client gives up. */
async function heldBack(response: ServerResponse, ms: number): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  await sleep(ms, undefined, { signal: gone.signal }).catch(() => undefined);
}

async function refusedAsAnswer(call: Call, work: () => Promise<Answer>): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AwsError) return errorAnswer(call.service, error);
    throw error;
  }
}

function refusalOf(fault: Fault, service: Service): AwsError | null {
  switch (fault.kind) {
    case 'error':
      return new AwsError(fault.code, fault.message ?? `${fault.code}, as ordered`, fault.status ?? 400);
    case 'throttled':
      return throttled(service);
    case 'expired credentials':
      return expired(service);
    case 'slow':
    case 'lost before':
    case 'lost after':
    case 'never in sync':
      return null;
  }
}

/** The error's code as the client reads it. */
function outcomeOf(answer: Answer): string {
  if (answer.status < 400) return 'answered';
  const text = answer.body.toString('utf8');
  return /<Code>([^<]+)</.exec(text)?.[1] ?? /"__type": ?"([^"]+)"/.exec(text)?.[1] ?? String(answer.status);
}

async function receive(request: IncomingMessage): Promise<HttpRequest> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const { method = 'GET', url: path = '/' } = request;
  const { 'content-encoding': encoding, ...headers } = request.headers;
  const body = Buffer.concat(parts);
  // The SDK compresses PutMetricData of more than 10 KB.
  return { method, path, headers, body: encoding === 'gzip' ? gunzipSync(body) : body };
}

function send(response: ServerResponse, answer: Answer): void {
  response.writeHead(answer.status, { ...answer.headers, 'content-length': answer.body.length });
  response.end(answer.body);
}

const urlOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
