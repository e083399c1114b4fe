/** Which operation of Route 53 a method and path mean: https://docs.aws.amazon.com/Route53/latest/APIReference/API_Operations.html */
import type { Branch } from '../tree.js';

interface Route {
  method: string;
  /** Below `/2013-04-01`; its groups are parameters. */
  path: RegExp;
  operation: string;
}

const ROUTES: Route[] = [
  { method: 'POST', path: /^\/hostedzone$/, operation: 'CreateHostedZone' },
  { method: 'GET', path: /^\/hostedzone$/, operation: 'ListHostedZones' },
  { method: 'GET', path: /^\/hostedzonesbyname$/, operation: 'ListHostedZonesByName' },
  { method: 'GET', path: /^\/hostedzonecount$/, operation: 'GetHostedZoneCount' },
  { method: 'GET', path: /^\/hostedzone\/(?<HostedZoneId>[^/]+)$/, operation: 'GetHostedZone' },
  { method: 'POST', path: /^\/hostedzone\/(?<HostedZoneId>[^/]+)$/, operation: 'UpdateHostedZoneComment' },
  { method: 'DELETE', path: /^\/hostedzone\/(?<HostedZoneId>[^/]+)$/, operation: 'DeleteHostedZone' },
  { method: 'GET', path: /^\/hostedzone\/(?<HostedZoneId>[^/]+)\/rrset$/, operation: 'ListResourceRecordSets' },
  { method: 'POST', path: /^\/hostedzone\/(?<HostedZoneId>[^/]+)\/rrset$/, operation: 'ChangeResourceRecordSets' },
  {
    method: 'POST',
    path: /^\/hostedzone\/(?<HostedZoneId>[^/]+)\/associatevpc$/,
    operation: 'AssociateVPCWithHostedZone',
  },
  { method: 'GET', path: /^\/change\/(?<Id>[^/]+)$/, operation: 'GetChange' },
  { method: 'GET', path: /^\/tags\/(?<ResourceType>[^/]+)\/(?<ResourceId>[^/]+)$/, operation: 'ListTagsForResource' },
  {
    method: 'POST',
    path: /^\/tags\/(?<ResourceType>[^/]+)\/(?<ResourceId>[^/]+)$/,
    operation: 'ChangeTagsForResource',
  },
  { method: 'POST', path: /^\/healthcheck$/, operation: 'CreateHealthCheck' },
  { method: 'GET', path: /^\/healthcheck$/, operation: 'ListHealthChecks' },
  { method: 'GET', path: /^\/healthcheck\/(?<HealthCheckId>[^/]+)$/, operation: 'GetHealthCheck' },
  { method: 'GET', path: /^\/healthcheck\/(?<HealthCheckId>[^/]+)\/status$/, operation: 'GetHealthCheckStatus' },
  { method: 'POST', path: /^\/delegationset$/, operation: 'CreateReusableDelegationSet' },
  { method: 'GET', path: /^\/delegationset\/(?<Id>[^/]+)$/, operation: 'GetReusableDelegationSet' },
];

/** Path and query of one request; an operation that isn't in the table is named by its method and path. */
export function routeOf(method: string, pathAndQuery: string): { operation: string; parameters: Branch } {
  const { pathname, searchParams } = new URL(pathAndQuery, 'http://route53');
  const path = pathname.replace(/^\/2013-04-01/, '').replace(/(.)\/$/, '$1');
  for (const route of ROUTES) {
    const match = route.method === method ? route.path.exec(path) : null;
    if (match === null) continue;
    const named = Object.entries(match.groups ?? {}).map(([key, value]) => [key, decodeURIComponent(value)]);
    return {
      operation: route.operation,
      parameters: { ...Object.fromEntries(searchParams), ...(Object.fromEntries(named) as Branch) },
    };
  }
  return { operation: `${method} ${path}`, parameters: Object.fromEntries(searchParams) };
}
