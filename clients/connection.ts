/**
 * The connection to Temporal, set up as Temporal's own tools are: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE,
 * TEMPORAL_API_KEY, TEMPORAL_TLS_*, TEMPORAL_PROFILE and the file TEMPORAL_CONFIG_FILE; flags win over both.
 * https://docs.temporal.io/develop/environment-configuration
 */
import { createConnection } from 'node:net';
import { Client, Connection, type ConnectionOptions } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { CliError, UsageError } from './errors.js';
import { explainTemporalError } from './temporal-errors.js';

export interface ConnectionFlags {
  address?: string;
  namespace?: string;
  profile?: string;
}

export interface Temporal {
  client: Client;
  connection: Connection;
  address: string;
  namespace: string;
}

export interface ConnectionSettings {
  address: string;
  namespace: string;
  options: ConnectionOptions;
}

const DEFAULT_ADDRESS = 'localhost:7233';

export function connectionSettings(flags: ConnectionFlags, env: NodeJS.ProcessEnv): ConnectionSettings {
  const variables = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  let loaded;
  try {
    loaded = loadClientConnectConfig({
      overrideEnvVars: Object.fromEntries(variables),
      ...(flags.profile === undefined ? {} : { profile: flags.profile }),
    });
  } catch (error) {
    throw new UsageError(`Temporal's connection settings can't be used: ${(error as Error).message}`, [
      'check --profile, TEMPORAL_PROFILE and the file TEMPORAL_CONFIG_FILE',
    ]);
  }
  const { address: configured, apiKey, tls, metadata } = loaded.connectionOptions;
  const address = flags.address ?? configured ?? DEFAULT_ADDRESS;
  return {
    address,
    namespace: flags.namespace ?? loaded.namespace ?? 'default',
    options: {
      address,
      ...(apiKey === undefined ? {} : { apiKey }),
      ...(tls === undefined ? {} : { tls }),
      ...(metadata === undefined ? {} : { metadata }),
    },
  };
}

export async function connect(flags: ConnectionFlags, env: NodeJS.ProcessEnv, timeoutMs = 5_000): Promise<Temporal> {
  const { address, namespace, options } = connectionSettings(flags, env);
  try {
    await knock(address, env);
    const connection = await Connection.connect({ ...options, connectTimeout: timeoutMs });
    return { client: new Client({ connection, namespace }), connection, address, namespace };
  } catch (error) {
    throw unreachable(address, error);
  }
}

export function unreachable(address: string, cause: unknown): CliError {
  return new CliError(`Temporal doesn't answer at ${address}.`, {
    next: [
      '`godwit lab up` starts one here; `temporal server start-dev` does, too',
      'or name yours: --address HOST:PORT, TEMPORAL_ADDRESS or --profile NAME',
    ],
    cause,
  });
}

/** Fails at once where nobody listens; gRPC would try until its time is up. Whatever else may be wrong, it says better. */
async function knock(address: string, env: NodeJS.ProcessEnv): Promise<void> {
  const proxied = ['grpc_proxy', 'https_proxy', 'http_proxy'].some((name) => (env[name] ?? '') !== '');
  const [, host, port] = /^\[?(.+?)\]?:(\d+)$/.exec(address) ?? [];
  if (proxied || host === undefined) return;
  const socket = createConnection({ host, port: Number(port), timeout: 1_000 });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve).once('timeout', resolve);
      socket.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNREFUSED' || error.code === 'ENOTFOUND') reject(error);
        else resolve();
      });
    });
  } finally {
    socket.destroy();
  }
}

/** Runs `use` with a connection that is closed afterwards; whatever Temporal throws becomes a sentence. */
export async function withTemporal<T>(
  flags: ConnectionFlags,
  env: NodeJS.ProcessEnv,
  use: (temporal: Temporal) => Promise<T>,
): Promise<T> {
  const temporal = await connect(flags, env);
  try {
    return await use(temporal);
  } catch (error) {
    throw await explainTemporalError(error, temporal);
  } finally {
    await temporal.connection.close();
  }
}
