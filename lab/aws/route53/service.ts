/**
 * The API of Route 53. Zones are moto's; their records and changes are kept here, since moto applies half a batch, forgets
 * which weighted set is which, and is always INSYNC. What isn't here is answered by moto alone.
 */
import { AwsError, route53Answer, type Answer } from '../answer.js';
import type { Call } from '../call.js';
import type { Settings } from '../settings.js';
import { branchesOf, isBranch, textOf, type Branch } from '../tree.js';
import { parseXml } from '../tree.js';
import type { Scope, Upstream } from '../upstream.js';
import { afterBatch, type Zone } from './batch.js';
import { observationsOf } from './health.js';
import { Changes } from './changes.js';
import { idOf, recordSetPage, zonePage, zonesByNamePage } from './list.js';
import { canonical } from './names.js';
import { nameServersOf, PRIVATE_NAME_SERVERS } from './name-servers.js';
import { parseChange, valuesOf, type RecordSet } from './record-sets.js';

/** Hosted zones have no region; moto wants one. */
const GLOBAL = 'us-east-1';
const NS_TTL = '172800';
const SOA_TTL = '900';

interface ZoneState extends Zone {
  private: boolean;
  nameServers: string[];
  records: RecordSet[];
}

export class Route53Service {
  readonly #changes = new Changes();
  /** By account and id; made when first asked for. */
  readonly #zones = new Map<string, ZoneState>();
  readonly #references = new Set<string>();
  readonly #operations: Record<string, (call: Call) => Promise<Branch>>;

  constructor(
    readonly upstream: Upstream,
    readonly settings: () => Settings,
  ) {
    this.#operations = {
      ListHostedZones: async (call) => zonePage(await this.#hostedZones(call), call.parameters, this.#most()),
      ListHostedZonesByName: async (call) =>
        zonesByNamePage(await this.#hostedZones(call), call.parameters, this.#most()),
      GetHostedZone: (call) => this.#getHostedZone(call),
      DeleteHostedZone: (call) => this.#deleteHostedZone(call),
      ListResourceRecordSets: async (call) =>
        recordSetPage((await this.#zoneOf(call)).records, call.parameters, this.#most()),
      ChangeResourceRecordSets: (call) => this.#change(call),
      GetHealthCheckStatus: (call) => this.#healthCheckStatus(call),
      GetChange: (call) => Promise.resolve({ ChangeInfo: this.#changes.get(textOf(call.parameters['Id']) ?? '') }),
    };
  }

  async answer(call: Call): Promise<Answer> {
    if (call.operation === 'CreateHostedZone') return this.#createHostedZone(call);
    const operation = this.#operations[call.operation];
    if (operation === undefined) return this.upstream.pass(call);
    return route53Answer(call.operation, await operation(call));
  }

  /** The newest change of the zone that the call changed stays PENDING. */
  holdLastChange(call: Call): void {
    this.#changes.hold(keyOf(call.account, textOf(call.parameters['HostedZoneId']) ?? ''));
  }

  letChangesSync(): void {
    this.#changes.letSync();
  }

  /** Values that everybody can look up: of a public zone all of whose changes are INSYNC. Empty: none. */
  async publicValues(scope: Scope, name: string, type: string): Promise<string[]> {
    const wanted = canonical(name);
    for (const zone of await this.#hostedZones(scope)) {
      const state = await this.#zone(scope, idOf(zone));
      if (state.private || this.#changes.isPending(keyOf(scope.account, state.id))) continue;
      const found = state.records.find((record) => record.Name === wanted && record.Type === type);
      if (found !== undefined) return valuesOf(found);
    }
    return [];
  }

  reset(): void {
    this.#changes.clear();
    this.#zones.clear();
    this.#references.clear();
  }

  #most(): number | null {
    return this.settings().pageSize;
  }

  /** https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateHostedZone.html: a reference makes one zone only. */
  async #createHostedZone(call: Call): Promise<Answer> {
    const reference = `${call.account} ${textOf(call.parameters['CallerReference']) ?? ''}`;
    if (this.#references.has(reference)) {
      const message = 'A hosted zone has already been created with the specified caller reference.';
      throw new AwsError('HostedZoneAlreadyExists', message, 409);
    }
    const answer = await this.upstream.pass(call);
    if (answer.status >= 400) return answer;
    this.#references.add(reference);
    const made = Object.values(parseXml(answer.body.toString('utf8'))).find(isBranch) ?? {};
    const zone = isBranch(made['HostedZone']) ? made['HostedZone'] : {};
    const state = await this.#zone(call, idOf(zone));
    const result = {
      ...made,
      HostedZone: { ...zone, ResourceRecordSetCount: String(state.records.length) },
      ChangeInfo: this.#submit(call, state.id, undefined),
      DelegationSet: delegationOf(state, made),
    };
    const rendered = route53Answer(call.operation, result, 201);
    const location = `https://route53.amazonaws.com/2013-04-01/hostedzone/${state.id}`;
    return { ...rendered, headers: { ...rendered.headers, location } };
  }

  async #getHostedZone(call: Call): Promise<Branch> {
    const state = await this.#zoneOf(call);
    const found = await this.#moto(call, state.id);
    const zone = isBranch(found['HostedZone']) ? found['HostedZone'] : {};
    return {
      HostedZone: { ...zone, ResourceRecordSetCount: String(state.records.length) },
      DelegationSet: delegationOf(state, found),
      ...(state.private ? { VPCs: branchesOf(found['VPCs']) } : {}),
    };
  }

  async #deleteHostedZone(call: Call): Promise<Branch> {
    const state = await this.#zoneOf(call);
    if (state.records.length > 2) {
      const message = 'The specified hosted zone contains non-required resource record sets and so cannot be deleted.';
      throw new AwsError('HostedZoneNotEmpty', message);
    }
    await this.upstream.rest({ ...call, region: GLOBAL }, 'DELETE', `/2013-04-01/hostedzone/${state.id}`);
    this.#zones.delete(keyOf(call.account, state.id));
    return { ChangeInfo: this.#submit(call, state.id, undefined) };
  }

  async #change(call: Call): Promise<Branch> {
    const state = await this.#zoneOf(call);
    if (this.settings().route53.oneChangeAtATime && this.#changes.isPending(keyOf(call.account, state.id))) {
      const message = 'The request was rejected because Route 53 was still processing a prior request.';
      throw new AwsError('PriorRequestNotComplete', message);
    }
    const batch = isBranch(call.parameters['ChangeBatch']) ? call.parameters['ChangeBatch'] : {};
    const changes = branchesOf(batch['Changes']).map(parseChange);
    if (changes.length === 0) throw new AwsError('InvalidInput', 'Invalid request: the batch has no changes');
    state.records = afterBatch(state, state.records, changes);
    return { ChangeInfo: this.#submit(call, state.id, textOf(batch['Comment'])) };
  }

  #submit(scope: Scope, zone: string, comment: string | undefined): Branch {
    return this.#changes.submit(keyOf(scope.account, zone), comment, this.settings().route53.inSyncAfterMs);
  }

  async #healthCheckStatus(call: Call): Promise<Branch> {
    const id = textOf(call.parameters['HealthCheckId']) ?? '';
    const found = await this.upstream.rest({ ...call, region: GLOBAL }, 'GET', `/2013-04-01/healthcheck/${id}`);
    const check = isBranch(found['HealthCheck']) ? found['HealthCheck'] : {};
    return {
      HealthCheckObservations: await observationsOf(
        isBranch(check['HealthCheckConfig']) ? check['HealthCheckConfig'] : {},
      ),
    };
  }

  /** All zones of the account, oldest first. */
  async #hostedZones(scope: Scope): Promise<Branch[]> {
    const found: Branch[] = [];
    for (let marker: string | undefined; ;) {
      const query = marker === undefined ? '' : `?marker=${encodeURIComponent(marker)}`;
      const page = await this.upstream.rest({ ...scope, region: GLOBAL }, 'GET', `/2013-04-01/hostedzone${query}`);
      for (const zone of branchesOf(page['HostedZones'])) {
        const state = await this.#zone(scope, idOf(zone));
        found.push({ ...zone, ResourceRecordSetCount: String(state.records.length) });
      }
      marker = textOf(page['NextMarker']);
      if (page['IsTruncated'] !== 'true' || marker === undefined) return found;
    }
  }

