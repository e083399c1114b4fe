/** Certificates as they are kept in the target, for people who want one as a file. */
import type { NormalReconciliation } from '../../spec/reconciliation.js';
import { failure } from '../failure.js';
import { Session } from '../postgres/session.js';
import { isIntactRunCertificate, type RunCertificate } from './certificate.js';
import { hasState } from './state.js';

/**
 * @param run null: the newest that has one
 * Fails with `InvalidSpec` where there is none, and with `ValidationDiffers` where the one that is kept is not what its run wrote.
 */
export async function keptCertificate(normal: NormalReconciliation, run: string | null): Promise<RunCertificate> {
  await using target = await Session.open('target', normal.target.url, { purpose: `${normal.name} certificate` });
  const kept = (await hasState(target))
    ? await target.row<{ run: string; certificate: unknown }>(
        `select run, certificate from godwit.reconciliation_run
         where reconciliation = $1 and certificate is not null and ($2::text is null or run = $2)
         order by started_at desc limit 1`,
        [normal.name, run],
      )
    : undefined;
  if (kept === undefined || kept === null) {
    throw failure(
      'InvalidSpec',
      run === null
        ? `no run of ${normal.name} has a certificate yet`
        : `${normal.name} has no certificate of a run ${run}`,
      'godwit reconcile list shows the runs; one that was skipped or failed has none',
    );
  }
  if (!isIntactRunCertificate(kept.certificate)) {
    throw failure('ValidationDiffers', `the certificate of ${kept.run} is not what its run wrote: somebody changed it`);
  }
  return kept.certificate;
}
