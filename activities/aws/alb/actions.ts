/**
 * Action lists of listeners and rules. Pure: every list that is ever written follows from the before-image and a weight, so
 * that a list that is found is either ours or somebody else's.
 */
import type { Action, ForwardActionConfig } from '@aws-sdk/client-elastic-load-balancing-v2';
import { isDeepStrictEqual } from 'node:util';

/** ARNs of target groups. */
export interface Pair {
  blue: string;
  green: string;
}

/** The most that one action forwards to: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html */
export const MOST_TARGET_GROUPS = 5;

interface Weighted {
  TargetGroupArn: string;
  Weight: number;
}

/** As they may be kept: without the secret of an identity provider, and as JSON brings them back. */
export function withoutSecrets(actions: Action[]): Action[] {
  const kept = actions.map((action): Action => {
    if (action.AuthenticateOidcConfig === undefined) return action;
    return { ...action, AuthenticateOidcConfig: { ...action.AuthenticateOidcConfig, ClientSecret: undefined } };
  });
  return JSON.parse(JSON.stringify(kept)) as Action[];
}

/** As the API takes them: it keeps the secret of an identity provider if it is asked to, and shows it to nobody. */
export function asInput(actions: Action[]): Action[] {
  return actions.map((action) => {
    if (action.AuthenticateOidcConfig === undefined) return action;
    return { ...action, AuthenticateOidcConfig: { ...action.AuthenticateOidcConfig, UseExistingClientSecret: true } };
  });
}

/** Where the traffic goes; empty: the list redirects or answers by itself. */
export function groupsOf(actions: Action[]): Weighted[] {
  const forward = actions.find(({ Type }) => Type === 'forward');
  if (forward === undefined) return [];
  const { TargetGroups = [] } = forward.ForwardConfig ?? {};
  const [only] = TargetGroups;
  const arn = only?.TargetGroupArn ?? forward.TargetGroupArn;
  // A lone target group gets everything, whatever weight it has; the API may leave it out.
  if (TargetGroups.length < 2) return arn === undefined ? [] : [{ TargetGroupArn: arn, Weight: 1 }];
  return TargetGroups.map(({ TargetGroupArn = '', Weight = 1 }) => ({ TargetGroupArn, Weight }));
}

export function stickinessOf(
  actions: Action[],
): NonNullable<ForwardActionConfig['TargetGroupStickinessConfig']> | null {
  const forward = actions.find(({ Type }) => Type === 'forward');
  const found = forward?.ForwardConfig?.TargetGroupStickinessConfig;
  return found?.Enabled === true ? found : null;
}

/** Null: the traffic goes to blue alone; else where it goes, in words. */
export function elsewhere(actions: Action[], { blue }: Pair): string | null {
  const groups = groupsOf(actions);
  const served = groups.filter(({ Weight }) => Weight > 0);
  if (served.length === 1 && served[0]?.TargetGroupArn === blue) return null;
  return describeActions(actions);
}

/** The image's list with `weight` percent for green, and the rest for blue. Groups without weight stay where they are. */
export function actionsAt(image: Action[], pair: Pair, weight: number): Action[] {
  return image.map((action): Action => {
    if (action.Type !== 'forward') return action;
    const groups = groupsOf([action]);
    const others = groups.filter(({ TargetGroupArn }) => TargetGroupArn !== pair.blue && TargetGroupArn !== pair.green);
    const moved = [
      { TargetGroupArn: pair.blue, Weight: 100 - weight },
      { TargetGroupArn: pair.green, Weight: weight },
    ];
    return withGroups(action, [...moved, ...others]);
  });
}

/** The image's list with green in the place of blue. */
export function finalActions(image: Action[], { blue, green }: Pair): Action[] {
  return image.map((action): Action => {
    if (action.Type !== 'forward') return action;
    if (action.ForwardConfig === undefined) return { ...action, TargetGroupArn: green };
    const groups = (action.ForwardConfig.TargetGroups ?? [])
      .filter(({ TargetGroupArn }) => TargetGroupArn !== green)
      .map((group) => (group.TargetGroupArn === blue ? { ...group, TargetGroupArn: green } : group));
    const config = { ...action.ForwardConfig, TargetGroups: groups };
    return {
      ...action,
      ...(action.TargetGroupArn === undefined ? {} : { TargetGroupArn: green }),
      ForwardConfig: config,
    };
  });
}

