/** The load balancers that blue and green lead to, where both are aliases of one: whether they are set up alike. Reads only. */
import {
  DescribeLoadBalancerAttributesCommand,
  paginateDescribeLoadBalancers,
  type LoadBalancer,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type { ResourceRecordSet } from '@aws-sdk/client-route-53';
import type { Route53Image, TrafficMove } from '../../traffic-contract.js';
import type { Found } from '../../preflight/check.js';
import { clientsOf, type AwsClients } from '../clients.js';
import { recordName } from '../route53/records.js';
import type { TrafficId } from './look.js';

/** What decides how a load balancer serves, and whether it stays. Buckets and prefixes of logs are its own. */
const ATTRIBUTES = [
  'load_balancing.cross_zone.enabled',
  'deletion_protection.enabled',
  'access_logs.s3.enabled',
  'idle_timeout.timeout_seconds',
  'client_keep_alive.seconds',
  'routing.http2.enabled',
  'routing.http.drop_invalid_header_fields.enabled',
  'routing.http.preserve_host_header.enabled',
  'routing.http.xff_header_processing.mode',
  'routing.http.desync_mitigation_mode',
  'waf.fail_open.enabled',
];

interface Balancer {
  name: string;
  attributes: Record<string, string>;
}

export async function compareLoadBalancers(
  move: TrafficMove,
  { blue, green }: Pick<Route53Image, 'blue' | 'green'>,
  found: Found<TrafficId>[],
): Promise<void> {
  if (blue.AliasTarget === undefined || green.AliasTarget === undefined) return;
  const [ofBlue, ofGreen] = await Promise.all([balancerOf(move, blue), balancerOf(move, green)]);
  if (typeof ofBlue === 'string' || typeof ofGreen === 'string') {
    const evidence = [ofBlue, ofGreen].filter((one) => typeof one === 'string').join('; ');
    found.push({ id: 'record-alias-not-compared', evidence, repair: [] });
    return;
  }
  const differing = ATTRIBUTES.filter((key) => ofBlue.attributes[key] !== ofGreen.attributes[key]);
  if (differing.length === 0) return;
  const text = (value: string | undefined): string => (value === undefined || value === '' ? 'none' : value);
  const evidence = differing
    .map(
      (key) =>
        `${key}: ${ofGreen.name} has ${text(ofGreen.attributes[key])}, ${ofBlue.name} has ${text(ofBlue.attributes[key])}`,
    )
    .join('; ');
  found.push({ id: 'record-load-balancers-differ', evidence, repair: ['Make them equal'] });
}

/** Of `shop-1.eu-west-1.elb.amazonaws.com`; aliases made in the console have `dualstack.` before it. */
const REGION = /\.(?<region>[a-z]{2}(-[a-z]+)+-[0-9])\.elb\./;

/** What is known of it, or in words why nothing is. */
async function balancerOf({ traffic }: TrafficMove, { AliasTarget }: ResourceRecordSet): Promise<Balancer | string> {
  const dnsName = recordName(AliasTarget?.DNSName ?? '').replace(/^dualstack\./, '');
  const region = REGION.exec(dnsName)?.groups?.['region'] ?? traffic.aws.region;
  const clients = clientsOf({ ...traffic, aws: { ...traffic.aws, region } });
  const balancer = await named(clients, dnsName);
  if (balancer === null) return `there is no load balancer ${dnsName} in ${clients.region} of this account`;
  const { LoadBalancerArn, LoadBalancerName: name = dnsName } = balancer;
  const { Attributes = [] } = await clients.elb.send(new DescribeLoadBalancerAttributesCommand({ LoadBalancerArn }));
  return { name, attributes: Object.fromEntries(Attributes.map(({ Key = '', Value = '' }) => [Key, Value])) };
}

async function named({ elb }: AwsClients, dnsName: string): Promise<LoadBalancer | null> {
  for await (const { LoadBalancers = [] } of paginateDescribeLoadBalancers({ client: elb }, {})) {
    const found = LoadBalancers.find(({ DNSName = '' }) => recordName(DNSName) === dnsName);
    if (found !== undefined) return found;
  }
  return null;
}
