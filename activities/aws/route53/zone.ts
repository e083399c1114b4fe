/** Calls on one hosted zone: reading records page by page, and changes that are followed until all its servers have them. */
import {
  ChangeResourceRecordSetsCommand,
  GetChangeCommand,
  GetHostedZoneCommand,
  ListResourceRecordSetsCommand,
  type Change,
  type ListResourceRecordSetsCommandOutput,
  type ResourceRecordSet,
  type RRType,
} from '@aws-sdk/client-route-53';
import { failure } from '../../failure.js';
import { plainName } from '../../dns/delegation.js';
import type { AwsClients } from '../clients.js';
import { lookUntil, PATIENCE } from '../patience.js';
import { recordName } from './records.js';

export interface Zone {
  /** Without the dot at its end. */
  name: string;
  private: boolean;
  /** That the API serves it from. */
  nameServers: string[];
}

/** Route 53 takes 5 requests a second of one account. */
const IN_SYNC_PAUSE_MS = 500;

export async function readZone({ route53 }: AwsClients, id: string): Promise<Zone> {
  const { HostedZone, DelegationSet } = await route53.send(new GetHostedZoneCommand({ Id: id }));
  return {
    name: plainName(HostedZone?.Name ?? ''),
    private: HostedZone?.Config?.PrivateZone === true,
    nameServers: (DelegationSet?.NameServers ?? []).map(plainName).sort(),
  };
}

/** All of one name and type; the API lists them side by side. */
export async function readRecords(
  { route53 }: AwsClients,
  zone: string,
  name: string,
  type: RRType,
): Promise<ResourceRecordSet[]> {
  const found: ResourceRecordSet[] = [];
  let start: { StartRecordName: string; StartRecordType: RRType; StartRecordIdentifier?: string } | null = {
    StartRecordName: name,
    StartRecordType: type,
  };
  while (start !== null) {
    const page: ListResourceRecordSetsCommandOutput = await route53.send(
      new ListResourceRecordSetsCommand({ HostedZoneId: zone, ...start }),
    );
    const records = page.ResourceRecordSets ?? [];
    const ours = records.filter(({ Name = '', Type }) => recordName(Name) === name && Type === type);
    found.push(...ours);
    const { NextRecordName, NextRecordType, NextRecordIdentifier } = page;
    const further = page.IsTruncated === true && NextRecordName !== undefined && NextRecordType !== undefined;
    const same = further && recordName(NextRecordName) === name && NextRecordType === type;
    start = same
      ? {
          StartRecordName: NextRecordName,
          StartRecordType: NextRecordType,
          ...(NextRecordIdentifier === undefined ? {} : { StartRecordIdentifier: NextRecordIdentifier }),
        }
      : null;
  }
  return found;
}

/** Answers the id of the change. */
export async function submit({ route53 }: AwsClients, zone: string, changes: Change[], why: string): Promise<string> {
  const { ChangeInfo } = await route53.send(
    new ChangeResourceRecordSetsCommand({ HostedZoneId: zone, ChangeBatch: { Changes: changes, Comment: why } }),
  );
  return ChangeInfo?.Id ?? '';
}

/** Until all name servers of the zone have it; fails with `AwsUnavailable`, and is to be tried again, when that takes long. */
export async function inSync({ route53 }: AwsClients, change: string): Promise<void> {
  const status = async (): Promise<string> =>
    (await route53.send(new GetChangeCommand({ Id: change }))).ChangeInfo?.Status ?? 'unknown';
  const last = await lookUntil(status, (seen) => seen === 'INSYNC', PATIENCE.inSync, IN_SYNC_PAUSE_MS);
  if (last === 'INSYNC') return;
  throw failure(
    'AwsUnavailable',
    `Route 53 has had the change ${change} for ${PATIENCE.inSync / 1_000} s and says ${last}, not INSYNC; it is looked at again`,
  );
}
