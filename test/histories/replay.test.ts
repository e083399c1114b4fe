/**
 * Every recorded history runs through the workflows as they are now: a migration that was begun by an older worker must
 * go on with this one. When this fails, put the change behind `patched()`; record anew only what was never deployed:
 * `GODWIT_RECORD=1 npx vitest run --project integration test/histories/record.test.ts`.
 */
import { Worker } from '@temporalio/worker';
import { describe, expect, it } from 'vitest';
import { workflowCode } from '../../workers/workflow-code.js';
import { recordedHistories } from './histories.js';

describe('the workflows as they are now', () => {
  it('replay every recorded history without a difference', async () => {
    const recorded = await recordedHistories();
    expect(recorded.length).toBeGreaterThanOrEqual(8);
    const failed: string[] = [];
    const results = Worker.runReplayHistories({ workflowBundle: await workflowCode() }, recorded);
    for await (const { workflowId, error } of results) {
      if (error !== undefined) failed.push(`${workflowId}: ${error.message}`);
    }
    expect(failed).toEqual([]);
  });
});
