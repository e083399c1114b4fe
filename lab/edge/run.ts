/** Entry point of the edge's own process. EDGE_OPTIONS: `EdgeOptions` as JSON; EDGE_CONTROL_PORT: where it is asked and told. */
import { endWithParent } from '../end-with-parent.js';
import { EdgeControl } from './control.js';
import { Edge, type EdgeOptions } from './edge.js';

endWithParent();
const options = JSON.parse(process.env['EDGE_OPTIONS'] ?? '') as EdgeOptions;
const edge = await Edge.start(options);
const control = await EdgeControl.start(edge, Number(process.env['EDGE_CONTROL_PORT'] ?? 0));
console.log(`control: ${control.url}`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void Promise.all([control.stop(), edge.stop()]).then(() => process.exit()));
}
