/** Certificates of a listener: what would keep a wanted one from being issued or served, and which end soon. Reads only. */
import type { Listener } from '@aws-sdk/client-elastic-load-balancing-v2';
import { paginateDescribeListeners } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { NormalCertificate } from '../../../spec/normal-traffic.js';
import { plainName } from '../../dns/delegation.js';
import type { Found } from '../../preflight/check.js';
import { allCertificates, findCertificate } from '../acm/certificates.js';
import { certificatesOfListener } from '../acm/listener.js';
import { loadBalancerOf } from '../acm/request.js';
import type { AlbMove } from '../alb/change.js';
import { readListener } from '../alb/places.js';
import type { AwsClients } from '../clients.js';
import { delegatedServers } from '../route53/change.js';
import { readRecords, readZone, type Zone } from '../route53/zone.js';
import { looked, type TrafficId } from './look.js';

type Findings = Found<TrafficId>[];

const NOT_FOUND = { InvalidSpec: 'alb-not-found' } as const;
const DAY_MS = 86_400_000;
const SOON_MS = 30 * DAY_MS;
/** https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html; default ones don't count. */
const MOST_CERTIFICATES = 25;

/** @param listener of the unit */
export async function examineCertificates(
  { route, clients }: AlbMove,
  listener: Listener,
  found: Findings,
): Promise<void> {
  const wanted = route.certificate;
  if (wanted === undefined) return examineEnds(clients, listener, found);
  const at = { ...route, listener: wanted.listener };
  const other = wanted.listener !== route.listener;
  const serving = other ? await looked(() => readListener(clients, at), found, NOT_FOUND) : listener;
  await examineEnds(clients, listener, found);
  if (serving !== null && other) await examineEnds(clients, serving, found);
  if (serving !== null && serving.Protocol !== 'HTTPS') {
    const evidence = `${wanted.listener} speaks ${serving.Protocol ?? 'another protocol'}`;
    found.push({ id: 'certificate-listener', evidence, repair: ['Name an HTTPS listener as certificate.listener'] });
  }
  await looked(() => examineRoom(clients, wanted, found), found, NOT_FOUND);
  await looked(() => allCertificates(clients), found, {});
  await examineZone(clients, wanted, found);
}

/** Those of its certificates that end soon, and how many there are whose end can't be known. */
async function examineEnds(clients: AwsClients, listener: Listener, found: Findings): Promise<void> {
  if (listener.Protocol !== 'HTTPS') return;
  const { ListenerArn = '' } = listener;
  const unknown: string[] = [];
  const examine = async (): Promise<void> => {
    for (const { CertificateArn: arn = '' } of (await certificatesOfListener(clients, ListenerArn)) ?? []) {
      const one = /:acm:/.test(arn) ? await findCertificate(clients, arn) : null;
      if (one?.NotAfter === undefined) {
        unknown.push(arn);
        continue;
      }
      const left = one.NotAfter.getTime() - Date.now();
      if (left >= SOON_MS) continue;
      const when = `${one.NotAfter.toISOString().slice(0, 10)}, in ${Math.floor(left / DAY_MS)} days`;
      const renewal = one.RenewalSummary?.RenewalStatus ?? (one.Type === 'IMPORTED' ? 'it is imported' : 'none');
      const evidence = `${ListenerArn} has ${arn} for ${one.DomainName ?? '?'}, which ends ${when}; renewal: ${renewal}`;
      found.push({ id: 'listener-certificate-ends', evidence, repair: ['Renew it'] });
    }
  };
  await looked(examine, found, { PermissionDenied: 'listener-certificate-unknown' });
  if (unknown.length === 0) return;
  found.push({ id: 'listener-certificate-unknown', evidence: `${ListenerArn} has ${unknown.join(', ')}`, repair: [] });
}

async function examineRoom(clients: AwsClients, { listener }: NormalCertificate, found: Findings): Promise<void> {
  const LoadBalancerArn = loadBalancerOf(listener);
  let count = 0;
  for await (const { Listeners = [] } of paginateDescribeListeners({ client: clients.elb }, { LoadBalancerArn })) {
    for (const { ListenerArn = '', Protocol } of Listeners) {
      if (Protocol !== 'HTTPS') continue;
      const given = (await certificatesOfListener(clients, ListenerArn)) ?? [];
      count += given.filter(({ IsDefault }) => IsDefault !== true).length;
    }
  }
  if (count < MOST_CERTIFICATES) return;
  const evidence = `${LoadBalancerArn} has ${count} beside default ones; AWS allows ${MOST_CERTIFICATES} unless asked`;
  found.push({ id: 'certificate-no-room', evidence, repair: ['Remove one, or have the quota raised'] });
}

