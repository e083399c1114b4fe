import { listReview, type ReviewItem } from '../../activities/reconciliation/review.js';
import type { NormalReconciliation } from '../../spec/reconciliation.js';
import { withTemporal } from '../connection.js';
import { readingDatabases } from '../databases.js';
import { EXIT, type ExitCode } from '../exit.js';
import type { GlobalFlags, OutputFlags } from '../flags.js';
import { print } from '../output/document.js';
import { plural } from '../output/figures.js';
import { reviewTable } from '../output/review.js';
import { runList, runText } from '../output/run.js';
import { scheduleTable } from '../output/schedule.js';
import { listRuns } from '../runs.js';
import { listSchedules } from '../schedules.js';
import { reconciliationOf } from '../specification.js';
import type { Terminal } from '../terminal.js';

export interface ReconcileStatusOptions extends GlobalFlags, OutputFlags {
  limit: number;
}

const SHOWN_ITEMS = 10;

export async function reconcileStatus(
  terminal: Terminal,
  file: string,
  options: ReconcileStatusOptions,
): Promise<ExitCode> {
  const { normal } = await reconciliationOf(terminal, file);
  const { colours } = terminal;
  return withTemporal(options, terminal.env, async (temporal) => {
    const [runs, schedules, waiting] = await Promise.all([
      listRuns(temporal, { name: normal.name, limit: options.limit }),
      listSchedules(temporal, normal.name),
      waitingItems(normal),
    ]);
    const ended = runs.find(({ summary }) => summary?.outcome === 'done')?.summary ?? null;
    const document = { name: normal.name, runs, schedules, review: waiting.ok ? waiting.items : null };
    await print(terminal, options.output, document, (wide) => {
      const look = { colours, now: new Date(), wide };
      const sections = [
        `${colours.bold(normal.name)}  ${ended === null ? 'no run has ended yet' : runText(ended, colours, file)}`,
        runs.length === 0 ? '' : runList(runs, look),
        schedules.length === 0 ? `no schedules: godwit schedule create ${file}` : scheduleTable(schedules, look),
        waiting.ok ? itemsText(waiting.items, wide, look) : colours.yellow(waiting.why),
      ];
      return sections.filter((section) => section !== '').join('\n\n');
    });
    return EXIT.done;
  });
}

type Waiting = { ok: true; items: ReviewItem[] } | { ok: false; why: string };

/** The rest is worth showing where the target can't be reached from here. */
async function waitingItems(normal: NormalReconciliation): Promise<Waiting> {
  try {
    return { ok: true, items: await readingDatabases(() => listReview(normal, { states: ['waiting'] })) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ok: false, why: `what waits for a person can't be told from here: ${message}` };
  }
}

function itemsText(items: ReviewItem[], wide: boolean, look: Parameters<typeof reviewTable>[1]): string {
  if (items.length === 0) return 'nothing waits for a person';
  const shown = wide ? items : items.slice(0, SHOWN_ITEMS);
  const more = items.length > shown.length ? `\n… of ${plural(items.length, 'item')} that wait` : '';
  return `${reviewTable(shown, look)}${more}`;
}
