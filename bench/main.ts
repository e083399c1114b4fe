/** `npm run bench`: every benchmark, or those named; tables to standard output, figures as JSON beside the labs. */
import { resolve } from 'node:path';
import { benchEndpoints, endpointsTable } from './endpoints.js';
import { benchSwitch, keep, switchTable } from './switch.js';

const folder = resolve('.godwit', 'bench');

/** Each answers whether every promise held. */
const BENCHES: Record<string, () => Promise<boolean>> = {
  switch: async () => {
    const figures = await benchSwitch(folder);
    console.log(switchTable(figures));
    console.error(`figures: ${await keep(folder, 'switch', figures)}`);
    const { failed, unknown, lost } = figures.requests;
    return failed + unknown + lost + figures.twoWriters === 0;
  },
  endpoints: async () => {
    const figures = await benchEndpoints();
    console.log(endpointsTable(figures));
    console.error(`figures: ${await keep(folder, 'endpoints', figures)}`);
    return figures.kinds.every(({ lost }) => lost === 0);
  },
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !Object.hasOwn(BENCHES, name));
if (unknown.length > 0) {
  console.error(`no benchmark ${unknown.join(', ')}; there are ${Object.keys(BENCHES).join(', ')}`);
  process.exitCode = 2;
} else {
  for (const [name, bench] of Object.entries(BENCHES)) {
    if (asked.length > 0 && !asked.includes(name)) continue;
    if (!(await bench())) process.exitCode = 1;
  }
}
