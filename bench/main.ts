/** `npm run bench`: every benchmark, one after another; tables to standard output, figures as JSON beside the labs. */
import { resolve } from 'node:path';
import { benchSwitch, keep, switchTable } from './switch.js';

const folder = resolve('.godwit', 'bench');
const figures = await benchSwitch(folder);
console.log(switchTable(figures));
console.error(`figures: ${await keep(folder, 'switch', figures)}`);
process.exitCode =
  figures.requests.failed + figures.requests.unknown + figures.requests.lost + figures.twoWriters > 0 ? 1 : 0;
