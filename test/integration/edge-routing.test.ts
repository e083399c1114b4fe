/** Rules, weights, stickiness and algorithms of the edge, each as the page of AWS says that stands beside it. */
import { ModifyRuleCommand, SetRulePrioritiesCommand } from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { forward } from '../../lab/traffic/load-balancers.js';
import type { AwsProxy, ClientConfiguration } from '../../lab/aws/proxy.js';
import { newAccount, startAws } from '../support/aws.js';
import { EdgeWorld } from '../support/edge-world.js';

/** The longest that AWS takes. */
const WEEK = 7 * 24 * 3_600;

let aws: AwsProxy;
let account: ClientConfiguration;
let world: EdgeWorld;

beforeAll(async () => {
  aws = await startAws();
  account = aws.observer({ account: newAccount() });
});
afterAll(async () => {
  await aws?.stop();
});
beforeEach(async () => {
  world = await EdgeWorld.start(account);
});
afterEach(async () => {
  await world?.stop();
});

// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-listeners.html#rule-action-types
describe('weights', () => {
  test('share requests between target groups, relative to each other', async () => {
    await world.targets([world.blue, '10.0.0.1'], [world.green, '10.0.0.2']);
    expect(await world.spread(50)).toEqual({ '10.0.0.1': 50 });

    await world.setWeights(3, 1);
    const { '10.0.0.1': blue = 0, '10.0.0.2': green = 0 } = await world.spread(200);
    expect(blue + green).toBe(200);
    expect(Math.abs(green - 50)).toBeLessThanOrEqual(3);

    await world.setWeights(0, 999);
    expect(await world.spread(50)).toEqual({ '10.0.0.2': 50 });
  });

  test('a group that has no healthy target keeps its share: there is no failover between groups', async () => {
    await world.targets([world.blue, '10.0.0.1']);
    await world.setWeights(50, 50);
    const { '10.0.0.1': served = 0, '503': refused = 0 } = await world.spread(100);
    expect(served + refused).toBe(100);
    expect(Math.abs(refused - 50)).toBeLessThanOrEqual(3);
  });
});

describe('rules', () => {
  // https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html
  test('each kind of condition picks its requests, and only those', async () => {
    await world.targets([world.blue, '10.0.0.1']);
    const conditions: [
      Parameters<typeof world.elb.rule>[2],
      yes: Parameters<typeof world.get>[0],
      no: Parameters<typeof world.get>[0],
    ][] = [
      [
        [{ Field: 'host-header', HostHeaderConfig: { Values: ['*.Example.org'] } }],
        { headers: { host: 'A.example.org:8080' } },
        { headers: { host: 'example.org' } },
      ],
      [
        [{ Field: 'path-pattern', PathPatternConfig: { Values: ['/img/?.png'] } }],
        { path: '/img/1.png?x=/' },
        { path: '/IMG/1.png' },
      ],
      [
        [{ Field: 'http-header', HttpHeaderConfig: { HttpHeaderName: 'X-Kind', Values: ['beta*'] } }],
        { headers: { 'x-kind': 'BETA-2' } },
        { headers: { 'x-kind': 'alpha' } },
      ],
      [
        [{ Field: 'http-request-method', HttpRequestMethodConfig: { Values: ['PUT'] } }],
        { method: 'PUT' },
        { method: 'POST' },
      ],
      [
        [{ Field: 'query-string', QueryStringConfig: { Values: [{ Key: 'v', Value: '2*' }] } }],
        { path: '/?a=1&V=21' },
        { path: '/?v=1' },
      ],
      [
        [{ Field: 'source-ip', SourceIpConfig: { Values: ['127.0.7.0/24'] } }],
        { from: '127.0.7.9' },
        { from: '127.0.8.9' },
      ],
      [
        [
          { Field: 'path-pattern', PathPatternConfig: { Values: ['/a*', '/b*'] } },
          { Field: 'http-request-method', HttpRequestMethodConfig: { Values: ['DELETE'] } },
        ],
        { path: '/bc', method: 'DELETE' },
        { path: '/bc' },
      ],
    ];
    for (const [index, [condition]] of conditions.entries()) {
      await world.elb.rule(world.listener, index + 1, condition, {
        Type: 'fixed-response',
        FixedResponseConfig: { StatusCode: '299', ContentType: 'text/plain', MessageBody: `rule ${index + 1}` },
      });
    }
    await world.edge.refresh();
    for (const [index, [, yes, no]] of conditions.entries()) {
      expect(await world.get(yes)).toMatchObject({
        status: 299,
        body: `rule ${index + 1}`,
        headers: { server: 'awselb/2.0' },
      });
      expect(await world.get(no)).toMatchObject({ status: 200, body: '10.0.0.1' });
    }
  });

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-rules.html#listener-rule-priority
  test('the lowest priority wins, and the default rule comes last', async () => {
    await world.targets([world.blue, '10.0.0.1'], [world.green, '10.0.0.2']);
    const any = [{ Field: 'path-pattern', PathPatternConfig: { Values: ['/x*'] } }];
    const first = await world.elb.rule(world.listener, 20, any, forward({ [world.green]: 1 }));
    const second = await world.elb.rule(world.listener, 30, any, forward({ [world.blue]: 1 }));
    await world.edge.refresh();
    expect((await world.get({ path: '/x' })).body).toBe('10.0.0.2');
    expect((await world.get({ path: '/y' })).body).toBe('10.0.0.1');

    await world.elb.client.send(new SetRulePrioritiesCommand({ RulePriorities: [{ RuleArn: second, Priority: 5 }] }));
    await world.edge.refresh();
    expect((await world.get({ path: '/x' })).body).toBe('10.0.0.1');

    await world.elb.client.send(new ModifyRuleCommand({ RuleArn: second, Actions: [forward({ [world.green]: 1 })] }));
    await world.edge.refresh();
    expect((await world.get({ path: '/x' })).body).toBe('10.0.0.2');
    expect(first).not.toBe(second);
  });

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RedirectActionConfig.html
  test('a redirect keeps what it does not name, and leaves the usual port out', async () => {
    const host = { host: 'shop.example.org:8080' };
    await world.elb.setDefault(world.listener, {
      Type: 'redirect',
      RedirectConfig: { StatusCode: 'HTTP_301', Protocol: 'HTTPS', Port: '443', Path: '/new/#{path}' },
    });
    await world.edge.refresh();
    const answer = await world.get({ path: '/a/b?c=d', headers: host });
    expect(answer).toMatchObject({ status: 301, headers: { location: 'https://shop.example.org/new/a/b?c=d' } });
  });
});

