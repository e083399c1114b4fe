/** Makes the shop's database: schema, requests and rows. */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import pg from 'pg';

export interface ShopSize {
  customers: number;
  products: number;
  /** Each with three lines. */
  orders: number;
  accounts: number;
  /** Each with two ledger entries. */
  transfers: number;
  events: number;
}

/** About 900,000 rows and 180 MB; 8 s on 2 cores. */
export const DEMO_SIZE: ShopSize = {
  customers: 50_000,
  products: 5_000,
  orders: 100_000,
  accounts: 10_000,
  transfers: 100_000,
  events: 200_000,
};

/** For tests: 10,000 rows in 0.2 s. */
export const SMALL_SIZE: ShopSize = {
  customers: 500,
  products: 200,
  orders: 1_000,
  accounts: 500,
  transfers: 1_000,
  events: 2_000,
};

/** The application's own role: it owns its database, and is no superuser. */
export const SHOP = {
  database: 'shop',
  user: 'shop',
  password: 'lab-shop',
  /**
   * The same on all servers, as `pg_dumpall --roles-only` leaves it. PgBouncer then needs no password in clear text: it logs in
   * with what it has learned from the client's own login, and needn't derive the key (4,096 rounds) for each connection.
   * https://www.pgbouncer.org/config.html#authentication-file-format
   */
  secret: scramSecret('lab-shop', 'lab-shop of the lab'),
} as const;

/** As `pg_authid.rolpassword` keeps it. https://www.postgresql.org/docs/current/catalog-pg-authid.html, RFC 5803 */
function scramSecret(password: string, saltText: string): string {
  const iterations = 4_096;
  const salt = Buffer.from(saltText);
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const keyed = (text: string): Buffer => createHmac('sha256', salted).update(text).digest();
  const stored = createHash('sha256').update(keyed('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${stored}:${keyed('Server Key').toString('base64')}`;
}

/** Where to make it; the URL of a superuser. A `PostgresServer` is one. */
export interface ShopServer {
  url: (database: string) => string;
}

/** The role and an empty database, as an operator would make them on the target, too. An old one goes. */
export async function createShopDatabase(server: ShopServer, database: string = SHOP.database): Promise<void> {
  await connected(server.url('postgres'), async (client) => {
    const known = await client.query(`select from pg_roles where rolname = $1`, [SHOP.user]);
    if (known.rows.length === 0) {
      await client.query(`create role ${SHOP.user} login password ${pg.escapeLiteral(SHOP.secret)}`);
    }
    await client.query(`drop database if exists ${pg.escapeIdentifier(database)}`);
    await client.query(`create database ${pg.escapeIdentifier(database)} owner ${SHOP.user}`);
  });
}

/** Schema and rows in a database that `createShopDatabase` made. */
export async function fillShop(
  server: ShopServer,
  size: ShopSize = DEMO_SIZE,
  database: string = SHOP.database,
): Promise<void> {
  await connected(server.url(database), async (client) => {
    await client.query(`set role ${SHOP.user}`);
    await client.query(await script('schema.sql'));
    await client.query(await script('requests.sql'));
    await client.query('reset role');
    // Foreign keys hold by construction; checking each row would take twice the time.
    await client.query('set session_replication_role = replica; set synchronous_commit = off');
    for (const [name, count] of Object.entries(size)) {
      await client.query('select set_config($1, $2, false)', [`shop.${name}`, String(count)]);
    }
    await client.query(await script('data.sql'));
  });
}

async function connected(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

const script = (name: string): Promise<string> => readFile(new URL(`./${name}`, import.meta.url), 'utf8');
