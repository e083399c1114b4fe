/** Health, draining and errors of the edge, each as the page of AWS says that stands beside it. */
import { Agent } from 'node:http';
import { once } from 'node:events';
import { DescribeTargetHealthCommand, ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { EdgeControl } from '../../lab/edge/control.js';
import { Edge } from '../../lab/edge/edge.js';
import type { AwsProxy, ClientConfiguration } from '../../lab/aws/proxy.js';
import { TcpEdge } from '../../lab/tcp-edge.js';
import { newAccount, startAws } from '../support/aws.js';
import { underway } from '../support/underway.js';
import { EdgeWorld, SECOND_MS } from '../support/edge-world.js';
import { TargetServer } from '../support/target-server.js';

/** Longer than any test. */
const LONG_DELAY = { 'deregistration_delay.timeout_seconds': '3000' };
const BLUE = '10.0.0.1';
const OTHER = '10.0.0.2';

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

// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
describe('health', () => {
  test('one success makes a new target healthy; then as many failures as the threshold says make it unhealthy', async () => {
    const [target] = await world.targets([world.blue, BLUE]);
    expect(world.healthOf(BLUE)).toMatchObject({ state: 'healthy', reason: null });
    if (target) target.health = 503;
    await world.becomes(BLUE, 'unhealthy');
    expect(world.healthOf(BLUE)).toMatchObject({
      reason: 'Target.ResponseCodeMismatch',
      description: 'Health checks failed with these codes: [503]',
    });
    if (target) target.health = 200;
    await world.becomes(BLUE, 'healthy');
  });

  test('a target that never answered well goes from initial to unhealthy', async () => {
    // A port where nobody listens any more.
    const target = await TargetServer.start(BLUE);
    const { address } = target;
    await target.stop();
    world.edge.place({ [`${BLUE}:8080`]: address });
    await world.elb.register(world.blue, { id: BLUE, port: 8080 });
    await world.edge.refresh();
    await world.becomes(BLUE, 'unhealthy');
    expect(world.healthOf(BLUE)?.reason).toBe('Target.FailedHealthChecks');
  });

  test('an address without a host times out', async () => {
    await world.elb.register(world.blue, { id: '10.9.9.9', port: 80 });
    await world.edge.refresh();
    expect(world.healthOf('10.9.9.9')).toMatchObject({ state: 'initial', reason: 'Elb.RegistrationInProgress' });
    await world.becomes('10.9.9.9', 'unhealthy');
    expect(world.healthOf('10.9.9.9')?.reason).toBe('Target.Timeout');
  });

  test('targets of a group that no listener names are unused, and nobody asks them', async () => {
    await world.elb.setDefault(world.listener, {
      Type: 'forward',
      ForwardConfig: { TargetGroups: [{ TargetGroupArn: world.blue, Weight: 1 }] },
    });
    await world.target(world.green, OTHER);
    expect(world.healthOf(OTHER)).toMatchObject({ state: 'unused', reason: 'Target.NotInUse' });
    await world.setWeights(100, 0);
    await world.becomes(OTHER, 'healthy');
  });

  test('unhealthy targets get no requests, but if all are unhealthy, all get them: it fails open', async () => {
    const [one, two] = await world.targets([world.blue, BLUE], [world.blue, OTHER]);
    if (one) one.health = 500;
    await world.becomes(BLUE, 'unhealthy');
    expect(await world.spread(10)).toEqual({ [OTHER]: 10 });
    if (two) two.health = 500;
    await world.becomes(OTHER, 'unhealthy');
    expect(await world.spread(10)).toEqual({ [BLUE]: 5, [OTHER]: 5 });
  });

  test('the control port tells it as DescribeTargetHealth does, and the strict API asks there', async () => {
    await world.targets([world.blue, BLUE]);
    const control = await EdgeControl.start(world.edge);
    const outside = new ElasticLoadBalancingV2Client(aws.client({ account: account.credentials.accessKeyId }));
    const url = `${control.url}/target-health?targetGroupArn=${encodeURIComponent(world.blue)}`;
    expect(await (await fetch(url)).json()).toEqual([
      { targetId: BLUE, port: 8080, state: 'healthy', reason: null, description: null },
    ]);
    expect((await fetch(`${control.url}/target-health?targetGroupArn=arn:none`)).status).toBe(404);
    aws.tell({ edge: control.url });
    const { TargetHealthDescriptions: told } = await outside.send(
      new DescribeTargetHealthCommand({ TargetGroupArn: world.blue }),
    );
    expect(told).toMatchObject([{ Target: { Id: BLUE, Port: 8080 }, TargetHealth: { State: 'healthy' } }]);
    aws.tell({ edge: null });
    outside.destroy();
    await control.stop();
  });
});

// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html#deregistration-delay
describe('a target that is deregistered', () => {
  test('gets no new requests, ends those it has, and is draining until the delay is over', async () => {
    await world.elb.setGroupAttributes(world.blue, LONG_DELAY);
    const [one] = await world.targets([world.blue, BLUE], [world.blue, OTHER]);
    if (one) one.behaviour = { kind: 'wait' };
    const asked = [world.ask(), world.ask()];
    await expect.poll(() => one?.waiting, { timeout: 60_000 }).toBe(1);
    await world.elb.deregister(world.blue, { id: BLUE, port: 8080 });
    await world.edge.refresh();
    expect(world.healthOf(BLUE)).toMatchObject({ state: 'draining', reason: 'Target.DeregistrationInProgress' });
    expect(await world.spread(10)).toEqual({ [OTHER]: 10 });
    one?.release();
    const answers = await Promise.all(asked.map(({ answer }) => answer));
    expect(answers.map(({ body }) => body).sort()).toEqual([BLUE, OTHER]);
    expect(world.stateOf(BLUE)).toBe('draining');
  });

  test('loses what is still under way when the delay is over: its clients get a 502', async () => {
    await world.elb.setGroupAttributes(world.blue, { 'deregistration_delay.timeout_seconds': '10' });
    const [one] = await world.targets([world.blue, BLUE]);
    if (one) one.behaviour = { kind: 'wait' };
    const asked = world.ask();
    await expect.poll(() => one?.waiting, { timeout: 60_000 }).toBe(1);
    await world.elb.deregister(world.blue, { id: BLUE, port: 8080 });
    await world.edge.refresh();
    expect((await asked.answer).status).toBe(502);
    await world.becomes(BLUE, null);
  });

  test('keeps an open WebSocket until then', async () => {
    // 3 s: time enough to look at the socket.
    await world.elb.setGroupAttributes(world.blue, { 'deregistration_delay.timeout_seconds': '150' });
    await world.targets([world.blue, BLUE]);
    const socket = await world.webSocket();
    const closed = underway(once(socket, 'close'));
    await world.elb.deregister(world.blue, { id: BLUE, port: 8080 });
    await world.edge.refresh();
    expect(socket.readyState).toBe(socket.OPEN);
    await closed;
    await world.becomes(BLUE, null);
  });

  test('is new when it is registered again', async () => {
    await world.elb.setGroupAttributes(world.blue, LONG_DELAY);
    await world.targets([world.blue, BLUE]);
    await world.elb.deregister(world.blue, { id: BLUE, port: 8080 });
    await world.edge.refresh();
    expect((await world.get()).status).toBe(503);
    await world.elb.register(world.blue, { id: BLUE, port: 8080 });
    await world.edge.refresh();
    await world.becomes(BLUE, 'healthy');
    expect((await world.get()).body).toBe(BLUE);
  });
});

// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
describe('errors of the load balancer itself', () => {
  test('503: no target is registered', async () => {
    expect(await world.get()).toMatchObject({ status: 503, headers: { server: 'awselb/2.0' } });
  });

  test('502: the target refuses or resets the connection', async () => {
    const [target] = await world.targets([world.blue, BLUE]);
    if (target) target.behaviour = { kind: 'reset' };
    expect(await world.get()).toMatchObject({ status: 502, headers: { server: 'awselb/2.0' } });
    await target?.stop();
    expect((await world.get()).status).toBe(502);
  });

  test('504: the target does not answer before the idle time-out', async () => {
    const [target] = await world.targets([world.blue, BLUE]);
    await world.elb.setBalancerAttributes(world.balancer.arn, { 'idle_timeout.timeout_seconds': '1' });
    await world.edge.refresh();
    if (target) target.behaviour = { kind: 'wait' };
    expect((await world.get()).status).toBe(504);
  });

  test('an answer that breaks off reaches its client as one that broke off', async () => {
    const [target] = await world.targets([world.blue, BLUE]);
    if (target) target.behaviour = { kind: 'half an answer' };
    await expect(world.get()).rejects.toThrow('aborted');
  });

  test("a target's own errors are passed on", async () => {
    const [target] = await world.targets([world.blue, BLUE]);
    if (target) target.behaviour = { kind: 'fail', status: 503 };
    const answer = await world.get();
    expect(answer).toMatchObject({ status: 503, body: BLUE });
    expect(answer.headers.server).toBeUndefined();
  });
});

// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html#connection-idle-timeout
test("a client's connection is kept for its next requests, wherever they go", async () => {
  await world.targets([world.blue, BLUE], [world.blue, OTHER]);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  expect(await world.spread(10, { agent })).toEqual({ [BLUE]: 5, [OTHER]: 5 });
  expect(Object.values(agent.freeSockets).flat()).toHaveLength(1);
  agent.destroy();
});

test('while the API does not answer, the edge goes on with what it knew, and says so', async () => {
  const broken: string[] = [];
  await world.targets([world.blue, BLUE]);
  const api = await TcpEdge.start(Number(new URL(account.endpoint).port));
  const edge = await Edge.start({
    aws: [{ ...account, endpoint: `http://127.0.0.1:${api.port}` }],
    hosts: { [`${BLUE}:8080`]: world.addressOf(BLUE) },
    refreshEveryMs: 50,
    secondMs: SECOND_MS,
    cloudWatchEveryMs: null,
    onProblem: (problem) => broken.push(problem),
  });
  onTestFinished(() => edge.stop());
  await expect.poll(() => edge.targetHealth(world.blue)?.[0]?.state, { timeout: 60_000 }).toBe('healthy');
  await api.stop();
  await expect.poll(() => broken.length, { timeout: 60_000 }).toBeGreaterThan(0);
  const [at] = edge.listeners;
  expect(await (await fetch(`http://${at?.host}:${at?.port}`)).text()).toBe(BLUE);
});
