/** What a client of the SDK takes to reach the lab's stand-in for AWS, as one account in one region. */
export interface AwsClientOptions {
  endpoint: string;
  region: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
}