describe('stickiness', () => {
  // https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html#target-group-stickiness
  test('AWSALBTG keeps a user with the group whatever the weights become, until its time is over', async () => {
    await world.targets([world.blue, '10.0.0.1'], [world.green, '10.0.0.2']);
    await world.setWeights(100, 0, WEEK);
    const first = await world.get();
    expect(first.cookies.map((one) => one.split('=')[0])).toEqual(['AWSALBTG', 'AWSALBTGCORS']);
    const headers = { cookie: first.cookies.join('; ') };
    await world.setWeights(0, 100, WEEK);
    expect(await world.spread(10, { headers })).toEqual({ '10.0.0.1': 10 });
    expect(await world.spread(10)).toEqual({ '10.0.0.2': 10 });

    await world.setWeights(100, 0, 1);
    const short = { cookie: (await world.get()).cookies.join('; ') };
    await world.setWeights(0, 100, 1);
    await expect.poll(async () => (await world.get({ headers: short })).body, { timeout: 60_000 }).toBe('10.0.0.2');
  });

  test('a user whose group is no longer named by the action is weighed anew', async () => {
    await world.targets([world.blue, '10.0.0.1'], [world.green, '10.0.0.2']);
    await world.setWeights(100, 0, 3_600);
    const { cookies } = await world.get();
    await world.elb.setDefault(world.listener, forward({ [world.green]: 1 }, 3_600));
    await world.edge.refresh();
    expect((await world.get({ headers: { cookie: cookies.join('; ') } })).body).toBe('10.0.0.2');
  });

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html#sticky-sessions
  test('AWSALB keeps a user with a target, and moves on when that one is unhealthy', async () => {
    const [one] = await world.targets([world.blue, '10.0.0.1'], [world.blue, '10.0.0.2']);
    await world.elb.setGroupAttributes(world.blue, {
      'stickiness.enabled': 'true',
      'stickiness.type': 'lb_cookie',
      'stickiness.lb_cookie.duration_seconds': '3600',
    });
    await world.edge.refresh();
    let first = await world.get();
    while (first.body !== '10.0.0.1') first = await world.get();
    const headers = { cookie: first.cookies.join('; ') };
    expect(await world.spread(10, { headers })).toEqual({ '10.0.0.1': 10 });
    if (one) one.health = 500;
    await world.becomes('10.0.0.1', 'unhealthy');
    expect(await world.spread(10, { headers })).toEqual({ '10.0.0.2': 10 });
  });

  test("an application's own cookie starts it, where the group asks for that", async () => {
    const [one, two] = await world.targets([world.blue, '10.0.0.1'], [world.blue, '10.0.0.2']);
    await world.elb.setGroupAttributes(world.blue, {
      'stickiness.enabled': 'true',
      'stickiness.type': 'app_cookie',
      'stickiness.app_cookie.cookie_name': 'session',
      'stickiness.app_cookie.duration_seconds': '3600',
    });
    await world.edge.refresh();
    expect((await world.get()).cookies).toEqual([]);
    for (const target of [one, two]) if (target) target.cookie = 'session=1; Path=/';
    const first = await world.get();
    expect(first.cookies.map((cookie) => cookie.split('=')[0])).toContain('AWSALBAPP-0');
    expect(await world.spread(10, { headers: { cookie: first.cookies.join('; ') } })).toEqual({ [first.body]: 10 });
  });
});

// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html#modify-routing-algorithm
describe('the algorithm of a group', () => {
  test('round robin gives each target the same share', async () => {
    await world.targets([world.blue, '10.0.0.1'], [world.blue, '10.0.0.2'], [world.blue, '10.0.0.3']);
    expect(await world.spread(30)).toEqual({ '10.0.0.1': 10, '10.0.0.2': 10, '10.0.0.3': 10 });
  });

  test('least outstanding requests avoids a target that is busy', async () => {
    const [one] = await world.targets([world.blue, '10.0.0.1'], [world.blue, '10.0.0.2']);
    await world.elb.setGroupAttributes(world.blue, { 'load_balancing.algorithm.type': 'least_outstanding_requests' });
    await world.edge.refresh();
    if (one) one.behaviour = { kind: 'wait' };
    const busy = [world.ask(), world.ask()];
    await expect.poll(() => one?.waiting, { timeout: 60_000 }).toBe(1);
    expect(await world.spread(20)).toEqual({ '10.0.0.2': 20 });
    one?.release();
    await Promise.all(busy.map(({ answer }) => answer));
  });

  // https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html#slow-start-mode
  test('a target that comes to others in a group with slow start begins with a small share', async () => {
    await world.targets([world.blue, '10.0.0.1']);
    await world.elb.setGroupAttributes(world.blue, { 'slow_start.duration_seconds': '900' });
    await world.edge.refresh();
    await world.targets([world.blue, '10.0.0.2']);
    const { '10.0.0.2': early = 0 } = await world.spread(100);
    expect(early).toBeLessThan(25);
    await world.elb.setGroupAttributes(world.blue, { 'slow_start.duration_seconds': '0' });
    await world.edge.refresh();
    expect(await world.spread(20)).toEqual({ '10.0.0.1': 10, '10.0.0.2': 10 });
  });
});

// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html
test('a target is told who asked, and how', async () => {
  const [target] = await world.targets([world.blue, '10.0.0.1']);
  await world.get({ path: '/who', from: '127.0.7.9', headers: { 'x-forwarded-for': '203.0.113.5' } });
  expect(target?.seen.at(-1)?.headers).toMatchObject({
    'x-forwarded-for': '203.0.113.5, 127.0.7.9',
    'x-forwarded-proto': 'http',
    'x-forwarded-port': '80',
    'x-amzn-trace-id': expect.stringMatching(/^Root=1-[0-9a-f]{8}-[0-9a-f]{24}$/) as string,
  });
});

// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-listeners.html#listener-configuration
test('a WebSocket is upgraded, and stays with its target when the weights change', async () => {
  await world.targets([world.blue, '10.0.0.1'], [world.green, '10.0.0.2']);
  const socket: WebSocket = await world.webSocket();
  const echo = (word: string): Promise<string> =>
    new Promise((resolve) => {
      socket.once('message', (data: Buffer) => resolve(data.toString()));
      socket.send(word);
    });
  expect(await echo('one')).toBe('10.0.0.1: one');
  await world.setWeights(0, 100);
  expect(await echo('two')).toBe('10.0.0.1: two');
  const other = await world.webSocket();
  other.terminate();
  socket.terminate();
});
