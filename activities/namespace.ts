/** What Godwit needs of a Temporal namespace: its search attributes. */
import { Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../spec/messages.js';
import { failure } from './failure.js';

/**
 * A workflow that sets an attribute the namespace hasn't stalls: its task fails again and again, and says so nowhere
 * that an operator looks. So this is asked first.
 */
export async function checkNamespace(): Promise<void> {
  await requireSearchAttributes(Context.current().client);
}

/** Fails with `SearchAttributesMissing`. */
export async function requireSearchAttributes(client: Client): Promise<void> {
  const { namespace } = client.options;
  const known = await client.connection.operatorService.listSearchAttributes({ namespace });
  const missing = Object.values(SEARCH_ATTRIBUTES).filter((name) => !Object.hasOwn(known.customAttributes ?? {}, name));
  if (missing.length === 0) return;
  throw failure(
    'SearchAttributesMissing',
    `the namespace ${namespace} has no search attribute ${missing.join(' and ')}`,
    `Run: godwit namespace setup --namespace ${namespace}`,
  );
}
