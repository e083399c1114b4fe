/**
 * A reporter of vitest that writes what `.ci/summary.js` reads, to the file that GODWIT_CI_RESULTS names. The json reporter
 * of vitest leaves out the errors of hooks.
 */
import { writeFileSync } from 'node:fs';

const firstLines = (errors) =>
  (errors[0]?.stack ?? errors[0]?.message ?? '')
    .split('\n')
    .filter((line) => !line.includes('node_modules'))
    .slice(0, 12)
    .join('\n');

export default class SummaryReporter {
  onTestRunEnd(modules, unhandled) {
    const results = { passed: 0, failed: [], flaky: [], skipped: 0 };
    const add = (list, name, errors) => list.push({ name, error: firstLines(errors) });
    if (unhandled.length > 0) add(results.failed, 'an error outside of all tests', unhandled);
    for (const module of modules) {
      if (module.errors().length > 0)
        add(results.failed, `${module.relativeModuleId} > (the whole file)`, module.errors());
      for (const suite of module.children.allSuites()) {
        const name = `${module.relativeModuleId} > ${suite.fullName} > (its hooks)`;
        if (suite.errors().length > 0) add(results.failed, name, suite.errors());
      }
      for (const test of module.children.allTests()) {
        const name = `${module.relativeModuleId} > ${test.fullName}`;
        const { state, errors = [] } = test.result();
        if (state === 'passed') {
          results.passed += 1;
          if (errors.length > 0) add(results.flaky, name, errors);
        } else if (state === 'failed') add(results.failed, name, errors);
        else results.skipped += 1;
      }
    }
    writeFileSync(process.env.GODWIT_CI_RESULTS, JSON.stringify(results));
  }
}
