/** How to reach a lab, from what it wrote down. */
import { PgBouncer } from '../pgbouncer.js';
import { PostgresServer } from '../postgres.js';
import { SHOP } from '../shop/create.js';
import type { TrafficPlaces } from '../traffic-world.js';
import type { Environment, TrafficEnvironment } from './files.js';
import type { ComponentState, LabState } from './state.js';

const url = (port: number, database: string, user: string, password: string): string =>
  `postgres://${user}:${password}@127.0.0.1:${port}/${database}`;

/** URL of a database of one of the lab's Postgres servers. */
export const superuserUrl = (port: number, database: string): string =>
  url(port, database, PostgresServer.user, PostgresServer.password);

/** Null while a part was never started. */
export function environmentOf(state: LabState): Environment | null {
  const named = (name: string): ComponentState | undefined => state.components.find((one) => one.name === name);
  const [source, target, pooler, temporal] = [named('source'), named('target'), named('pgbouncer'), named('temporal')];
  const address = state.temporalAddress ?? (temporal ? `127.0.0.1:${temporal.port}` : null);
  if (!source || !target || !pooler || address === null) return null;
  return {
    GODWIT_SOURCE_URL: superuserUrl(source.port, SHOP.database),
    GODWIT_TARGET_URL: superuserUrl(target.port, SHOP.database),
    GODWIT_PGBOUNCER_ADMIN_URL: url(pooler.port, 'pgbouncer', PgBouncer.admin, PgBouncer.adminPassword),
    TEMPORAL_ADDRESS: address,
    SHOP_URL: url(pooler.port, SHOP.database, SHOP.user, SHOP.password),
    ...(state.traffic === null ? {} : trafficEnvironment(state.traffic)),
  };
}

function trafficEnvironment({ url: shop, dns, environment, controls }: TrafficPlaces): TrafficEnvironment {
  return {
    ...environment,
    SHOP_WEB_URL: shop,
    SHOP_DNS: `${dns.address}:${dns.port}`,
    GREEN_CONTROL_URL: controls.green,
  };
}