async function examineZone(clients: AwsClients, wanted: NormalCertificate, found: Findings): Promise<void> {
  const zone = await looked(() => readZone(clients, wanted.zone), found, { InvalidSpec: 'certificate-zone' });
  if (zone === null) return;
  await looked(() => delegatedServers(wanted, zone), found, {
    InvalidSpec: 'certificate-zone',
    TrafficMismatch: 'certificate-zone-delegated-elsewhere',
  });
  const foreign = wanted.names.filter((name) => !isWithin(bare(name), zone.name));
  if (foreign.length > 0) {
    const evidence = `${foreign.join(', ')} ${foreign.length === 1 ? 'is' : 'are'} not within the zone ${wanted.zone}, ${zone.name}`;
    found.push({ id: 'certificate-zone', evidence, repair: [`Name the zone of ${foreign.join(', ')}`] });
  }
  const within = wanted.names.filter((name) => !foreign.includes(name));
  await looked(() => examineNames(clients, wanted.zone, zone, within, found), found, {});
}

/** `*.shop.example.org` is validated as `shop.example.org`. */
const bare = (name: string): string => name.replace(/^\*\./, '');
const isWithin = (name: string, zone: string): boolean => name === zone || name.endsWith(`.${zone}`);

async function examineNames(
  clients: AwsClients,
  id: string,
  zone: Zone,
  names: string[],
  found: Findings,
): Promise<void> {
  const delegated = new Map<string, string[]>();
  for (const name of names) {
    for (const above of upTo(bare(name), zone.name)) {
      if (above === zone.name || delegated.has(above)) continue;
      const servers = (await readRecords(clients, id, above, 'NS')).flatMap(({ ResourceRecords = [] }) =>
        ResourceRecords.map(({ Value = '' }) => plainName(Value)),
      );
      delegated.set(above, servers);
      if (servers.length === 0) continue;
      const evidence = `${id} (${zone.name}) delegates ${above} to ${servers.join(', ')}, which answer for ${name}`;
      found.push({ id: 'certificate-zone', evidence, repair: [`Name the hosted zone ${above}`] });
    }
    const refusal = await refusedByCaa(clients, id, zone, name);
    if (refusal === null) continue;
    found.push({ id: 'certificate-caa', evidence: refusal, repair: ['Add CAA 0 issue "amazon.com"'] });
  }
}

/** `a.b.example.org`, `b.example.org`, `example.org` */
function upTo(name: string, zone: string): string[] {
  const labels = name.split('.');
  const above = labels.map((_, index) => labels.slice(index).join('.'));
  return above.slice(0, above.indexOf(zone) + 1);
}

/** https://docs.aws.amazon.com/acm/latest/userguide/setup-caa.html */
const AMAZON = ['amazon.com', 'amazontrust.com', 'awstrust.com', 'amazonaws.com'];

/** The nearest records count, RFC 8659, 3; those above the zone can't be known from here. Null: none refuses. */
async function refusedByCaa(clients: AwsClients, id: string, zone: Zone, name: string): Promise<string | null> {
  for (const above of upTo(bare(name), zone.name)) {
    const records = await readRecords(clients, id, above, 'CAA');
    if (records.length === 0) continue;
    const values = records.flatMap(({ ResourceRecords = [] }) => ResourceRecords.map(({ Value = '' }) => Value));
    const wild = values.filter((value) => /^\d+\s+issuewild\s/i.test(value));
    const issue = values.filter((value) => /^\d+\s+issue\s/i.test(value));
    const count = name.startsWith('*.') && wild.length > 0 ? wild : issue;
    const allowed = count.map((value) => /"\s*([^";\s]*)/.exec(value)?.[1]?.toLowerCase() ?? '');
    const isFree = count.length === 0 || allowed.some((one) => AMAZON.includes(one));
    return isFree ? null : `CAA ${above} says ${count.join(', ')}, and ${name} is wanted`;
  }
  return null;
}
