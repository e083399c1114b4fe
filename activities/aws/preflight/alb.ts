/** What would stop or hurt when a listener's traffic is moved. Reads only. */
import {
  DescribeRulesCommand,
  DescribeTargetHealthCommand,
  paginateDescribeListeners,
  type Action,
  type TargetGroup,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type { Found } from '../../preflight/check.js';
import { describeActions, groupName, groupsOf, stickinessOf } from '../alb/actions.js';
import { mustGoToBlue, type AlbMove } from '../alb/change.js';
import { placeName, readListener, readPlace, resourceOf, rulesOf } from '../alb/places.js';
import { LOCK_PREFIX, tagsOf } from '../alb/tags.js';
import { describeSettings, differingSettings, readTargetGroup } from '../alb/target-group.js';
import type { AwsClients } from '../clients.js';
import { ownersIn } from '../owners.js';
import { examineCertificates } from './certificate.js';
import { looked, type TrafficId } from './look.js';

type Findings = Found<TrafficId>[];

const NOT_FOUND = { InvalidSpec: 'alb-not-found' } as const;

export async function examineAlb(alb: AlbMove): Promise<Findings> {
  const { route, clients } = alb;
  const found: Findings = [];
  const listener = await looked(() => readListener(clients, route), found, NOT_FOUND);
  const blue = await looked(() => readTargetGroup(clients, route.blue), found, NOT_FOUND);
  const green = await looked(() => readTargetGroup(clients, route.green), found, NOT_FOUND);
  if (listener !== null) await examinePlaces(alb, found);
  if (blue !== null && green !== null) {
    found.push(...compareGroups(blue, green));
    await looked(() => examineTargets(clients, route.green, found), found, NOT_FOUND);
    await looked(() => examineSettings(alb, found), found, NOT_FOUND);
  }
  if (listener?.LoadBalancerArn !== undefined && green !== null) {
    const { LoadBalancerArn } = listener;
    await looked(() => examineUse(alb, LoadBalancerArn, green, found), found, NOT_FOUND);
  }
  if (listener !== null) await examineCertificates(alb, listener, found);
  return found;
}

async function examinePlaces(alb: AlbMove, found: Findings): Promise<void> {
  const { route, clients, move } = alb;
  for (const rule of rulesOf(route)) {
    const resource = resourceOf(route, rule);
    const tags = await looked(() => tagsOf(clients, resource), found, NOT_FOUND);
    const locks = (tags ?? []).filter(({ Key }) => Key?.startsWith(LOCK_PREFIX) === true);
    const own = locks.some(({ Key }) => Key === `${LOCK_PREFIX}${move.key}`);
    for (const { Key, Value } of locks.filter((one) => one.Key !== `${LOCK_PREFIX}${move.key}`)) {
      const evidence = `${resource} has the tag ${Key ?? ''} of ${Value ?? 'unnamed'}`;
      const repair = [`aws elbv2 remove-tags --resource-arns ${resource} --tag-keys ${Key ?? ''}`];
      found.push({ id: 'alb-locked', evidence, repair: [`Wait for ${Value ?? 'it'}, or abort it`, ...repair] });
    }
    const owners = ownersIn(tags ?? []);
    if (owners.length > 0) {
      const evidence = `${placeName(route, rule)}: ${owners.join(', ')}`;
      found.push({ id: 'alb-managed-elsewhere', evidence, repair: ['Stop it while the traffic moves'] });
    }
    const actions = await looked(() => readPlace(clients, route, rule), found, NOT_FOUND);
    if (actions !== null) await examineActions(alb, rule, actions, own, found);
  }
}

/** @param own this very migration holds it already: then weights that are there are its own. */
async function examineActions(
  { route }: AlbMove,
  rule: string | null,
  actions: Action[],
  own: boolean,
  found: Findings,
): Promise<void> {
  const sticky = stickinessOf(actions);
  if (sticky !== null) {
    const evidence = `${placeName(route, rule)} keeps users for ${sticky.DurationSeconds ?? '?'} s`;
    found.push({ id: 'alb-stickiness', evidence, repair: [] });
  }
  if (own) return;
  const check = (): Promise<void> => Promise.resolve().then(() => mustGoToBlue(route, rule, actions));
  await looked(check, found, { TrafficMismatch: 'alb-traffic-elsewhere' });
}

const HTTP = ['HTTP', 'HTTPS'];

function compareGroups(blue: TargetGroup, green: TargetGroup): Findings {
  const found: Findings = [];
  const [ofBlue, ofGreen] = [nameOf(blue), nameOf(green)];
  // Functions have neither.
  if (green.Protocol !== undefined && !HTTP.includes(green.Protocol)) {
    const evidence = `${ofGreen} has the protocol ${green.Protocol}; expected ${HTTP.join(' or ')}`;
    found.push({ id: 'green-protocol', evidence, repair: [`Make a target group of protocol HTTP or HTTPS`] });
  } else if (spoken(blue) !== spoken(green)) {
    const evidence = `${ofBlue} is spoken to by ${spoken(blue)}, ${ofGreen} by ${spoken(green)}`;
    found.push({ id: 'green-protocol-version', evidence, repair: [`Make green with ${spoken(blue)}`] });
  }
  if (blue.VpcId !== undefined && green.VpcId !== undefined && blue.VpcId !== green.VpcId) {
    const evidence = `${ofBlue} is in ${blue.VpcId}, ${ofGreen} in ${green.VpcId}`;
    found.push({ id: 'green-in-other-vpc', evidence, repair: [`Make the target group of green in ${blue.VpcId}`] });
  }
  return found;
}

const nameOf = ({ TargetGroupArn = '' }: TargetGroup): string => groupName(TargetGroupArn);
const spoken = ({ Protocol, ProtocolVersion }: TargetGroup): string =>
  [Protocol, ProtocolVersion].filter((one) => one !== undefined).join(' ') || 'a call';

async function examineTargets({ elb }: AwsClients, green: string, found: Findings): Promise<void> {
  const { TargetHealthDescriptions = [] } = await elb.send(new DescribeTargetHealthCommand({ TargetGroupArn: green }));
  if (TargetHealthDescriptions.length > 0) return;
  const evidence = `${groupName(green)} has no registered target`;
  found.push({
    id: 'green-without-targets',
    evidence,
    repair: [`aws elbv2 register-targets --target-group-arn ${green}`],
  });
}

async function examineSettings({ route, clients }: AlbMove, found: Findings): Promise<void> {
  if (route.settings !== 'compare') return;
  const differing = describeSettings(await differingSettings(clients, route));
  if (differing.length === 0) return;
  const repair = ['Make them equal', 'or write settings: apply, or settings: ignore'];
  found.push({ id: 'green-settings-differ', evidence: differing.join('; '), repair });
}

/** Where green is used already. */
async function examineUse(alb: AlbMove, loadBalancer: string, green: TargetGroup, found: Findings): Promise<void> {
  const { route, clients } = alb;
  const { LoadBalancerArns = [] } = green;
  const others = LoadBalancerArns.filter((arn) => arn !== loadBalancer);
  if (others.length > 0) {
    const evidence = `${nameOf(green)} belongs to ${others.join(', ')}; the listener to ${loadBalancer}`;
    found.push({ id: 'green-on-other-load-balancer', evidence, repair: ['Make another target group for green'] });
  }
  if (!LoadBalancerArns.includes(loadBalancer)) return;
  const uses = (await allPlaces(clients, loadBalancer)).filter(({ resource, actions }) => {
    const moved = rulesOf(route).some((rule) => resourceOf(route, rule) === resource);
    return !moved && groupsOf(actions).some((one) => one.TargetGroupArn === route.green && one.Weight > 0);
  });
  for (const { resource, actions } of uses) {
    const evidence = `${resource}: ${describeActions(actions)}`;
    found.push({ id: 'green-serves-already', evidence, repair: ['Make another target group for green'] });
  }
}

/** Of all listeners of a load balancer, each default action and rule. */
async function allPlaces(clients: AwsClients, LoadBalancerArn: string) {
  const places: { resource: string; actions: Action[] }[] = [];
  for await (const { Listeners = [] } of paginateDescribeListeners({ client: clients.elb }, { LoadBalancerArn })) {
    for (const { ListenerArn, DefaultActions = [] } of Listeners) {
      if (ListenerArn === undefined) continue;
      places.push({ resource: ListenerArn, actions: DefaultActions });
      places.push(...(await rulesUnder(clients, ListenerArn)));
    }
  }
  return places;
}

async function rulesUnder({ elb }: AwsClients, ListenerArn: string) {
  const rules: { resource: string; actions: Action[] }[] = [];
  let marker: string | undefined;
  do {
    const page = await elb.send(
      new DescribeRulesCommand({ ListenerArn, ...(marker === undefined ? {} : { Marker: marker }) }),
    );
    for (const { RuleArn = '', Actions = [], IsDefault } of page.Rules ?? []) {
      if (IsDefault !== true) rules.push({ resource: RuleArn, actions: Actions });
    }
    marker = page.NextMarker;
  } while (marker !== undefined && marker !== '');
  return rules;
}
