/**
 * The certificate: what was compared, how, and what was found, with a digest of itself. Kept in `godwit.certificate` on
 * the target, and removed with the scope. Keys that differ are kept beside it and nowhere else: they are rows' contents.
 */
import { createHash } from 'node:crypto';
import type { Primary } from '../../../spec/status.js';
import type { Session } from '../session.js';
import { statement, type TableName } from '../statements.js';
import type { ComparedServer } from './server.js';
import type { Difference } from './settle.js';

const TABLES = statement(import.meta.url, '../sql/validation/certificate.sql');

/** Certificates of a scope that are kept: those of a watch of 72 h every hour, and more than a person will read. */
const KEPT = 100;

export interface CertificateTable extends TableName {
  key: 'integer' | 'columns' | 'none';
  /** Only these rows were compared, on both sides; absent: all. */
  rowFilter?: string;
  rows: number;
  leaves: number;
  leavesDiffering: number;
  differences: number;
  /** True: it differs in more rows than were counted. */
  stopped: boolean;
  /** Open suspects: neither proven equal nor different. */
  suspects: number;
  /** Keys whose reads differed at first, by what settled them. */
  settled: { byMarker: number; byRowLock: number; byTableLock: number };
  expression: { form: string; source: string; target: string };
  tookMs: number;
}

export interface Certificate {
  version: 1;
  id: string;
  migration: string;
  scope: string;
  database: string;
  verdict: 'equal' | 'different' | 'incomplete';
  primary: Primary;
  /**
   * WAL position on the primary: all that was committed before it is compared. What came later is, too, up to the moment
   * at which its row was read.
   */
  lsn: string;
  at: string;
  tookMs: number;
  servers: Record<Primary, ComparedServer>;
  settings: Record<string, string>;
  rows: number;
  differences: number;
  suspects: number;
  tables: CertificateTable[];
  exclusions: { schema: string; name: string; why: string }[];
  /** sha256 of the JSON of all the rest. */
  digest: string;
}

export type FoundDifference = Difference & TableName & { state: 'confirmed' | 'suspect' };

/** `body` with its digest: sha256 of its JSON. */
export function sealed<B extends object>(body: B): B & { digest: string } {
  return { ...body, digest: digestOf(body) };
}

/** Whether a certificate is what was sealed. */
export function isIntact<C extends { digest: string }>(certificate: C): boolean {
  const { digest, ...body } = certificate;
  return digest === digestOf(body);
}

const digestOf = (body: object): string => createHash('sha256').update(JSON.stringify(body)).digest('hex');

/** Writes a certificate and what differed, in one transaction. */
export async function keepCertificate(
  target: Session,
  certificate: Certificate,
  found: FoundDifference[],
): Promise<void> {
  await target.transaction(async () => {
    await target.rows(`select pg_advisory_xact_lock(hashtextextended('godwit schema', 0))`);
    if (!(await hasCertificates(target))) await target.run(TABLES);
    await target.run('insert into godwit.certificate (scope, id, body) values ($1, $2, $3)', [
      certificate.scope,
      certificate.id,
      JSON.stringify(certificate),
    ]);
    await target.run(
      `insert into godwit.validation_difference (scope, certificate, schema_name, table_name, key, kind, state)
       select $1, $2, f.schema, f.name, array(select json_array_elements_text(f.key)), f.kind, f.state
       from json_to_recordset($3::json) as f(schema text, name text, key json, kind text, state text)`,
      [certificate.scope, certificate.id, JSON.stringify(found)],
    );
    await target.run(
      `delete from godwit.certificate where scope = $1 and id in (
         select id from godwit.certificate where scope = $1 order by taken_at desc offset ${KEPT})`,
      [certificate.scope],
    );
  });
}

/** The certificate `id` from the target's session; null if there is none. */
export async function readCertificate(session: Session, id: string): Promise<Certificate | null> {
  if (!(await hasCertificates(session))) return null;
  const row = await session.row<{ body: Certificate }>('select body from godwit.certificate where id = $1', [id]);
  return row?.body ?? null;
}

export async function hasCertificates(session: Session): Promise<boolean> {
  const known = await session.row<{ known: boolean }>(
    `select to_regclass('godwit.validation_difference') is not null as known`,
  );
  return known?.known ?? false;
}
