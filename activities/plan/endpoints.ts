/** What each kind of endpoint touches, and how it goes back, in the words of the plan. */
import type { NormalEndpoint } from '../../spec/normal.js';

/** While the writes are paused. */
export function heldBy(endpoint: NormalEndpoint): string[] {
  switch (endpoint.kind) {
    case 'pgbouncer':
      return [`endpoint ${endpoint.name}: paused while it lasts, then resumed`];
    case 'hook':
      return endpoint.hold === null
        ? []
        : [`endpoint ${endpoint.name}: POST ${endpoint.hold.pause} while it lasts, then POST ${endpoint.hold.resume}`];
    case 'multiHost':
    case 'none':
      return [];
  }
}

/** @param place host and port of the target, as the endpoint calls it */
export function movedBy(endpoint: NormalEndpoint, place: string): string {
  const of = `endpoint ${endpoint.name}:`;
  switch (endpoint.kind) {
    case 'pgbouncer':
      return `${of} entry ${endpoint.database} of ${endpoint.configFile}, to ${place}`;
    case 'hook':
      return `${of} POST ${endpoint.url} with primary target, at ${place}`;
    case 'multiHost':
      return `${of} default_transaction_read_only of the target's database as it was found, of the source's on; sessions of ${whose(endpoint)} on the source ended`;
    case 'none':
      return `${of} nothing; its clients meet SQLSTATE 25006 until they connect to ${place}`;
  }
}

/** From before the target has any table. */
export function hintedBy(endpoint: NormalEndpoint): string[] {
  if (endpoint.kind !== 'multiHost') return [];
  return ["target: default_transaction_read_only = on for its database, so that drivers don't choose it"];
}

/** When all is undone. */
export function unhintedBy(endpoint: NormalEndpoint): string[] {
  return endpoint.kind === 'multiHost' ? ['set default_transaction_read_only of both databases as it was found'] : [];
}

/** On the way back. */
export function restoredBy(endpoint: NormalEndpoint): string[] {
  const of = `endpoint ${endpoint.name}:`;
  switch (endpoint.kind) {
    case 'pgbouncer':
      return [`${of} its entry as it was`];
    case 'hook':
      return [`${of} POST ${endpoint.url} with primary source`];
    case 'multiHost':
      return [`${of} default_transaction_read_only of the source's database as it was found, of the target's on`];
    case 'none':
      return [];
  }
}

function whose({ roles, applications }: Extract<NormalEndpoint, { kind: 'multiHost' }>): string {
  const who = roles === null ? 'all roles' : `the roles ${roles.join(', ')}`;
  return applications === null ? who : `${who} by the name of ${applications.join(', ')}`;
}
