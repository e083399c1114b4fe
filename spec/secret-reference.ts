/** References to secrets, the only form in which a specification may speak of one. */
import { z } from 'zod';

const HOW = 'write {env: NAME}, {file: /path} or {secretsManager: ID, key: NAME}';
const FOUND_INLINE =
  "found the secret itself, which must not stand in the file: it would be kept in the workflow's history and in " +
  `every copy of this file. Put it where the worker runs and name it here: ${HOW}`;
const EXPECTED = 'expected a reference to a secret';
const EXPECTED_OF = {
  env: 'expected the name of an environment variable, such as ORDERS_SOURCE_URL',
  file: 'expected an absolute path, as the worker sees it, such as /run/secrets/orders-source',
  secretsManager: 'expected the name or ARN of a secret in AWS Secrets Manager',
  key: 'expected the name of a member of a JSON secret',
} as const;

/** Why a secret that stands somewhere else than in a reference is refused. */
export const INLINE_SECRET = `expected no secret, ${FOUND_INLINE}`;

/** Text that carries a password, whatever field it stands in. */
export function looksLikeSecret(text: string): boolean {
  return /:\/\/[^\s/]*@/.test(text) || /\bpassword\s*=/i.test(text);
}

/** Also an address without a password: where a reference must stand, it is a misunderstanding all the same. */
function isAddress(value: unknown): boolean {
  return typeof value === 'string' && (value.includes('://') || looksLikeSecret(value));
}

function member(name: keyof typeof EXPECTED_OF, shape: RegExp) {
  return z.string().regex(shape, {
    error: ({ input }) => (isAddress(input) ? `${EXPECTED}, ${FOUND_INLINE}` : EXPECTED_OF[name]),
  });
}

export const SecretReferenceSchema = z.union(
  [
    z.strictObject({
      env: member('env', /^[A-Za-z_][A-Za-z0-9_]*$/).describe(
        'Environment variable of the worker that holds the secret.',
      ),
    }),
    z.strictObject({
      file: member('file', /^\//).describe('Absolute path of a file, as the worker sees it, that holds the secret.'),
    }),
    z.strictObject({
      secretsManager: member('secretsManager', /^(?!.*:\/\/).+$/).describe(
        "Name or ARN of a secret in AWS Secrets Manager, read with the worker's own role.",
      ),
      key: member('key', /^.+$/)
        .optional()
        .describe('Member of a JSON secret. Left out: the whole text is the secret.'),
    }),
  ],
  { error: ({ input }) => (input === undefined ? undefined : explain(input)) },
);

/** What is wrong with something that stands where a reference must. Never repeats a value. */
function explain(input: unknown): string {
  if (isAddress(input)) return `${EXPECTED}, ${FOUND_INLINE}`;
  if (typeof input === 'string') return `${EXPECTED}, found text; ${HOW}`;
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return `${EXPECTED}; ${HOW}`;
  if (Object.values(input).some(isAddress)) return `${EXPECTED}, ${FOUND_INLINE}`;
  const names = Object.keys(input);
  const kinds = (['env', 'file', 'secretsManager'] as const).filter((kind) => names.includes(kind));
  const [kind, ...others] = kinds;
  if (others.length > 0) return `expected one reference, found ${kinds.join(' and ')}; keep one of them`;
  const allowed: string[] = kind === 'secretsManager' ? [kind, 'key'] : kinds;
  if (kind === undefined || names.some((name) => !allowed.includes(name))) return `${EXPECTED}; ${HOW}`;
  return kind === 'secretsManager' ? `${EXPECTED}; ${HOW}` : EXPECTED_OF[kind];
}
