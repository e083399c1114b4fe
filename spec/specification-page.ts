/** docs/specification.md, made from the schema: field, type, default, meaning. */
import { cell, fieldTable } from './field-tables.js';
import { allFields, migrationJsonSchema, type FieldPlace } from './json-schema.js';
import { settable } from './settable.js';

const INTRO = `# Specification

<!-- Made from spec/schema.ts by \`npm run schema\`; change it there. -->

A migration is one file, YAML or JSON, with everything that has a default left out. \`godwit validate FILE\` checks it
without any connection; [examples/](../examples) has small and full ones. Editors complete and check by
[spec/migration.schema.json](../spec/migration.schema.json), which a file names in its first line:

\`\`\`yaml
# yaml-language-server: $schema=../spec/migration.schema.json
\`\`\`

**Durations** are written \`250ms\`, \`90s\`, \`1h30m\`, \`72h\` or \`3d\`. **Sizes** are written \`512kB\`, \`16MB\` or \`1GiB\`:
kB, MB, GB and TB count in thousands, KiB, MiB, GiB and TiB in 1,024s. A number without a unit is refused.

**Table patterns** are \`schema.table\`; \`*\` stands for any run of characters. **Units** are written \`TYPE/NAME\`, such as
\`database/orders\`.

**Secrets** never stand in the file. A reference says where the worker finds one: \`{env: NAME}\`, \`{file: /path}\` or
\`{secretsManager: ID, key: NAME}\`. It is resolved where the worker runs, each time it is needed, and never enters a
workflow's history.

**Gates** that are judged on metrics may stand in several places; they are alike in all of them, and described
once, as \`gates[]\`. [The judge](judge.md) tells what they decide by.

Fields marked ⟳ can be changed while a migration runs, see [below](#changing-a-running-migration).
`;

/** Gates that are judged on metrics may stand in many places, and are alike in all of them. */
const JUDGED = /^spec\.(?!gates).+?\.gates\[\]/;

export function specificationPage(): string {
  const sections = new Map<string, FieldPlace[]>();
  const [firstJudged] = [...allFields(migrationJsonSchema())].flatMap(({ parent }) => JUDGED.exec(parent)?.[0] ?? []);
  for (const place of allFields(migrationJsonSchema())) {
    // One gate is like the other; the table of `spec.gates` names the stages.
    if (/^spec\.gates\.(switch|finalize)$/.test(place.parent)) continue;
    const judged = JUDGED.exec(place.parent)?.[0];
    if (judged !== undefined && judged !== firstJudged) continue;
    const parent = place.parent.replace(/^spec\.gates\.prepare$/, 'spec.gates.GATE').replace(JUDGED, 'gates[]');
    sections.set(parent, [...(sections.get(parent) ?? []), place]);
  }
  const parts = [...sections].map(([parent, fields]) => fieldTable(parent, fields, canBeSet));
  return [INTRO, ...parts, runningSection()].join('\n');
}

function canBeSet({ parent, name }: FieldPlace): boolean {
  return settable.some(({ path }) => `spec.databases.NAME.${path}` === `${parent}.${name}`);
}

function runningSection(): string {
  const rows = settable.map(({ path, meaning }) => `| \`databases.NAME.${path}\` | ${cell(meaning)} |`);
  return [
    '## Changing a running migration',
    '',
    'This list is closed: everything else was planned, approved or built upon. A step that runs keeps its values; the',
    'next one takes the new ones.',
    '',
    '```sh',
    'godwit set ID databases.orders.copy.rateLimit=20MB',
    "godwit set ID databases.orders.cutover.window='mon-fri 22:00-04:00'",
    '```',
    '',
    '| path | meaning |',
    '| --- | --- |',
    ...rows,
    '',
  ].join('\n');
}
