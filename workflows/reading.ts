/** What the two workflows that only read have in common. */
import { workflowInfo } from '@temporalio/workflow';
import type { NormalMigration } from '../spec/normal.js';
import { Control, now } from './control.js';
import { Interrupted } from './interrupted.js';
import { aloneInput, aborted, type AloneInput } from './phase.js';
import { lightActivities } from './proxies.js';
import { rooted } from './rooted.js';
import { adopt, newState } from './state.js';

/** Normalizes the document, then reads. Pause and abort work as everywhere; there is nothing to undo. */
export async function reading<R>(
  input: unknown,
  read: (control: Control, normal: NormalMigration) => Promise<R>,
): Promise<R> {
  const { document, migration }: AloneInput = aloneInput(input);
  const control = new Control(newState(migration ?? workflowInfo().workflowId, now()), 'alone');
  return rooted(control, async () => {
    try {
      const normal = await control.step(() => lightActivities().normalize({ document }));
      adopt(control.state, normal);
      return await read(control, normal);
    } catch (error) {
      throw error instanceof Interrupted ? aborted(false) : error;
    }
  });
}
