/** docs/reconciliation-specification.md, made from the schema: field, type, default, meaning. */
import { fieldTable } from './field-tables.js';
import { allFields, reconciliationJsonSchema, type FieldPlace } from './json-schema.js';

const INTRO = `# Specification of a reconciliation

<!-- Made from spec/reconciliation-schema.ts by \`npm run schema\`; change it there. -->

A reconciliation is one file, YAML or JSON, with everything that has a default left out. Ten lines are enough:

\`\`\`yaml
# yaml-language-server: $schema=../spec/reconciliation.schema.json
apiVersion: godwit.dev/v1alpha1
kind: Reconciliation
metadata:
  name: shop
spec:
  source:
    url: { env: SHOP_SOURCE_URL }
  target:
    url: { env: SHOP_TARGET_URL }
\`\`\`

\`godwit validate FILE\` checks it without any connection, and with \`-o yaml\` shows it with all defaults;
[examples/reconciliation.yaml](../examples/reconciliation.yaml) has every field. Editors complete and check by
[spec/reconciliation.schema.json](../spec/reconciliation.schema.json), which a file names in its first line.

Durations, sizes, table patterns and references to secrets are written as in [a migration](specification.md).
`;

export function reconciliationPage(): string {
  const sections = new Map<string, FieldPlace[]>();
  for (const place of allFields(reconciliationJsonSchema())) {
    sections.set(place.parent, [...(sections.get(place.parent) ?? []), place]);
  }
  return [INTRO, ...[...sections].map(([parent, fields]) => fieldTable(parent, fields))].join('\n');
}
