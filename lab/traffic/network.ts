/** The network that each account of AWS has from the first day, in which the lab's load balancers stand. */
import { XMLParser } from 'fast-xml-parser';
import { z } from 'zod';
import type { ClientConfiguration } from '../aws/proxy.js';

export interface Network {
  vpc: string;
  /** One in each availability zone. */
  subnets: string[];
}

const one = z.object({ subnetId: z.string(), vpcId: z.string() });
const ANSWER = z.object({
  DescribeSubnetsResponse: z.object({ subnetSet: z.object({ item: z.union([one, z.array(one)]) }) }),
});

/**
 * By a plain call: a client of EC2 for this alone would be 20 MB. The stand-in reads the account from the credential and looks at
 * no signature. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSubnets.html
 */
export async function defaultNetwork({ endpoint, region, credentials }: ClientConfiguration): Promise<Network> {
  const scope = `${credentials.accessKeyId}/20260101/${region}/ec2/aws4_request`;
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=none`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams({ Action: 'DescribeSubnets', Version: '2016-11-15' }),
  });
  const { item } = ANSWER.parse(new XMLParser().parse(await response.text())).DescribeSubnetsResponse.subnetSet;
  const subnets = [item].flat();
  const vpc = subnets[0]?.vpcId;
  if (vpc === undefined) throw new Error('the account has no default network');
  return { vpc, subnets: subnets.filter(({ vpcId }) => vpcId === vpc).map(({ subnetId }) => subnetId) };
}
