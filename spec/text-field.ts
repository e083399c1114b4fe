/** A field that holds text of a shape, such as a duration: what all kinds of field in `fields.ts` are made of. */
import { z } from 'zod';
import type { Parsed } from './parsed.js';

export interface Text<T> {
  /** What editors and the reference page call it. */
  title: string;
  read: (text: string) => Parsed<T>;
  pattern: string;
  examples: readonly string[];
}

/** A field that holds text of a shape. A number or nothing in its place is explained in the same words as bad text. */
export function textField<T>({ title, read, pattern, examples }: Text<T>) {
  return z
    .string({
      error: ({ input }) => {
        if (input === undefined) return undefined;
        const answer = read(typeof input === 'number' ? String(input) : '');
        return answer.ok ? undefined : answer.error;
      },
    })
    .meta({ title, pattern, examples })
    .transform((text, context): T => {
      const answer = read(text);
      if (answer.ok) return answer.value;
      context.issues.push({ code: 'custom', message: answer.error, input: text });
      return z.NEVER;
    });
}
