/**
 * Clients of AWS for one unit. They are kept between activities, since the rate that adaptive retries have learned and the
 * credentials of an assumed role are in them; refused credentials throw them away, so that renewed ones are found.
 */
import { ACMClient } from '@aws-sdk/client-acm';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { Route53Client } from '@aws-sdk/client-route-53';
import { fromNodeProviderChain, fromTemporaryCredentials } from '@aws-sdk/credential-providers';
import type { NormalTraffic } from '../../spec/normal-traffic.js';
import { cancellation } from '../activity-context.js';
import { awsFailure, codeOf } from './errors.js';
import { PATIENCE } from './patience.js';

export interface AwsClients {
  /** Of the unit. */
  region: string;
  elb: ElasticLoadBalancingV2Client;
  route53: Route53Client;
  cloudwatch: CloudWatchClient;
  acm: ACMClient;
}

/** Retries within one call; what goes on for longer is retried by Temporal, where people see it. */
const ATTEMPTS = 4;
const CONNECT_MS = 3_000;

const kept = new Map<string, AwsClients>();

export function clientsOf(traffic: NormalTraffic): AwsClients {
  const region = regionOf(traffic);
  const key = JSON.stringify([region, traffic.aws.role, traffic.aws.endpoint]);
  const known = kept.get(key);
  if (known !== undefined) return known;
  const made = makeClients(traffic, region, () => kept.delete(key));
  kept.set(key, made);
  return made;
}

/** As a worker that has just started: without learned rates and sessions of roles. */
export function forgetClients(): void {
  kept.clear();
}

/** Of the specification, else of the listener's ARN, else of the worker. Route 53 has one endpoint for all regions. */
export function regionOf({ aws, route }: NormalTraffic): string {
  const ofArn = route.kind === 'alb' ? route.listener.split(':')[3] : undefined;
  return aws.region ?? ofArn ?? process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION'] ?? 'us-east-1';
}

function makeClients({ aws }: NormalTraffic, region: string, forget: () => void): AwsClients {
  const place = { region, ...(aws.endpoint === null ? {} : { endpoint: aws.endpoint }) };
  // Files are read anew: a person who renewed them expects that.
  const own = fromNodeProviderChain({ ignoreCache: true, clientConfig: place });
  const assumed = (role: string) =>
    fromTemporaryCredentials({
      masterCredentials: own,
      params: { RoleArn: role, RoleSessionName: 'godwit' },
      clientConfig: place,
    });
  const configuration = {
    ...place,
    credentials: aws.role === null ? own : assumed(aws.role),
    retryMode: 'adaptive',
    maxAttempts: ATTEMPTS,
    requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: PATIENCE.answer, throwOnRequestTimeout: true },
  };
  const clients = {
    elb: new ElasticLoadBalancingV2Client(configuration),
    route53: new Route53Client(configuration),
    cloudwatch: new CloudWatchClient(configuration),
    acm: new ACMClient(configuration),
  };
  const translating = translator(aws.role, forget);
  // One by one: the clients' stacks take handlers of their own inputs only.
  clients.elb.middlewareStack.add(translating, OUTERMOST);
  clients.route53.middlewareStack.add(translating, OUTERMOST);
  clients.cloudwatch.middlewareStack.add(translating, OUTERMOST);
  clients.acm.middlewareStack.add(translating, OUTERMOST);
  return { region, ...clients };
}

/** As IAM calls them. */
const SERVICES: Record<string, string> = {
  ElasticLoadBalancingV2Client: 'elasticloadbalancing',
  Route53Client: 'route53',
  CloudWatchClient: 'cloudwatch',
  ACMClient: 'acm',
};

const OUTERMOST = { step: 'initialize', priority: 'high', name: 'godwitFailures' } as const;

interface Called {
  clientName?: string;
  commandName?: string;
}

/** Every error of a call becomes a failure here, once the SDK has given up on it. */
function translator(role: string | null, forget: () => void) {
  return <Args, Answer>(next: (args: Args) => Promise<Answer>, { clientName = '', commandName = '' }: Called) =>
    async (args: Args): Promise<Answer> => {
      cancellation().throwIfAborted();
      try {
        return await next(args);
      } catch (error) {
        const action = `${SERVICES[clientName] ?? clientName}:${commandName.replace(/Command$/, '')}` as const;
        const made = awsFailure(error, action, role);
        if (codeOf(made) !== null && 'type' in made && made.type === 'AuthenticationFailed') forget();
        throw made;
      }
    };
}
