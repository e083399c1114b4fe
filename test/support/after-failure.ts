/** Set up for every file that may have a world of its own: a test that is tried again begins where it began at first. */
import { afterEach } from 'vitest';
import { RealWorld } from './real-world.js';

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await RealWorld.forgetAll();
});