/**
 * Somebody else's list with blue's traffic put back: blue gets the weight that both have together, so that what goes
 * elsewhere stays as it is.
 * @param keepGreen stays there without weight, even where it was not in the image
 */
export function actionsPutBack(found: Action[], image: Action[], { blue, green }: Pair, keepGreen = false): Action[] {
  return found.map((action): Action => {
    if (action.Type !== 'forward') return action;
    const groups = groupsOf([action]);
    const together = groups
      .filter(({ TargetGroupArn }) => TargetGroupArn === blue || TargetGroupArn === green)
      .reduce((sum, { Weight }) => sum + Weight, 0);
    const greenStays = keepGreen || groupsOf(image).some(({ TargetGroupArn }) => TargetGroupArn === green);
    if (!groups.some(({ TargetGroupArn }) => TargetGroupArn === green)) return action;
    const blueIsThere = groups.some(({ TargetGroupArn }) => TargetGroupArn === blue);
    const back = groups.flatMap((group) => {
      if (group.TargetGroupArn === blue) return [{ ...group, Weight: together }];
      if (group.TargetGroupArn !== green) return [group];
      return [
        ...(blueIsThere ? [] : [{ TargetGroupArn: blue, Weight: together }]),
        ...(greenStays ? [{ ...group, Weight: 0 }] : []),
      ];
    });
    return withGroups(action, back);
  });
}

function withGroups(action: Action, groups: Weighted[]): Action {
  // A TargetGroupArn beside several target groups is refused.
  const { TargetGroupStickinessConfig: stickiness } = action.ForwardConfig ?? {};
  return {
    ...action,
    TargetGroupArn: undefined,
    ForwardConfig: {
      TargetGroups: groups,
      ...(stickiness === undefined ? {} : { TargetGroupStickinessConfig: stickiness }),
    },
  };
}

/** Whether two lists say the same, however the API spells them. */
export function sameActions(one: Action[], other: Action[]): boolean {
  return isDeepStrictEqual(spelledOut(one), spelledOut(other));
}

function spelledOut(actions: Action[]): unknown {
  const ordered = [...withoutSecrets(actions)].sort((one, other) => (one.Order ?? 0) - (other.Order ?? 0));
  const spelled = ordered.map((action) => {
    const unordered = { ...action, Order: undefined };
    if (action.Type !== 'forward') return unordered;
    const groups = groupsOf([action]).sort((one, other) => one.TargetGroupArn.localeCompare(other.TargetGroupArn));
    const stickiness = stickinessOf([action])?.DurationSeconds ?? null;
    return { ...unordered, TargetGroupArn: undefined, ForwardConfig: undefined, groups, stickiness };
  });
  return JSON.parse(JSON.stringify(spelled)) as unknown;
}

/** `authenticate-oidc, then forward to shop-blue 90, shop-green 10`. */
export function describeActions(actions: Action[]): string {
  const described = actions.map((action) => {
    if (action.Type !== 'forward') return action.Type ?? 'an action without a type';
    const groups = groupsOf([action]).map(({ TargetGroupArn, Weight }, _, all) =>
      all.length === 1 ? groupName(TargetGroupArn) : `${groupName(TargetGroupArn)} ${Weight}`,
    );
    const sticky = stickinessOf([action]);
    return `forward to ${groups.join(', ')}${sticky === null ? '' : ` (sticky for ${sticky.DurationSeconds ?? '?'} s)`}`;
  });
  return described.length === 0 ? 'no action' : described.join(', then ');
}

/** Of an ARN, as the console shows it. */
export const groupName = (arn: string): string => arn.split('/')[1] ?? arn;
