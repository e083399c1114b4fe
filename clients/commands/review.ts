import {
  decideReview,
  listReview,
  REVIEW_STATES,
  showReview,
  type ReviewDecision,
} from '../../activities/reconciliation/review.js';
import { readingDatabases } from '../databases.js';
import { CliError } from '../errors.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { OutputFlags } from '../flags.js';
import { whoAmI } from '../messaging.js';
import { print } from '../output/document.js';
import { plural } from '../output/figures.js';
import { itemText, reviewTable } from '../output/review.js';
import { reconciliationOf } from '../specification.js';
import type { Terminal } from '../terminal.js';

export interface ReviewShowOptions extends OutputFlags {
  file: string;
}

export interface ReviewListOptions extends ReviewShowOptions {
  all?: boolean;
}

export interface DecideOptions extends ReviewShowOptions {
  by?: string;
  reason?: string;
}

export async function reviewList(terminal: Terminal, { file, all, output }: ReviewListOptions): Promise<ExitCode> {
  const { normal } = await reconciliationOf(terminal, file);
  const items = await readingDatabases(() =>
    listReview(normal, { states: all === true ? [...REVIEW_STATES] : ['waiting'] }),
  );
  if (items.length === 0 && output === 'table') {
    terminal.note(all === true ? 'Nothing was ever put aside.' : 'Nothing waits; --all shows what was decided.');
    return EXIT.done;
  }
  const { colours } = terminal;
  await print(terminal, output, items, (wide) => reviewTable(items, { colours, now: new Date(), wide }));
  return EXIT.done;
}

export async function reviewShow(terminal: Terminal, id: string, options: ReviewShowOptions): Promise<ExitCode> {
  const { normal } = await reconciliationOf(terminal, options.file);
  const shown = await readingDatabases(() => showReview(normal, id));
  const { colours } = terminal;
  await print(terminal, options.output, shown, (wide) => itemText(shown, { colours, now: new Date(), wide }));
  return EXIT.done;
}

const DONE: Record<ReviewDecision, string> = {
  accept: 'accepted',
  reject: 'rejected',
  repair: 'to be repaired',
};

export async function decide(
  terminal: Terminal,
  decision: ReviewDecision,
  ids: string[],
  options: DecideOptions,
): Promise<ExitCode> {
  const { file, output } = options;
  const { normal } = await reconciliationOf(terminal, file);
  const by = options.by ?? whoAmI(terminal.env);
  const wanted = [...new Set(ids)];
  const decided = await readingDatabases(() => decideReview(normal, wanted, decision, by, options.reason ?? null));
  const { green, dim } = terminal.colours;
  await print(
    terminal,
    output,
    { decision, decided, by },
    () => `${green(DONE[decision])}  ${plural(decided, 'item')}`,
  );
  if (decided < wanted.length) {
    throw new CliError(
      `${plural(wanted.length - decided, 'item')} of these can't be decided: not there, or no longer open.`,
      {
        next: [`godwit review list -f ${file} --all`],
      },
    );
  }
  if (decision === 'repair') {
    terminal.note(`  ${dim('→')} godwit reconcile repair ${file} RUN --confirm ${normal.name}     repairs them`);
  }
  return EXIT.done;
}
