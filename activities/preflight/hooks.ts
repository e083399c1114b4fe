/** Whether each hook answers, and leads to the source now. Asks by GET alone: nothing is called that changes anything. */
import { ApplicationFailure } from '@temporalio/common';
import type { NormalHook } from '../../spec/normal.js';
import { NoAnswer } from '../hook/call.js';
import { askHook, tokenOf } from '../hook/current.js';
import { defineCheck, type Found } from './check.js';

type Id = 'hook-unreachable' | 'hook-answer' | 'hook-elsewhere' | 'hook-token-in-clear';

export const hooks = defineCheck<Id>({
  topic: 'Hooks',
  on: 'specification',
  rules: {
    'hook-unreachable': {
      severity: 'error',
      title: 'A hook does not answer',
      why: 'The switch asks it where it leads before anything is paused, and would not begin.',
      mend: 'Start it, correct url and timeout, or let the worker through the firewall. The worker has to reach it, not the CLI.',
    },
    'hook-answer': {
      severity: 'error',
      title: 'A hook does not say where it leads',
      why: 'After a lost answer nobody could tell whether the clients were moved.',
      mend: 'Let GET answer 200 with {"primary": "source"} or {"primary": "target"}, or say in check.status which status means which side; redirects are not followed; a token may be wrong.',
    },
    'hook-elsewhere': {
      severity: 'error',
      title: 'A hook leads to the target already',
      why: 'The clients behind it are not where the writes go, and the fence of the target refuses theirs.',
      mend: 'Lead it to the source, or correct what it answers.',
    },
    'hook-token-in-clear': {
      severity: 'warning',
      title: 'The token of a hook is sent in clear text',
      why: 'Whoever can read the traffic can move the clients.',
      mend: 'Call it by https.',
    },
  },
  find: async ({ move, claimed }) => {
    const all = move.database.endpoints.flatMap((endpoint) => (endpoint.kind === 'hook' ? [endpoint] : []));
    const found = await Promise.all(all.map((hook) => examine(hook, claimed)));
    return found.flat();
  },
});

async function examine(hook: NormalHook, claimed: boolean): Promise<Found<Id>[]> {
  const clear = inClear(hook);
  try {
    const primary = await askHook(hook, await tokenOf(hook));
    // A migration that has begun may have led it there itself.
    if (primary === 'source' || claimed) return clear;
    const evidence = `GET ${hook.check.url} of ${hook.name} says ${primary}; expected source`;
    return [{ id: 'hook-elsewhere', evidence, repair: [`Lead ${hook.name} to the source`] }, ...clear];
  } catch (error) {
    const evidence = error instanceof Error ? error.message : 'unknown error';
    if (error instanceof NoAnswer) {
      return [{ id: 'hook-unreachable', evidence, repair: [`Let the worker reach ${hook.check.url}`] }, ...clear];
    }
    if (error instanceof ApplicationFailure && error.type === 'EndpointFailed') {
      return [{ id: 'hook-answer', evidence, repair: [`Correct what ${hook.check.url} answers`] }, ...clear];
    }
    throw error;
  }
}

function inClear({ name, url, check, hold, token }: NormalHook): Found<Id>[] {
  const urls = [url, check.url, ...(hold === null ? [] : [hold.pause, hold.resume])];
  const clear = token === null ? [] : urls.map((text) => new URL(text)).filter(isInClear);
  if (clear.length === 0) return [];
  const evidence = `${name} is called at ${[...new Set(clear.map(({ origin }) => origin))].join(', ')}`;
  return [{ id: 'hook-token-in-clear', evidence, repair: ['Call it by https'] }];
}

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

const isInClear = ({ protocol, hostname }: URL): boolean => protocol === 'http:' && !LOOPBACK.test(hostname);
