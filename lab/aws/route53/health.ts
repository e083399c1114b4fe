/**
 * Health checks of Route 53: moto says success whatever is there. Each checker here really asks, when its status is asked for.
 * https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetHealthCheckStatus.html
 */
import { textOf, type Branch } from '../tree.js';

/** Where Route 53 has its checkers; two of each region. */
const REGIONS = [
  'us-east-1',
  'us-west-1',
  'us-west-2',
  'eu-west-1',
  'ap-southeast-1',
  'ap-southeast-2',
  'ap-northeast-1',
  'sa-east-1',
];
const CHECKERS_OF_REGION = 2;
/** https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html */
const ANSWER_MS = 2_000;

/** @param config of the health check, of type HTTP */
export async function observationsOf(config: Branch): Promise<Branch[]> {
  const host = textOf(config['IPAddress']) ?? textOf(config['FullyQualifiedDomainName']) ?? '';
  const path = textOf(config['ResourcePath']) ?? '/';
  const url = `http://${host}:${textOf(config['Port']) ?? '80'}${path}`;
  const checkers = REGIONS.flatMap((region) => Array.from({ length: CHECKERS_OF_REGION }, () => region));
  return Promise.all(
    checkers.map(async (Region, index): Promise<Branch> => {
      const StatusReport = { Status: await statusOf(url), CheckedTime: new Date().toISOString() };
      return { Region, IPAddress: `15.177.0.${index + 1}`, StatusReport };
    }),
  );
}

async function statusOf(url: string): Promise<string> {
  try {
    const { status, statusText } = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS), redirect: 'manual' });
    const isGood = status >= 200 && status < 400;
    return `${isGood ? 'Success' : 'Failure'}: HTTP Status Code ${status}, ${statusText}`;
  } catch (error) {
    return error instanceof Error && error.name === 'TimeoutError'
      ? 'Failure: The health checker could not establish a connection within the timeout limit.'
      : 'Failure: Connection refused.';
  }
}
