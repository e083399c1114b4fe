/*
 * Ends a run of `.ci/run`: names what failed with its first error, then what passed only when tried again (each of those
 * is a bug of the code or of its test, and to be mended), then one line of counts.
 * Usage: node summary.js RESULTS.json DEMO_STATUS, RESULTS.json being what `.ci/reporter.js` wrote.
 */
import { existsSync, readFileSync } from 'node:fs';

const [file, demo] = process.argv.slice(2);
const { passed, failed, flaky, skipped } = existsSync(file)
  ? JSON.parse(readFileSync(file, 'utf8'))
  : { passed: 0, failed: [{ name: 'the tests', error: 'they wrote no results' }], flaky: [], skipped: 0 };
if (demo !== '0') failed.push({ name: 'npm run demo', error: 'it did not hold its promises' });

for (const { name, error } of failed) console.log(`FAILED: ${name}\n${error}`);
for (const { name, error } of flaky) console.log(`PASSED ONLY WHEN TRIED AGAIN: ${name}\n${error}`);
console.log(`${passed} passed, ${failed.length} failed, ${skipped} skipped`);
process.exit(failed.length === 0 ? 0 : 1);
