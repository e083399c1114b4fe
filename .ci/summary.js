/*
 * Ends a run of `.ci/run`: names what failed with its first error, then what passed only when tried again (each of those
 * is a bug of the code or of its test, and to be mended), then one line of counts. Exits with 1 if something failed.
 * Usage: node summary.js DEMO_STATUS RESULTS.json AGAIN.json, as `.ci/reporter.js` wrote them; AGAIN.json, of the files
 * that were run once more, may be missing.
 */
import { existsSync, readFileSync } from 'node:fs';

const [demo, first, again] = process.argv.slice(2);
const read = (file) => (existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined);

const run = read(first) ?? { files: {}, outside: [{ name: 'the tests', error: 'they wrote no results' }] };
const rerun = read(again) ?? { files: {}, outside: [] };

const failed = [...run.outside, ...rerun.outside];
const flaky = [];
let passed = 0;
let skipped = 0;
for (const [file, results] of Object.entries(run.files)) {
  const last = rerun.files[file] ?? results;
  passed += last.passed;
  skipped += last.skipped;
  failed.push(...last.failed);
  flaky.push(...last.flaky);
  if (last !== results && last.failed.length === 0) flaky.push(...results.failed);
}
if (demo !== '0') failed.push({ name: 'npm run demo', error: 'it did not hold its promises' });

for (const { name, error } of failed) console.log(`FAILED: ${name}\n${error}`);
for (const { name, error } of flaky) console.log(`PASSED ONLY WHEN TRIED AGAIN: ${name}\n${error}`);
console.log(`${passed} passed, ${failed.length} failed, ${skipped} skipped`);
process.exit(failed.length === 0 ? 0 : 1);
