/** A time series: partitions of two levels that only grow, and hourly figures that a statement trigger keeps. */
import { fillFrom, upTo, type Sample } from './sample.js';

const DEVICES = 100;
const READINGS_A_BATCH = 5;

export const TELEMETRY: Sample = {
  about:
    'a time series: 500,000 readings of 100 devices in weekly partitions, each divided by hash, and 83,000 hourly figures',

  // The foreign key holds by construction; checking it row by row would take most of the time.
  fill: (url, scale) => fillFrom('telemetry', url, scale, { session_replication_role: 'replica' }),

  async transact(client, id, turn) {
    await client.query('select telemetry.ingest($1, $2, $3)', [id, upTo(DEVICES), READINGS_A_BATCH]);
    if (turn % 10 > 0) return;
    await client.query(`update telemetry.device set tags = tags || jsonb_build_object('turn', $2::int) where id = $1`, [
      upTo(DEVICES),
      turn,
    ]);
  },

  done: 'select id from telemetry.batch',

  promises: {
    'the readings of every device are numbered from 1 to its last, without gaps': `
      select d.id from telemetry.device d left join telemetry.reading r on r.device_id = d.id
       group by d.id having count(r.seq) <> d.last_seq or min(r.seq) <> 1 or max(r.seq) <> d.last_seq`,
    'every batch is there whole': `
      select b.id from telemetry.batch b left join telemetry.reading r
          on r.device_id = b.device_id and r.seq between b.first_seq and b.first_seq + b.readings - 1
       group by b.id having count(r.seq) <> b.readings`,
    'every hour is the sum of its readings': `
      select device_id, hour from telemetry.hourly full join
        (select device_id, date_trunc('hour', at, 'UTC') as hour, count(*) as n, sum(value) as sum, min(value) as low, max(value) as high
           from telemetry.reading group by 1, 2) r using (device_id, hour)
       where (samples, total, lowest, highest) is distinct from (n::int, sum, low, high)`,
    'every reading is in the week of its time': `
      select device_id, seq from telemetry.reading where at <> telemetry.time_of(seq)`,
  },
};
