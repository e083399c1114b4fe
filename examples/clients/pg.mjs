// node-postgres (pg) takes one host only, so the choice among several is made here. Writes one row every 20 ms until its
// input is closed:  node examples/clients/pg.mjs URL URL
import { randomUUID } from 'node:crypto';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** A connection to the first host that takes writes, as libpq chooses by target_session_attrs=read-write. */
async function connect(urls) {
  for (const connectionString of urls) {
    const client = new pg.Client({ connectionString, connectionTimeoutMillis: 2_000 });
    client.on('error', () => undefined); // a session that is ended while idle is no reason to crash
    try {
      await client.connect();
      const { rows } = await client.query('show transaction_read_only');
      if (rows[0].transaction_read_only === 'off') return client;
    } catch {
      // this host is down: the next one
    }
    await client.end().catch(() => undefined);
  }
  throw new Error('no host takes writes');
}

let client = null;

/** Runs `work` until it succeeds. It must be fine to run twice: a lost connection doesn't say whether it took effect. */
async function write(urls, work) {
  for (let wait = 5; ; wait = Math.min(2 * wait, 500)) {
    try {
      client ??= await connect(urls);
      return await work(client);
    } catch (error) {
      const moved = error.code === '25006'; // read_only_sql_transaction: the primary is elsewhere now
      const lost = error.code === undefined || /^(08|57P)/.test(error.code) || /^E[A-Z]+$/.test(error.code);
      if (!moved && !lost) throw error;
      await client?.end().catch(() => undefined);
      client = null;
      await sleep(wait);
    }
  }
}

let written = 0;
let open = true;
process.stdin.on('end', () => (open = false)).resume();
while (open) {
  const id = randomUUID();
  await write(process.argv.slice(2), (c) =>
    c.query('insert into driver_write (id) values ($1) on conflict do nothing', [id]),
  );
  written += 1;
  process.stdout.write(`${id}\n`);
  await sleep(20);
}
await client?.end();
process.stderr.write(`${written} written\n`);
