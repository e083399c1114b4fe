/** Writes to a shop past its pooler, as a client would that should not be there. */
import type { PostgresServer } from '../../lab/postgres.js';

/** Whether this server takes a write to the shop. It changes nothing. */
export async function accepts(server: PostgresServer, { name }: { name: string }): Promise<boolean> {
  return server.query('update shop.account set balance = balance where id = 1', [], name).then(
    () => true,
    () => false,
  );
}
