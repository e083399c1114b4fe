/** Makes docs/preflight.md from the registry: `npm run docs:preflight`. A test compares it with the page. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { TOPICS } from './checks.js';

export const PAGE = new URL('../../docs/preflight.md', import.meta.url);

const INTRODUCTION = `# Preflight

What Godwit looks at before it changes anything, and again when a migration starts. All of it only reads: every statement
runs in a read-only transaction; one that tries the ways between the servers makes a subscription and rolls it back. \`godwit preflight FILE\` prints what it found, with the evidence and what repairs it.

An **error** stops the migration before it changes anything. A **warning** is for a person to weigh. An **info** is
something to know. The names are stable, for scripts that read \`-o json\`.

This page is made from the checks themselves (\`npm run docs:preflight\`).
`;

export function preflightPage(): string {
  const topics = new Map<string, string[]>();
  for (const { topic, rules } of TOPICS) {
    const entries = Object.entries(rules).map(([id, rule]) =>
      [
        `### \`${id}\``,
        `**${rule.severity}** · ${plain(rule.title)}.`,
        plain(rule.why),
        `_Repair:_ ${plain(rule.mend)}`,
      ].join('\n\n'),
    );
    topics.set(topic, [...(topics.get(topic) ?? []), ...entries]);
  }
  const sections = [...topics].map(([topic, entries]) => [`## ${topic}`, ...entries].join('\n\n'));
  return `${[INTRODUCTION, ...sections]
    .join('\n')
    .replace(/\n## /g, '\n\n## ')
    .replace(/\n{3,}/g, '\n\n')}\n`;
}

/** Text that Markdown takes as it stands. */
function plain(text: string): string {
  return text.replaceAll(/[*_[\]<>]/g, (character) => `\\${character}`).replaceAll(/(\w)\\_(?=\w)/g, '$1_');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(PAGE, preflightPage());
