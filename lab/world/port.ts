/** Whether a port of the loopback address can be listened on. */
import { once } from 'node:events';
import { createServer } from 'node:net';

export async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
