/** What preflight found: errors first, each with what mends it. */
import type { Finding } from '../../spec/findings.js';
import type { Colours } from '../terminal.js';
import { plural } from './figures.js';

const ORDER: Finding['severity'][] = ['error', 'warning', 'info'];

export function hasErrors(findings: Finding[]): boolean {
  return findings.some(({ severity }) => severity === 'error');
}

/** `info` findings only when `wide`. */
export function findingsText(findings: Finding[], colours: Colours, wide: boolean): string {
  const shown = ORDER.filter((severity) => wide || severity !== 'info').flatMap((severity) =>
    findings.filter((finding) => finding.severity === severity),
  );
  return [...shown.map((finding) => findingText(finding, colours)), summary(findings, colours)].join('\n\n');
}

function findingText(finding: Finding, colours: Colours): string {
  const mark = { error: colours.red('error'), warning: colours.yellow('warning'), info: colours.dim('info') };
  return [
    `${mark[finding.severity]}  ${colours.bold(finding.title)}  ${colours.dim(`${finding.unit} ${finding.side} [${finding.id}]`)}`,
    `  ${finding.evidence}`,
    ...finding.repair.map((step) => `  ${colours.dim('→')} ${step}`),
  ].join('\n');
}

function summary(findings: Finding[], colours: Colours): string {
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  const warnings = findings.filter(({ severity }) => severity === 'warning').length;
  if (errors > 0) {
    return colours.red(
      `${plural(errors, 'error')} and ${plural(warnings, 'warning')}: a migration would stop here, before it changes anything.`,
    );
  }
  return colours.green(warnings > 0 ? `Ready, with ${plural(warnings, 'warning')}.` : 'Ready: nothing in the way.');
}
