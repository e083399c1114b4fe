import { startPair, moveOf } from '../support/postgres.js';
import { prepareReplication } from '../support/sync.js';
import { initialSync } from '../../activities/postgres/copy/initial-sync.js';
const pair = await startPair();
try {
await pair.source.createDatabase('a'); await pair.target.createDatabase('a');
await pair.source.query(`create table big (id bigint primary key, customer int, at timestamptz, amount numeric(12,2), note text);
insert into big select i, (i::bigint*7919)%100000, now() - i * interval '1 s', i/7.0, repeat(md5(i::text), 6) from generate_series(1,5000000) i;
create index on big(customer); create index on big(at); `, [], 'a');
await pair.source.query('checkpoint'); 
console.log(await pair.source.query(`select pg_size_pretty(pg_total_relation_size('big')), pg_size_pretty(pg_table_size('big'))`, [], 'a'));
const move = moveOf(pair, 'a', { copy: { parallelism: 2, rangeSize: 16*1024*1024, rateLimit: null } });
await prepareReplication(move);
const { loadavg } = await import('node:os'); console.log('load', loadavg());
const b = performance.now(); const c = process.cpuUsage();
console.log(await initialSync(move), Math.round(performance.now() - b), process.cpuUsage(c));
console.log('load', loadavg());
} catch (e) { console.log(e); } finally { await pair.destroy(); }
