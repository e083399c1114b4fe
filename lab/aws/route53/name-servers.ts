/** Which name servers a zone is delegated to. moto gives every zone the same ones, which would hide a wrong delegation. */
import { createHash } from 'node:crypto';

const DOMAINS = ['com', 'net', 'org', 'co.uk'];
const SERVERS_OF_DOMAIN = 512;

/** Four, of four top-level domains as AWS has it, always the same for a zone. */
export function nameServersOf(zoneId: string): string[] {
  const mark = createHash('sha256').update(zoneId).digest();
  return DOMAINS.map((domain, index) => {
    const server = index * SERVERS_OF_DOMAIN + (mark.readUInt16BE(index * 2) % SERVERS_OF_DOMAIN);
    const set = (mark[8 + index] ?? 0) % 64;
    return `ns-${server}.awsdns-${String(set).padStart(2, '0')}.${domain}`;
  });
}

/** All private zones have these, which nobody can ask. */
export const PRIVATE_NAME_SERVERS = [
  'ns-0.awsdns-00.com',
  'ns-512.awsdns-00.net',
  'ns-1024.awsdns-00.org',
  'ns-1536.awsdns-00.co.uk',
];
