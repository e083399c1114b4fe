/**
 * Entry point: a load that runs until it is told to stop, for a lab that stands for a while. SHOP_URL says where, LOAD_RATE
 * how many requests a second (default 200), LOAD_RECORD in which file they are recorded, if they shall be.
 */
import { DEFAULT_MIX } from './requests.js';
import { runLoad } from './clients.js';

const REPORT_EVERY_MS = 10_000;

const url = process.env['SHOP_URL'];
if (!url) throw new Error('SHOP_URL is not set: where do clients of the shop connect?');

const load = await runLoad({
  url,
  record: process.env['LOAD_RECORD'] ?? null,
  clients: 8,
  rate: Number(process.env['LOAD_RATE'] ?? 200),
  mix: DEFAULT_MIX,
  most: null,
  dns: null,
});

const say = (): void => console.log(JSON.stringify(load.snapshot()));
say();
const report = setInterval(say, REPORT_EVERY_MS);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    clearInterval(report);
    void load.stop().then((last) => console.log(JSON.stringify(last)));
  });
}
