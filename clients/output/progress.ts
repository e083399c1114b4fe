/** Progress of what runs: bars, rates, and how long it still takes. */
import cliProgress from 'cli-progress';
import type { Milliseconds } from '../../spec/normal.js';
import type { Progress } from '../../spec/status.js';
import { bytes, count, duration, rate } from './figures.js';

/** Between 0 and 1; by bytes where they are known, since rows differ in size. */
export function fraction(progress: Progress): number {
  const [done, total] =
    progress.bytesTotal > 0 ? [progress.bytesDone, progress.bytesTotal] : [progress.done, progress.total];
  return total > 0 ? Math.min(1, done / total) : 0;
}

/** Null while no rate is known. */
export function remaining(progress: Progress): Milliseconds | null {
  if (progress.bytesPerSecond <= 0 || progress.bytesTotal <= 0) return null;
  return (Math.max(0, progress.bytesTotal - progress.bytesDone) / progress.bytesPerSecond) * 1000;
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

/** `62 %  3,100,000 of 5,000,000 rows  812 MB of 1.3 GB  94 MB/s  ETA 5s`. */
export function progressText(progress: Progress): string {
  const left = remaining(progress);
  return [
    `${Math.floor(fraction(progress) * 100)} %`,
    `${count(progress.done)} of ${count(progress.total)} ${progress.what}`,
    progress.bytesTotal > 0 ? `${bytes(progress.bytesDone)} of ${bytes(progress.bytesTotal)}` : null,
    progress.bytesPerSecond > 0 ? rate(progress.bytesPerSecond) : null,
    left === null ? null : `ETA ${duration(left)}`,
  ]
    .filter((part) => part !== null)
    .join('  ');
}
