/**
 * The workers' connection to Temporal, set up as Temporal's own tools are: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE,
 * TEMPORAL_PROFILE, TLS and API key. https://docs.temporal.io/develop/environment-configuration
 */
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { NativeConnectionOptions } from '@temporalio/worker';

export interface TemporalSettings {
  address?: string | undefined;
  namespace?: string | undefined;
  profile?: string | undefined;
}

/** What is given wins over the environment and the configuration file. */
export function connectionOf(given: TemporalSettings): { options: NativeConnectionOptions; namespace: string } {
  const loaded = loadClientConnectConfig(given.profile === undefined ? {} : { profile: given.profile });
  const { address, tls, apiKey, metadata } = loaded.connectionOptions;
  return {
    namespace: given.namespace ?? loaded.namespace ?? 'default',
    options: {
      address: given.address ?? address ?? 'localhost:7233',
      ...(tls === undefined ? {} : { tls }),
      ...(apiKey === undefined ? {} : { apiKey }),
      ...(metadata === undefined ? {} : { metadata }),
    },
  };
}
