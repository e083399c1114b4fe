/**
 * The messages of every workflow: a signal and, under the same name, an update. One list, imported by
 * workflows, CLI and tests. Payloads are optional objects, parsed without throwing.
 */
import { z } from 'zod';

const common = {
  unit: z.string().optional(),
  by: z.string().optional(),
  reason: z.string().optional(),
};

export const MESSAGES = {
  pause: z.object(common),
  resume: z.object(common),
  abort: z.object(common),
  rollback: z.object(common),
  switch: z.object(common),
  rehearse: z.object(common),
  retry: z.object(common),
  approve: z.object({
    ...common,
    gate: z.string(),
    /** The migration's `metadata.name`, typed. */
    confirm: z.string(),
    /** Digest of the plan that was read; absent: the current one. */
    digest: z.string().optional(),
  }),
  /** Traffic: skips the wait at this step; full: all steps that are left. */
  promote: z.object({ ...common, full: z.boolean().optional() }),
  /** Traffic: the hand on the wheel. Percent for green; it stays until `promote`. */
  setWeight: z.object({ ...common, weight: z.number().int().min(0).max(100) }),
  set: z.object({ ...common, path: z.string(), value: z.union([z.string(), z.number(), z.boolean(), z.null()]) }),
} as const;

export type MessageName = keyof typeof MESSAGES;
export type Message<N extends MessageName> = z.infer<(typeof MESSAGES)[N]>;

export const MESSAGE_NAMES = Object.keys(MESSAGES) as MessageName[];

/** Never throws: a payload that can't be understood is an `error` to be noted, and changes nothing. */
export function parseMessage<N extends MessageName>(
  name: N,
  payload: unknown,
): { ok: true; message: Message<N> } | { ok: false; error: string } {
  const parsed = MESSAGES[name].safeParse(payload ?? {});
  if (parsed.success) return { ok: true, message: parsed.data as Message<N> };
  const issues = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'payload'}: ${issue.message}`);
  return { ok: false, error: issues.join('; ') };
}

/** Query names. `state` returns what continues the migration elsewhere; `status` is for people. */
export const QUERIES = { status: 'status', state: 'state' } as const;

export const SEARCH_ATTRIBUTES = { state: 'GodwitState', stage: 'GodwitStage' } as const;
