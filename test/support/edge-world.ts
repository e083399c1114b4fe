/** An edge before targets of a test's own, following an account of its own. */
import { once } from 'node:events';
import { request, type Agent, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect } from 'vitest';
import { WebSocket } from 'ws';
import type { ClientConfiguration } from '../../lab/aws/proxy.js';
import { Edge, type EdgeOptions } from '../../lab/edge/edge.js';
import { forward, LoadBalancers, type MadeBalancer } from '../../lab/traffic/load-balancers.js';
import { TargetServer } from './target-server.js';

export interface Answer {
  status: number;
  body: string;
  headers: IncomingHttpHeaders;
  /** Of the load balancer, and of the target, as a browser would send them back. */
  cookies: string[];
}

export interface Asking {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  agent?: Agent;
  from?: string;
}

/** A request on its way. */
export interface Asked {
  answer: Promise<Answer>;
}

/** A second of the API in these tests: a health check's interval of 5 s takes 100 ms. */
export const SECOND_MS = 20;

export class EdgeWorld {
  readonly #targets: TargetServer[] = [];

  private constructor(
    readonly edge: Edge,
    readonly elb: LoadBalancers,
    readonly balancer: MadeBalancer,
    readonly listener: string,
    readonly blue: string,
    readonly green: string,
  ) {}

  /**
   * Tests of a file share an account, and leave nothing in it: moto takes 70 MB for the network of each account.
   * A load balancer whose listener leads to an empty blue; green is attached with weight 0.
   */
  static async start(account: ClientConfiguration, options: Partial<EdgeOptions> = {}): Promise<EdgeWorld> {
    const elb = await LoadBalancers.in(account);
    const balancer = await elb.balancer('shop');
    const [blue, green] = [await elb.targetGroup('blue'), await elb.targetGroup('green')];
    const listener = await elb.listener(balancer.arn, forward({ [blue]: 100, [green]: 0 }));
    const edge = await Edge.start({
      aws: [account],
      secondMs: SECOND_MS,
      random: evenly(),
      // Tests say when changes take effect, and wait for the facts.
      refreshEveryMs: 3_600_000,
      cloudWatchEveryMs: null,
      ...options,
    });
    return new EdgeWorld(edge, elb, balancer, listener, blue, green);
  }

  /** A running target, registered with a group that need not be in use. */
  async target(group: string, name: string, port = 8080): Promise<TargetServer> {
    const target = await this.#started(group, name, port);
    await this.edge.refresh();
    return target;
  }

  /** Several, all of them healthy. */
  async targets(...some: [group: string, name: string][]): Promise<TargetServer[]> {
    const made = await Promise.all(some.map(([group, name]) => this.#started(group, name, 8080)));
    await this.edge.refresh();
    await this.all('healthy');
    return made;
  }

  async #started(group: string, name: string, port: number): Promise<TargetServer> {
    const target = await TargetServer.start(name);
    this.#targets.push(target);
    this.edge.place({ [`${name}:${port}`]: target.address });
    await this.elb.register(group, { id: name, port });
    return target;
  }

  /** On this machine. */
  addressOf(name: string): string {
    return this.#targets.find((target) => target.name === name)?.address ?? '';
  }

  stateOf(name: string): string | null {
    return this.healthOf(name)?.state ?? null;
  }

  healthOf(name: string) {
    return [this.blue, this.green]
      .flatMap((group) => this.edge.targetHealth(group) ?? [])
      .find(({ targetId }) => targetId === name);
  }

  /** Waits until every registered target is in this state. */
  async all(state: string): Promise<void> {
    const states = () =>
      [this.blue, this.green].flatMap((group) => (this.edge.targetHealth(group) ?? []).map((one) => one.state));
    await expect.poll(() => states().every((one) => one === state), { timeout: 60_000 }).toBe(true);
  }

  async becomes(name: string, state: string | null): Promise<void> {
    await expect.poll(() => this.stateOf(name), { timeout: 60_000, interval: 10 }).toBe(state);
  }

  get url(): string {
    const [at] = this.edge.listeners;
    return `http://${at?.host}:${at?.port}`;
  }

  ask({ method = 'GET', path = '/', headers = {}, agent, from }: Asking = {}): Asked {
    const asked = request(new URL(path, this.url), {
      method,
      headers,
      ...(agent === undefined ? {} : { agent }),
      ...(from === undefined ? {} : { localAddress: from }),
    });
    const answer = (async (): Promise<Answer> => {
      const responded = once(asked, 'response') as Promise<[IncomingMessage]>;
      asked.end();
      const [response] = await responded;
      const cookies = (response.headers['set-cookie'] ?? []).map((one) => one.split(';')[0] ?? '');
      return { status: response.statusCode ?? 0, body: await text(response), headers: response.headers, cookies };
    })();
    // Awaited later, if at all.
    answer.catch(() => undefined);
    return { answer };
  }

  get(asking: Asking = {}): Promise<Answer> {
    return this.ask(asking).answer;
  }

  /** How often each body came. */
  async spread(requests: number, asking: Asking = {}): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (let i = 0; i < requests; i += 1) {
      const { status, body } = await this.get(asking);
      const key = status === 200 ? body : String(status);
      counts[key] = (counts[key] ?? 0) + 1;
    }
    return counts;
  }

  async webSocket(): Promise<WebSocket> {
    const socket = new WebSocket(this.url.replace('http', 'ws'));
    await once(socket, 'open');
    return socket;
  }

  async setWeights(blue: number, green: number, stickySeconds: number | null = null): Promise<void> {
    await this.elb.setDefault(this.listener, forward({ [this.blue]: blue, [this.green]: green }, stickySeconds));
    await this.edge.refresh();
  }

  async stop(): Promise<void> {
    await this.edge.stop();
    await this.elb.remove(this.balancer.arn, this.blue, this.green);
    this.elb.close();
    await Promise.all(this.#targets.map((target) => target.stop()));
  }
}

/** Instead of chance: numbers that fill 0 to 1 evenly, so that shares come out the same each time. */
function evenly(): () => number {
  let at = 0.5;
  return () => (at = (at + 0.618_033_988_75) % 1);
}
