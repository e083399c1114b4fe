/**
 * A reporter of vitest that writes what `.ci/summary.js` reads, to the file that GODWIT_CI_RESULTS names: of each file what
 * passed, failed, passed when tried again and was skipped, and whether it failed outside of its tests. The json reporter of
 * vitest leaves out the errors of hooks.
 */
import { writeFileSync } from 'node:fs';

const firstLines = (errors) =>
  (errors[0]?.stack ?? errors[0]?.message ?? '')
    .split('\n')
    .filter((line) => !line.includes('node_modules'))
    .slice(0, 12)
    .join('\n');

const said = (name, errors) => ({ name, error: firstLines(errors) });

function resultsOf(module) {
  const results = { passed: 0, failed: [], flaky: [], skipped: 0, hooksFailed: false };
  const failOutside = (where, errors) => {
    if (errors.length === 0) return;
    results.failed.push(said(`${module.relativeModuleId} > ${where}`, errors));
    results.hooksFailed = true;
  };
  failOutside('(the whole file)', module.errors());
  for (const suite of module.children.allSuites()) failOutside(`${suite.fullName} > (its hooks)`, suite.errors());
  for (const test of module.children.allTests()) {
    const name = `${module.relativeModuleId} > ${test.fullName}`;
    const { state, errors = [] } = test.result();
    if (state === 'passed') {
      results.passed += 1;
      if (errors.length > 0) results.flaky.push(said(name, errors));
    } else if (state === 'failed') results.failed.push(said(name, errors));
    else results.skipped += 1;
  }
  return results;
}

export default class SummaryReporter {
  onTestRunEnd(modules, unhandled) {
    const files = Object.fromEntries(modules.map((module) => [module.relativeModuleId, resultsOf(module)]));
    const outside = unhandled.length > 0 ? [said('an error outside of all tests', unhandled)] : [];
    writeFileSync(process.env.GODWIT_CI_RESULTS, JSON.stringify({ files, outside }));
  }
}
