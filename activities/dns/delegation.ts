/** Who answers for a zone, as its parent tells the world. What the zone says of itself nobody asks. */
import type { Answer, DecodedPacket } from 'dns-packet';
import { failure } from '../failure.js';
import { ask, resolver, type RecordType, type Server } from './ask.js';

/** Names in small letters, without the dot at the end, in order; empty: the parent delegates it to nobody. */
export async function delegation(zone: string): Promise<string[]> {
  const parent = await parentServers(zone);
  for (const [index, name] of parent.entries()) {
    try {
      const [server] = await serversNamed(name);
      if (server === undefined) continue;
      const answer = await ask(server, { name: zone, type: 'NS', recursive: false });
      return namesOf([...(answer.answers ?? []), ...(answer.authorities ?? [])], zone);
    } catch (error) {
      if (index === parent.length - 1) throw error;
    }
  }
  throw failure(
    'DnsUnavailable',
    `none of the name servers of the parent of ${zone} has an address: ${parent.join(', ')}`,
  );
}

/** Names of those that delegate the zone: of the nearest name above it that is a zone. */
async function parentServers(zone: string): Promise<string[]> {
  const labels = zone.split('.');
  for (let skip = 1; skip <= labels.length; skip += 1) {
    const above = labels.slice(skip).join('.') || '.';
    const answer = await ask(resolver(), { name: above, type: 'NS', recursive: true });
    const names = namesOf(answer.answers ?? [], above);
    if (names.length > 0) return names;
  }
  throw failure('DnsUnavailable', `the resolver ${resolver().address} knows no zone above ${zone}`);
}

/** Addresses of a name server, at the port of the resolver. */
export async function serversNamed(name: string): Promise<Server[]> {
  const { port } = resolver();
  return (await addressesOf(name, 'A')).map((address) => ({ address, port }));
}

/** As the resolver has them; CNAMEs are followed by it. */
export async function addressesOf(name: string, type: 'A' | 'AAAA'): Promise<string[]> {
  const answer = await ask(resolver(), { name, type, recursive: true });
  return dataOf(answer, type);
}

/** Of all answers of one type, names without the dot at their end. */
export function dataOf({ answers = [] }: DecodedPacket, type: RecordType): string[] {
  return answers.flatMap((answer) =>
    answer.type === type && typeof answer.data === 'string' ? [plainName(answer.data)] : [],
  );
}

function namesOf(answers: Answer[], zone: string): string[] {
  const owner = zone === '.' ? '' : zone;
  return answers
    .flatMap((answer) => (answer.type === 'NS' && plainName(answer.name) === owner ? [plainName(answer.data)] : []))
    .sort();
}

export const plainName = (name: string): string => name.toLowerCase().replace(/\.$/, '');
