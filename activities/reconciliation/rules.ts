/**
 * The user's own rules as a part of a migration: before its switch and while it watches, once the rows are equal. Asked as the
 * level `business` of a reconciliation asks them, with the marker of the scope as proof.
 */
import { rulesOf } from '../../spec/normal.js';
import type { BusinessRule } from '../../spec/reconciliation.js';
import type { RulesSummary } from '../../spec/status.js';
import { cancellation, heartbeat } from '../activity-context.js';
import type { DatabaseMove } from '../contract.js';
import { passMarker } from '../postgres/marker.js';
import { otherSide, type Sides } from '../postgres/sides.js';
import {
  MARKER_TIMEOUT_MS,
  onFooting,
  requireFooting,
  requireSubscription,
  type Footing,
} from '../postgres/validation/footing.js';
import { pin } from '../postgres/validation/lanes.js';
import { markerProof } from '../postgres/validation/proof.js';
import { askRule, givenToUsers } from './checks/business.js';
import { severityOf, type Asking, type Checked } from './findings.js';

/** The answer travels through histories, and stays in the status for days. */
const NAMED = 10;
const CHARACTERS = 300;

/** The activity. Fails as `validate` does, where there is nothing to stand on; a rule that is broken or can't be asked is an answer. */
export async function checkRules(move: DatabaseMove): Promise<RulesSummary> {
  return checkRulesUntil(move, cancellation());
}

/** The same, ended by any signal. */
export async function checkRulesUntil(move: DatabaseMove, signal: AbortSignal): Promise<RulesSummary> {
  return onFooting(move, 'rules', signal, async (sides, footing) => {
    const summary = await askAll(sides, footing, move, signal);
    await requireFooting(sides, move, footing);
    return summary;
  });
}

async function askAll(sides: Sides, footing: Footing, move: DatabaseMove, signal: AbortSignal): Promise<RulesSummary> {
  const began = performance.now();
  const { asked, ignored, timeout } = rulesOf(move.database);
  const ends = { primary: sides.of(footing.primary), standby: sides.of(otherSide(footing.primary)) };
  await requireSubscription(ends.standby, move.key, footing.primary);
  for (const session of [ends.primary, ends.standby]) await pin(session);
  // a marker needs no synchronous standby's word, and would wait for ever where one is missing
  await ends.primary.run('set synchronous_commit = local');
  const at = new Date().toISOString();
  const { lsn } = await passMarker(ends.primary, ends.standby, move.key, MARKER_TIMEOUT_MS, signal);
  const proof = markerProof(move.key);
  const run: Asking = {
    source: sides.source,
    target: sides.target,
    primary: footing.primary,
    normal: {
      name: move.key,
      source: { url: move.database.source },
      target: { url: move.database.target },
      limits: { statementTimeout: timeout },
    },
    timeoutSetting: 'validation.ruleTimeout',
    caughtUp: (patience) => proof.caughtUp(ends, patience, signal),
    signal,
  };
  const given = await givenToUsers(run);
  const found = new Found();
  for (const rule of asked) {
    signal.throwIfAborted();
    heartbeat();
    found.take(rule, await askRule(run, rule, given));
  }
  return {
    ...found.summary(),
    ignored,
    primary: footing.primary,
    lsn,
    at,
    tookMs: Math.round(performance.now() - began),
  };
}

/** By what it means for a migration. */
class Found {
  #asked = 0;
  #held = 0;
  readonly #broken: string[] = [];
  readonly #noted: string[] = [];
  readonly #notAsked: string[] = [];

  take(rule: BusinessRule, { findings, notChecked }: Checked): void {
    this.#asked += 1;
    if (findings.length + notChecked.length === 0) this.#held += 1;
    for (const { count, detail } of findings) {
      const severity = severityOf('business', count, NOBODY_SAYS, rule.severity);
      (severity === 'low' ? this.#noted : this.#broken).push(`${detail} (${severity})`);
    }
    this.#notAsked.push(...notChecked.map(({ what, why }) => `${what}: ${why}`));
  }

  summary(): Pick<RulesSummary, 'asked' | 'held' | 'broken' | 'noted' | 'notAsked'> {
    return {
      asked: this.#asked,
      held: this.#held,
      broken: named(this.#broken),
      noted: named(this.#noted),
      notAsked: named(this.#notAsked),
    };
  }
}

/** A migration has no severities of its own by kind. */
const NOBODY_SAYS = { kinds: {}, highAbove: 0 };

function named(lines: string[]): string[] {
  const more = lines.length - NAMED;
  const short = lines.map((line) => (line.length > CHARACTERS ? `${line.slice(0, CHARACTERS)}…` : line));
  return more > 0 ? [...short.slice(0, NAMED), `and ${more} more`] : short;
}
