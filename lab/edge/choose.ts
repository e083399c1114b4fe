/**
 * Which target group, and which of its targets, a request goes to. No I/O; `random` gives 0 to 1.
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html
 */
import type { TargetGroupConfiguration, WeightedGroup } from './configuration.js';

export type Random = () => number;

/** By weight; null: none has any. A group without healthy targets keeps its share: ALB doesn't fail over between groups. */
export function weigh<T extends { weight: number }>(choices: readonly T[], random: Random): T | null {
  const sum = choices.reduce((total, { weight }) => total + weight, 0);
  if (sum <= 0) return null;
  let point = random() * sum;
  return choices.find(({ weight }) => (point -= weight) < 0) ?? choices.findLast(({ weight }) => weight > 0) ?? null;
}

/**
 * With stickiness a user stays as long as the group is named by the action, whatever its weight is now: new users go by weight.
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html#target-group-stickiness
 */
export function chooseGroup(groups: WeightedGroup[], stickTo: string | null, random: Random): WeightedGroup | null {
  return groups.find(({ arn }) => arn === stickTo) ?? weigh(groups, random);
}

/** One that may be chosen. */
export interface Candidate {
  outstanding: number;
  /** 0 to 1: how far its slow start has come; 1: it has none. */
  warmth: number;
}

/** A target that has just begun gets at least this share of what it will get: else it could never warm up. */
const LEAST_WARMTH = 0.02;

/** @param turn counts requests of this group */
export function chooseTarget<T extends Candidate>(
  candidates: readonly T[],
  algorithm: TargetGroupConfiguration['algorithm'],
  turn: number,
  random: Random,
): T | null {
  if (candidates.length === 0) return null;
  switch (algorithm) {
    case 'least_outstanding_requests': {
      const least = Math.min(...candidates.map(({ outstanding }) => outstanding));
      const idle = candidates.filter(({ outstanding }) => outstanding === least);
      return idle[turn % idle.length] ?? null;
    }
    case 'weighted_random':
      return candidates[Math.floor(random() * candidates.length)] ?? null;
    case 'round_robin': {
      // Slow start needs a target that is warm already; it works with round robin only.
      const cold = candidates.some(({ warmth }) => warmth < 1) && candidates.some(({ warmth }) => warmth >= 1);
      if (!cold) return candidates[turn % candidates.length] ?? null;
      const shares = candidates.map((target) => ({ target, weight: Math.max(target.warmth, LEAST_WARMTH) }));
      return weigh(shares, random)?.target ?? null;
    }
  }
}
