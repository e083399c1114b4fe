/** `godwit list`. */
import type { MigrationSummary } from '../migrations.js';
import type { Colours } from '../terminal.js';
import { ago } from './figures.js';
import { paintState } from './states.js';
import { table } from './table.js';

export function listText(found: MigrationSummary[], look: { colours: Colours; now: Date; wide: boolean }): string {
  const { colours, now, wide } = look;
  const rows = found.map((migration) => [
    migration.id,
    paintState(shownState(migration), colours),
    migration.stage ?? '-',
    ago(migration.startedAt, now),
    ...(wide
      ? [
          migration.closedAt === null ? '-' : ago(migration.closedAt, now),
          String(migration.historyEvents),
          migration.runId,
        ]
      : []),
  ]);
  return table(['ID', 'STATE', 'STAGE', 'STARTED', ...(wide ? ['ENDED', 'EVENTS', 'RUN'] : [])], rows, colours);
}

/** A terminated workflow can't say so itself: its last state would look alive. */
function shownState({ state, execution }: MigrationSummary): string {
  const lives = execution === 'RUNNING' || execution === 'PAUSED' || execution === 'COMPLETED';
  return lives && state !== null ? state : execution.toLowerCase().replaceAll('_', ' ');
}
