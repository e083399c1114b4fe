import type { StatusDocument } from '../../spec/status.js';
import { withTemporal } from '../connection.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { MessageFlags, WaitFlags } from '../flags.js';
import { send, whoAmI } from '../messaging.js';
import { print } from '../output/document.js';
import { plural } from '../output/figures.js';
import type { Terminal } from '../terminal.js';
import { viewMigration } from '../view.js';
import { hint, settledSince, waitFor } from '../waiting.js';

export interface ApproveOptions extends MessageFlags, WaitFlags {
  confirm: string;
}

export async function approve(
  terminal: Terminal,
  id: string,
  gate: string,
  options: ApproveOptions,
): Promise<ExitCode> {
  return withTemporal(options, terminal.env, async (temporal) => {
    const before = await viewMigration(temporal, id);
    const { planDigest } = before.status;
    const status = await send(temporal, id, 'approve', {
      gate,
      confirm: options.confirm,
      by: options.by ?? whoAmI(terminal.env),
      ...(options.reason === undefined ? {} : { reason: options.reason }),
      // What was just looked at is what is approved, even if it changes before the message arrives.
      ...(planDigest === null ? {} : { digest: planDigest }),
    });
    const missing = approvalsMissing(status, gate);
    await print(terminal, options.output, status, () => {
      const outcome = missing === 0 ? 'that is enough' : `${plural(missing, 'approval')} more needed`;
      return `${terminal.colours.green('approved')}  ${gate} of ${id}: ${outcome}`;
    });
    if (options.wait !== true) return EXIT.done;
    if (missing > 0) return EXIT.waiting;
    const waited = await waitFor(terminal, temporal, id, {
      goal: settledSince(before),
      since: before,
      timeoutMs: options.timeout,
    });
    hint(terminal, waited.view);
    return waited.exitCode;
  });
}

/** Of other people, before the gate opens. */
function approvalsMissing(status: StatusDocument, id: string): number {
  const gate = status.gates.find((known) => known.id === id);
  return gate === undefined || gate.state === 'passed' ? 0 : Math.max(0, gate.needed - gate.approvals.length);
}
