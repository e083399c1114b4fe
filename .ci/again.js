/*
 * Prints the files to run once more, a line each: those whose hooks failed. Vitest's `--retry` tries tests again, and never
 * a hook. More than three are no accident, and none is printed.
 * Usage: node again.js RESULTS.json, which `.ci/reporter.js` wrote.
 */
import { existsSync, readFileSync } from 'node:fs';

const [results] = process.argv.slice(2);
const { files } = existsSync(results) ? JSON.parse(readFileSync(results, 'utf8')) : { files: {} };
const failed = Object.keys(files).filter((file) => files[file].hooksFailed);
if (failed.length <= 3) for (const file of failed) console.log(file);
