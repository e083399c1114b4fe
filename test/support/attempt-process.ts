/** A process of its own that runs one attempt and dies by SIGKILL at a named point. Its input comes as one JSON argument. */
import type { SwitchInput } from '../../activities/contract.js';
import { injectFaults } from '../../activities/fault.js';
import { switchWrites } from '../../activities/postgres/cutover.js';

const { input, point } = JSON.parse(process.argv[2] ?? '{}') as { input: SwitchInput; point: string };
injectFaults((reached) => {
  if (reached === point) process.kill(process.pid, 'SIGKILL');
});
await switchWrites(input);
