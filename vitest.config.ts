import { defineConfig } from 'vitest/config';

/** Recording is asked for: `GODWIT_RECORD=1`. */
const recording = process.env['GODWIT_RECORD'] !== undefined;

const LONG = { testTimeout: 180_000, hookTimeout: 600_000 };

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], environment: 'node' } },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts', 'test/histories/**/*.test.ts'],
          exclude: recording ? [] : ['test/histories/record.test.ts'],
          globalSetup: ['test/support/lab.ts'],
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
          ...LONG,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts', 'test/chaos/**/*.test.ts'],
          globalSetup: ['test/support/lab.ts'],
          maxWorkers: 1,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
          ...LONG,
        },
      },
    ],
  },
});
