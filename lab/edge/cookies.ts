/**
 * The load balancer's own cookies: `AWSALBTG` keeps a user with a target group, `AWSALB` with a target. AWS encrypts them; here
 * they are readable, and nobody should read them.
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html#sticky-sessions
 */

/** What it keeps a user with (an ARN, or `id:port`), until when in milliseconds of the clock. */
export interface StickyCookie {
  to: string;
  until: number;
}

/** Null: none, or none that we made. Expired ones are null, too. */
export function readCookie(header: string | undefined, name: string, now = Date.now()): StickyCookie | null {
  const text = valueOf(header, name);
  if (text === null) return null;
  const [until = NaN, to = ''] = split(Buffer.from(text, 'base64url').toString());
  return Number(until) > now && to !== '' ? { to, until: Number(until) } : null;
}

/** Browsers keep it for a week; whether it counts, its content says. With the copy for requests of other sites, as AWS sets it. */
export function setCookie(name: string, { to, until }: StickyCookie, now = Date.now()): string[] {
  const value = Buffer.from(`${until} ${to}`).toString('base64url');
  const expires = new Date(now + 7 * 24 * 3_600_000).toUTCString();
  return [
    `${name}=${value}; Expires=${expires}; Path=/`,
    `${name}CORS=${value}; Expires=${expires}; Path=/; SameSite=None; Secure`,
  ];
}

/** Of a `Cookie` header; null: it isn't there. */
export function valueOf(header: string | undefined, name: string): string | null {
  for (const pair of (header ?? '').split(';')) {
    const at = pair.indexOf('=');
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return null;
}

function split(text: string): [string, string] {
  const at = text.indexOf(' ');
  return [text.slice(0, at), text.slice(at + 1)];
}
