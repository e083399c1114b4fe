/*
 * Ends a run of `.ci/run`: names what failed with its first error, then what passed only when tried again (each of those
 * is a bug of the code or of its test, and to be mended), then one line of counts.
 * Usage: node summary.js RESULTS.json DEMO_STATUS, RESULTS.json being what vitest's json reporter wrote.
 */
import { existsSync, readFileSync } from 'node:fs';

const [file, demo] = process.argv.slice(2);
const written = existsSync(file) ? readFileSync(file, 'utf8') : '';
const results =
  written === ''
    ? { testResults: [], numFailedTests: 1, numPassedTests: 0, numPendingTests: 0, numTodoTests: 0 }
    : JSON.parse(written);
const root = process.cwd();

const tests = results.testResults.flatMap((suite) => [
  // A file that broke outside of its tests counts no test as failed.
  ...(suite.status === 'failed' && suite.assertionResults.every((test) => test.status !== 'failed')
    ? [{ file: suite.name, fullName: '(the whole file)', status: 'broken', failureMessages: [suite.message ?? ''] }]
    : []),
  ...suite.assertionResults.map((test) => ({ ...test, file: suite.name })),
]);

const failed = tests.filter((test) => test.status === 'failed' || test.status === 'broken');
const flaky = tests.filter((test) => test.status === 'passed' && (test.failureMessages ?? []).length > 0);
const print = (title, found) => {
  for (const test of found) {
    console.log(`${title}: ${test.file.replace(`${root}/`, '')} > ${test.fullName}`);
    console.log(
      (test.failureMessages[0] ?? '')
        .split('\n')
        .filter((line) => !line.includes('node_modules'))
        .slice(0, 12)
        .join('\n'),
    );
  }
};
print('FAILED', failed);
print('PASSED ONLY WHEN TRIED AGAIN', flaky);
if (written === '') console.log('FAILED: the tests wrote no results');
if (demo !== '0') console.log('FAILED: the demo did not hold its promises');

const broken = failed.filter((test) => test.status === 'broken').length;
const notPassed = results.numFailedTests + broken + (demo === '0' ? 0 : 1);
console.log(
  `${results.numPassedTests} passed, ${notPassed} failed, ${results.numPendingTests + results.numTodoTests} skipped`,
);
process.exit(notPassed === 0 ? 0 : 1);
