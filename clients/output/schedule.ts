/** Schedules of reconciliations: as a list, and one as a page. */
import type { ListedSchedule, ScheduledRun, ShownSchedule } from '../schedules.js';
import type { Colours } from '../terminal.js';
import { ago, count, duration } from './figures.js';
import { outcomeText } from './run.js';
import { pairs, table } from './table.js';

interface Look {
  colours: Colours;
  now: Date;
}

export function scheduleTable(schedules: ListedSchedule[], { colours, now }: Look): string {
  const rows = schedules.map(({ id, paused, nextAt, last, note }) => [
    id,
    paused ? colours.yellow('paused') : 'active',
    nextAt === null ? '-' : until(nextAt, now),
    last === null ? '-' : ago(last.scheduledAt, now),
    last === null ? '-' : outcomeOf(last, colours),
    note ?? '',
  ]);
  return table(['SCHEDULE', 'STATE', 'NEXT', 'LAST', 'OUTCOME', 'NOTE'], rows, colours);
}

export function scheduleText(shown: ShownSchedule, { colours }: Pick<Look, 'colours'>): string {
  const { id, paused, note, rhythm, timeZone, jitter, overlap, catchUpWindow, next, runs, counts } = shown;
  const state = paused ? colours.yellow('paused') : colours.green('active');
  const facts = pairs(
    [
      ['  rhythm', `${rhythm.join(', ')} (${timeZone})`],
      ['  jitter', jitter ?? 'none'],
      ['  overlap', overlap],
      ['  catch-up window', duration(catchUpWindow)],
      [
        '  so far',
        `${count(counts.started)} started, ${count(counts.skipped)} skipped, ${count(counts.missed)} missed`,
      ],
      ['  next', next.length === 0 ? '-' : next.slice(0, 3).map(plain).join(', ')],
    ],
    colours,
  );
  const list = table(
    ['SCHEDULED', 'OUTCOME', 'REMAIN', 'TOOK', 'ID'],
    runs.map((run) => [
      plain(run.scheduledAt),
      outcomeOf(run, colours),
      run.summary === null ? '-' : count(run.summary.remaining),
      run.summary === null ? '-' : duration(run.summary.tookMs),
      run.id,
    ]),
    colours,
  );
  const heading = `${colours.bold(id)}  ${state}${note === null ? '' : `  ${colours.dim(note)}`}`;
  return [`${heading}\n${facts}`, runs.length === 0 ? 'no run yet' : list].join('\n\n');
}

function outcomeOf(run: ScheduledRun, colours: Colours): string {
  return outcomeText({ ...run, state: null, level: null, run: null }, colours);
}

function until(iso: string, now: Date): string {
  const ms = new Date(iso).getTime() - now.getTime();
  return ms < 1_000 ? 'now' : `in ${duration(ms)}`;
}

const plain = (iso: string): string => iso.replace(/\.\d+Z$/, 'Z');
