import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Recording is asked for: `GODWIT_RECORD=1`. */
const recording = process.env['GODWIT_RECORD'] !== undefined;

/**
 * Few lines that take more than a minute. Vitest begins with the longest texts, so each of these would come last, and be waited
 * for while the other core has nothing to do.
 */
const FIRST = /\/(traffic-faults-\w+|cutover-crash-versions|workflow-certificate-deaths|samples)\.test\.ts$/;

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return [...sorted].sort((a, b) => Number(FIRST.test(b.moduleId)) - Number(FIRST.test(a.moduleId)));
  }
}

/** Those that have servers and processes of their own: one group, or the last file of each project would be waited for alone. */
const REAL = {
  globalSetup: ['test/support/lab.ts'],
  maxWorkers: 2,
  sequence: { groupOrder: 1 },
  testTimeout: 300_000,
  hookTimeout: 600_000,
  // The default of 1 s is less than a busy machine may stand still.
  expect: { poll: { timeout: 60_000 } },
};

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], environment: 'node' } },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts', 'test/histories/**/*.test.ts'],
          exclude: recording ? [] : ['test/histories/record.test.ts'],
          ...REAL,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts', 'test/chaos/**/*.test.ts'],
          setupFiles: ['test/support/after-failure.ts'],
          ...REAL,
        },
      },
    ],
  },
});
