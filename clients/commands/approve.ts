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
    await print(terminal, options.output, status, () => {
      const now = status.gates.find(({ id: known }) => known === gate);
      const missing = (now?.needed ?? 0) - (now?.approvals.length ?? 0);
      const outcome =
        now?.state === 'passed' || missing <= 0 ? 'that is enough' : `${plural(missing, 'approval')} more needed`;
      return `${terminal.colours.green('approved')}  ${gate} of ${id}: ${outcome}`;
    });
    if (options.wait !== true) return EXIT.done;
    const waited = await waitFor(terminal, temporal, id, {
      goal: settledSince(before),
      since: before,
      timeoutMs: options.timeout,
    });
    hint(terminal, waited.view);
    return waited.exitCode;
  });
}
