/** The certificate of a run: what was compared, how, up to when, and what was found, with a digest of itself. Holds no row. */
import type { FindingCount, Level, RunTable, RunVerdict } from '../../spec/reconciliation.js';
import type { Primary } from '../../spec/status.js';
import { isIntact, sealed } from '../postgres/validation/certificate.js';
import type { ComparedServer } from '../postgres/validation/server.js';
import type { NotChecked } from './findings.js';
import { markdown } from './report/words.js';

export const CERTIFICATE_KIND = 'ReconciliationCertificate';

export interface RunCertificateBody {
  kind: typeof CERTIFICATE_KIND;
  version: 1;
  run: string;
  reconciliation: string;
  level: Level;
  verdict: RunVerdict;
  primary: Primary;
  /** All that was committed on the primary before it is compared; null: the primary tells none. */
  lsn: string | null;
  at: string;
  tookMs: number;
  /** How it was known that the standby had applied all of that. */
  proof: string;
  servers: Record<Primary, ComparedServer>;
  settings: Record<string, string>;
  tables: (RunTable & { expression: string | null })[];
  found: FindingCount[];
  notChecked: NotChecked[];
  exclusions: { columns: { tables: string; columns: string[] }[]; rowFilters: Record<string, string> };
}

export type RunCertificate = RunCertificateBody & { digest: string };

export const certified = (body: RunCertificateBody): RunCertificate => sealed(body);

/** Whether it is what a run has sealed: nothing added, changed or left out since. */
export function isIntactRunCertificate(json: unknown): json is RunCertificate {
  return isCertificate(json) && isIntact(json);
}

function isCertificate(json: unknown): json is RunCertificate {
  return (
    typeof json === 'object' &&
    json !== null &&
    'kind' in json &&
    json.kind === CERTIFICATE_KIND &&
    'digest' in json &&
    typeof json.digest === 'string'
  );
}

/** A page to read, in markdown. */
export function certificatePage(certificate: RunCertificate): string {
  const { servers, tables, found, notChecked } = certificate;
  const server = (side: Primary): string =>
    `PostgreSQL ${servers[side].version}, system ${servers[side].systemIdentifier}, timeline ${servers[side].timeline}`;
  return [
    `# Certificate of ${certificate.reconciliation}, ${certificate.level}`,
    '',
    statementOf(certificate),
    '',
    '|  |  |',
    '| --- | --- |',
    `| run | ${markdown(certificate.run)} |`,
    `| source | ${server('source')} |`,
    `| target | ${server('target')} |`,
    `| writes go to | ${certificate.primary} |`,
    `| holds for | all that the ${certificate.primary} had committed at ${certificate.at}${certificate.lsn === null ? '' : `, LSN ${certificate.lsn}`} |`,
    `| known by | ${markdown(certificate.proof)} |`,
    `| took | ${(certificate.tookMs / 1_000).toFixed(1)} s |`,
    `| digest | \`${certificate.digest}\` |`,
    '',
    '## Tables',
    '',
    '| table | compared | rows | late | findings | note |',
    '| --- | --- | ---: | ---: | ---: | --- |',
    ...tables.map(
      (table) =>
        `| ${markdown(`${table.schema}.${table.name}`)} | ${table.how} | ${table.rows} | ${table.late} | ` +
        `${Object.values(table.findings).reduce((sum, count) => sum + count, 0)} | ${markdown(table.note ?? '')} |`,
    ),
    ...(found.length === 0
      ? []
      : [
          '',
          '## Findings',
          '',
          '| table | kind | severity | count |',
          '| --- | --- | --- | ---: |',
          ...found.map((one) => `| ${markdown(placeOf(one))} | ${one.kind} | ${one.severity} | ${one.count} |`),
        ]),
    ...(notChecked.length === 0
      ? []
      : ['', '## Not compared', '', ...notChecked.map(({ what, why }) => `- ${markdown(what)}: ${markdown(why)}`)]),
    ...exclusionsOf(certificate),
    '',
  ].join('\n');
}

function statementOf({ verdict, tables, found }: RunCertificate): string {
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  const total = found.reduce((sum, { count }) => sum + count, 0);
  switch (verdict) {
    case 'equal':
      return `**Equal.** ${rows} rows of ${tables.length} tables were compared, and none differs.`;
    case 'different':
      return `**Different.** ${total} findings in ${rows} rows of ${tables.length} tables.`;
    case 'incomplete':
      return `**Incomplete.** What was compared is equal; the page ends with what could not be.`;
  }
}

function exclusionsOf({ exclusions }: RunCertificate): string[] {
  const columns = exclusions.columns.map(
    ({ tables, columns: names }) => `- ${markdown(tables)}: without ${markdown(names.join(', '))}`,
  );
  const filters = Object.entries(exclusions.rowFilters).map(
    ([table, filter]) => `- ${markdown(table)}: only rows where ${markdown(filter)}`,
  );
  const lines = [...columns, ...filters];
  return lines.length === 0 ? [] : ['', '## Left out', '', ...lines];
}

const placeOf = ({ schema, table }: FindingCount): string => (table === '' ? 'the database' : `${schema}.${table}`);
