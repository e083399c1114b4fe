/** Connections of the shop's application, and what it must know of the shop to make requests. */
import pg from 'pg';
import { socketCode } from './outcome.js';
import type { ShopFigures } from './requests.js';

export async function connect(
  url: string,
): Promise<{ client: pg.Client; error: null } | { client: null; error: string }> {
  const client = new pg.Client({ connectionString: url, application_name: 'shop', keepAlive: true });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return { client, error: null };
  } catch (error) {
    return { client: null, error: socketCode(error) };
  }
}

export async function shopFigures(url: string): Promise<ShopFigures> {
  const { client, error } = await connect(url);
  if (client === null) throw new Error(`the load could not connect: ${error}`);
  try {
    const { rows } = await client.query<ShopFigures>(`
      select (select max(id)::int from shop.customers) as customers,
             (select max(id)::int from shop.products) as products,
             (select max(id)::int from shop.account) as accounts`);
    const [figures] = rows;
    if (figures?.customers == null || figures.products == null || figures.accounts == null) {
      throw new Error('the shop has no rows; it is filled when the lab is made');
    }
    return figures;
  } finally {
    await client.end();
  }
}
