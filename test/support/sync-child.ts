/** Runs `initialSync` in a process of its own, to be killed: `node --import tsx sync-child.ts MOVE`, the move as JSON. */
import { initialSync } from '../../activities/postgres/copy/initial-sync.js';
import type { DatabaseMove } from '../../activities/contract.js';

await initialSync(JSON.parse(process.argv[2] ?? '') as DatabaseMove);
