/** Prometheus's own judge of rules: `promtool`, which comes with it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { stringify } from 'yaml';
import { prometheusBinary } from '../../lab/setup/prometheus.js';

/** https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/ */
export interface RuleTest {
  input_series: { series: string; values: string }[];
  alert_rule_test: {
    eval_time: string;
    alertname: string;
    exp_alerts: { exp_labels: Record<string, string>; exp_annotations: Record<string, string> }[];
  }[];
}

/** What `promtool test rules` says; empty: all as expected. */
export async function testRules(rules: string, tests: RuleTest[]): Promise<string> {
  await prometheusBinary(() => undefined);
  const folder = await mkdtemp(join(tmpdir(), 'godwit-rules-'));
  try {
    const file = join(folder, 'test.yaml');
    const document = {
      rule_files: [rules],
      evaluation_interval: '15s',
      tests: tests.map((one) => ({ interval: '15s', ...one })),
    };
    await writeFile(file, stringify(document));
    const { exitCode, stdout, stderr } = await execa('promtool', ['test', 'rules', file], { reject: false });
    return exitCode === 0 ? '' : `${stdout}\n${stderr}`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
