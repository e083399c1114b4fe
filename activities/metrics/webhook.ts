/** A judge of the user's own: asked by POST, it answers a verdict or figures. */
import { z } from 'zod';
import type { NormalWebhook } from '../../spec/metrics.js';
import { jsonOf, reasonOf, textOf } from '../http-answer.js';
import type { Ask, Evidence, Question } from './evidence.js';
import { reveal } from './secrets-of.js';

const MOST_BYTES = 64 * 1024;

const Answer = z.union([
  z.object({ verdict: z.enum(['pass', 'fail', 'no-data', 'insufficient']), reason: z.string().optional() }),
  z.object({ bad: z.number(), total: z.number() }),
  z.object({
    value: z.number(),
    lower: z.number().optional(),
    upper: z.number().optional(),
    samples: z.number().optional(),
  }),
]);

export function askWebhook(provider: NormalWebhook): Ask {
  return async (question) => {
    try {
      return await asked(provider, question);
    } catch (error) {
      const reason = error instanceof Error ? error.message : 'unknown error';
      return { kind: 'provider-error', reason: `${provider.name}: ${reason}` };
    }
  };
}

async function asked({ name, url, token, timeout }: NormalWebhook, question: Question): Promise<Evidence> {
  const { value: secrets, scrub } = await reveal(token === null ? {} : { token });
  const unusable = (reason: string): Evidence => ({ kind: 'provider-error', reason: scrub(`${name}: ${reason}`) });
  const { gate, side, range } = question;
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method: 'POST',
      redirect: 'manual',
      headers: {
        accept: 'application/json',
        'content-type': 'application/json',
        ...(secrets['token'] === undefined ? {} : { authorization: `Bearer ${secrets['token']}` }),
      },
      body: JSON.stringify({
        gate: gate.name,
        kind: gate.kind,
        side: question.name,
        labels: { ...side.labels, ...gate.labels },
        from: new Date(range.from).toISOString(),
        to: new Date(range.to).toISOString(),
      }),
      signal: AbortSignal.timeout(timeout),
    });
    text = await textOf(response, MOST_BYTES);
  } catch (error) {
    return unusable(`${url}: ${reasonOf(error, timeout)}`);
  }
  if (!response.ok) return unusable(`${url} answers ${response.status}, expected 200 with a verdict or figures`);
  const answer = Answer.safeParse(jsonOf(text));
  if (!answer.success) {
    return unusable(
      `${url} answers neither {"verdict": "pass"} nor figures: {"value": 0.2} or {"bad": 3, "total": 900}`,
    );
  }
  return evidenceOf(answer.data, scrub);
}

function evidenceOf(answer: z.output<typeof Answer>, scrub: (text: string) => string): Evidence {
  if ('verdict' in answer) {
    const { verdict, reason } = answer;
    return { kind: 'said', verdict, reason: reason === undefined ? verdict : scrub(`${verdict}, ${reason}`) };
  }
  if ('bad' in answer) return { kind: 'counts', ...answer };
  const { value, lower = null, upper = null, samples = null } = answer;
  return { kind: 'figure', value, lower, upper, samples };
}