  #zoneOf(call: Call): Promise<ZoneState> {
    return this.#zone(call, textOf(call.parameters['HostedZoneId']) ?? '');
  }

  async #zone(scope: Scope, id: string): Promise<ZoneState> {
    const known = this.#zones.get(keyOf(scope.account, id));
    if (known !== undefined) return known;
    const found = await this.#moto(scope, id);
    const zone = isBranch(found['HostedZone']) ? found['HostedZone'] : {};
    const isPrivate = isBranch(zone['Config']) && zone['Config']['PrivateZone'] === 'true';
    const name = canonical(textOf(zone['Name']) ?? '');
    const nameServers = isPrivate ? PRIVATE_NAME_SERVERS : nameServersOf(id);
    const state = { id, name, private: isPrivate, nameServers, records: ownRecords(name, nameServers) };
    this.#zones.set(keyOf(scope.account, id), state);
    return state;
  }

  #moto(scope: Scope, id: string): Promise<Branch> {
    return this.upstream.rest({ ...scope, region: GLOBAL }, 'GET', `/2013-04-01/hostedzone/${id}`);
  }
}

const keyOf = (account: string, zone: string): string => `${account} ${zone}`;

/** None for a private zone; its id only if it was chosen. */
function delegationOf(state: ZoneState, found: Branch): Branch | undefined {
  if (state.private) return undefined;
  const id = isBranch(found['DelegationSet']) ? textOf(found['DelegationSet']['Id']) : undefined;
  return { ...(id ? { Id: id } : {}), NameServers: state.nameServers };
}

/** What every zone has from the start. */
function ownRecords(name: string, nameServers: string[]): RecordSet[] {
  const [first = ''] = nameServers;
  const soa = `${first}. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400`;
  return [
    { Name: name, Type: 'NS', TTL: NS_TTL, ResourceRecords: nameServers.map((one) => ({ Value: `${one}.` })) },
    { Name: name, Type: 'SOA', TTL: SOA_TTL, ResourceRecords: [{ Value: soa }] },
  ];
}
