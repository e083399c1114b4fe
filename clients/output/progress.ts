/** Progress of what runs: bars, rates, and how long it still takes. */
import cliProgress from 'cli-progress';
import type { Milliseconds } from '../../spec/normal.js';
import type { Progress } from '../../spec/status.js';
import { bytes, count, duration, rate } from './figures.js';

/** Between 0 and 1; rows and ranges by bytes where they are known, since they differ in size. */
export function fraction(progress: Progress): number {
  const [done, total] = movesBytes(progress)
    ? [progress.bytesDone, progress.bytesTotal]
    : [progress.done, progress.total];
  return total > 0 ? Math.min(1, done / total) : 0;
}

/** Null while no rate is known, and when nothing remains. */
export function remaining(progress: Progress): Milliseconds | null {
  const left = progress.bytesTotal - progress.bytesDone;
  if (!movesBytes(progress) || progress.bytesPerSecond <= 0 || left <= 0) return null;
  return (left / progress.bytesPerSecond) * 1000;
}

/** Indexes are built from bytes that were counted when they were copied. */
function movesBytes({ what, bytesTotal }: Progress): boolean {
  return (what === 'rows' || what === 'ranges') && bytesTotal > 0;
}

export function bar(progress: Progress, width: number): string {
  const options = { ...cliProgress.Presets.shades_classic, barsize: width };
  return cliProgress.Format.BarFormat(fraction(progress), {
    ...options,
    barCompleteString: '█'.repeat(width),
    barIncompleteString: '░'.repeat(width),
    barGlue: '',
  });
}

/** `62 %  3,100,000 of 5,000,000 rows  812 MB of 1.3 GB  94 MB/s  ETA 5s`; `3,100,000 rows` where nobody knows how many there are. */
export function progressText(progress: Progress): string {
  const left = remaining(progress);
  return [
    progress.total > 0 || movesBytes(progress) ? `${Math.floor(fraction(progress) * 100)} %` : null,
    progress.total > 0
      ? `${count(progress.done)} of ${count(progress.total)} ${progress.what}`
      : movesBytes(progress)
        ? null
        : `${count(progress.done)} ${progress.what}`,
    movesBytes(progress) ? `${bytes(progress.bytesDone)} of ${bytes(progress.bytesTotal)}` : null,
    progress.bytesPerSecond > 0 ? rate(progress.bytesPerSecond) : null,
    left === null ? null : `ETA ${duration(left)}`,
  ]
    .filter((part) => part !== null)
    .join('  ');
}
