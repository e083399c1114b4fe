/** The places of a listener whose actions a migration changes: rules, or its default action. */
import {
  DescribeListenersCommand,
  DescribeRulesCommand,
  ModifyListenerCommand,
  ModifyRuleCommand,
  type Action,
  type Listener,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type { NormalAlb } from '../../../spec/normal-traffic.js';
import { failure } from '../../failure.js';
import type { AwsClients } from '../clients.js';
import { isMissing } from '../errors.js';
import { asInput, withoutSecrets } from './actions.js';

/** ARN of a rule; null: the default action. */
export type Rule = string | null;

export const rulesOf = (route: NormalAlb): Rule[] => route.rules ?? [null];

/** What is tagged: the rule, or the listener for its default action. */
export const resourceOf = (route: NormalAlb, rule: Rule): string => rule ?? route.listener;

export function placeName(route: NormalAlb, rule: Rule): string {
  return rule === null ? `the default action of ${route.listener}` : `the rule ${rule}`;
}

export async function readListener({ elb }: AwsClients, route: NormalAlb): Promise<Listener> {
  const { Listeners = [] } = await elb.send(new DescribeListenersCommand({ ListenerArns: [route.listener] }));
  const [listener] = Listeners;
  if (listener === undefined) throw failure('InvalidSpec', `there is no listener ${route.listener}`);
  return listener;
}

/** Fails with `InvalidSpec` where it isn't there, or can't be changed as a rule. */
export async function readPlace(clients: AwsClients, route: NormalAlb, rule: Rule): Promise<Action[]> {
  if (rule === null) return withoutSecrets((await readListener(clients, route)).DefaultActions ?? []);
  if (!belongs(rule, route.listener)) {
    throw failure('InvalidSpec', `the rule ${rule} is not one of the listener ${route.listener}`);
  }
  const { Rules = [] } = await clients.elb.send(new DescribeRulesCommand({ RuleArns: [rule] }));
  const [found] = Rules;
  if (found === undefined) throw failure('InvalidSpec', `there is no rule ${rule}`);
  if (found.IsDefault === true) {
    throw failure('InvalidSpec', `${rule} is the default rule of its listener`, 'Leave rules out to move it');
  }
  return withoutSecrets(found.Actions ?? []);
}

/** Null: it is gone. */
export async function findPlace(clients: AwsClients, route: NormalAlb, rule: Rule): Promise<Action[] | null> {
  try {
    return await readPlace(clients, route, rule);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

export async function writePlace({ elb }: AwsClients, route: NormalAlb, rule: Rule, actions: Action[]): Promise<void> {
  const input = asInput(actions);
  if (rule === null) {
    await elb.send(new ModifyListenerCommand({ ListenerArn: route.listener, DefaultActions: input }));
  } else {
    await elb.send(new ModifyRuleCommand({ RuleArn: rule, Actions: input }));
  }
}

/** `listener-rule/app/shop/LB/LISTENER/RULE` belongs to `listener/app/shop/LB/LISTENER`. */
function belongs(rule: string, listener: string): boolean {
  return rule.replace(':listener-rule/', ':listener/').startsWith(`${listener}/`);
}
