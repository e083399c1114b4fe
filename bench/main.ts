/**
 * `npm run bench -- [--runs N] [--rows N] [--streams N] [--tables N,N] [NAME …]`: every benchmark, or those named; tables to standard
 * output, figures as JSON beside the labs.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { benchCopy, copyHolds, copyTable } from './copy.js';
import { benchEndpoints, endpointsTable } from './endpoints.js';
import { benchJudge, judgeTable } from './judge.js';
import { LARGE_ROWS } from './large-table.js';
import {
  benchReconciliation,
  benchReconciliationLoad,
  loadTable,
  reconciliationHolds,
  reconciliationTable,
} from './reconciliation.js';
import { benchSwitch, keep, switchTable } from './switch.js';
import { benchTables, tablesTable } from './tables.js';
import { benchValidation, validationHolds, validationTable } from './validation.js';

const { values: options, positionals: asked } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '3' },
    rows: { type: 'string', default: `${LARGE_ROWS}` },
    streams: { type: 'string', default: '200' },
    tables: { type: 'string', default: '10,100,1000,10000' },
  },
});
const runs = Number(options.runs);
const rows = Number(options.rows);

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
  copy: async () => {
    const figures = await benchCopy({ runs, rows });
    console.log(copyTable(figures));
    console.error(`figures: ${await keep(folder, 'copy', figures)}`);
    return copyHolds(figures);
  },
  validation: async () => {
    const figures = await benchValidation({ runs, rows });
    console.log(validationTable(figures));
    console.error(`figures: ${await keep(folder, 'validation', figures)}`);
    return validationHolds(figures);
  },
  reconciliation: async () => {
    const figures = await benchReconciliation({ runs, rows });
    console.log(reconciliationTable(figures));
    console.error(`figures: ${await keep(folder, 'reconciliation', figures)}`);
    return reconciliationHolds(figures);
  },
  'reconciliation-load': async () => {
    const figures = await benchReconciliationLoad({ runs, rows });
    console.log(loadTable(figures));
    console.error(`figures: ${await keep(folder, 'reconciliation-load', figures)}`);
    return figures.falsePositives + figures.missed === 0;
  },
  judge: async () => {
    const figures = benchJudge({ runs: Number(options.streams) });
    console.log(judgeTable(figures));
    console.error(`figures: ${await keep(folder, 'judge', figures)}`);
    return true;
  },
  tables: async () => {
    const figures = await benchTables({ runs, sizes: options.tables.split(',').map(Number) });
    console.log(tablesTable(figures));
    console.error(`figures: ${await keep(folder, 'tables', figures)}`);
    return true;
  },
};

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
