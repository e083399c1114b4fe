/** The demo's chapter on differences: rows of the target change behind replication's back, are found, mended and certified. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isIntactRunCertificate } from '../../activities/reconciliation/certificate.js';
import type { RunSummary } from '../../spec/reconciliation.js';
import { EXIT } from '../exit.js';
import { corrupt, CORRUPTED_ROWS } from './corruption.js';
import type { ReconciliationEvidence } from './evidence.js';
import type { Stage } from './stage.js';

const NAME = 'shop-compare';

/** While the migration waits for its switch: the target follows, and its fence keeps everybody else out. */
export async function reconciled(stage: Stage): Promise<ReconciliationEvidence> {
  const { lab } = stage;
  const file = await stage.reconciliation(NAME);
  const certificate = join(lab.folder, 'certificate.json');
  stage.title('Three rows of the target change behind the fence: found, mended, certified');
  await corrupt(lab.environment.GODWIT_TARGET_URL);
  await stage.command(['reconcile', file, '--id', `${NAME}-1`], [EXIT.failed]);
  const before = await summaryOf(stage, `${NAME}-1`);
  await stage.command(['reconcile', 'repair', file, before.run, '--all', '--dry-run']);
  await stage.command(['reconcile', 'repair', file, before.run, '--all', '--confirm', NAME]);
  await stage.command(['reconcile', file, '--id', `${NAME}-2`], [EXIT.failed]);
  const after = await summaryOf(stage, `${NAME}-2`);
  await stage.command(['reconcile', 'certificate', file, after.run, '-o', certificate]);
  await stage.command(['reconcile', 'verify', certificate]);
  const written: unknown = JSON.parse(await readFile(certificate, 'utf8'));
  // so that the migration's own end leaves the target as it promises
  await stage.command(['reconcile', 'forget', file, '--confirm', NAME]);
  return {
    corrupted: CORRUPTED_ROWS,
    found: rowsIn(before),
    remaining: rowsIn(after),
    rows: after.rows,
    tookMs: after.tookMs,
    certificate: isIntactRunCertificate(written) ? written.digest : null,
  };
}

async function summaryOf({ temporal }: Stage, id: string): Promise<RunSummary> {
  return temporal.client.workflow.getHandle<() => Promise<RunSummary>>(id).result();
}

const rowsIn = ({ found }: RunSummary): number =>
  found.reduce(
    (sum, { kind, count }) => sum + (kind === 'changed' || kind === 'missing' || kind === 'extra' ? count : 0),
    0,
  );
