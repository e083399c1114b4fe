/** A component may come from several places; they are tried in order, and what failed is told when none is left. */
import type { OnProgress, SetupStep } from './progress.js';
import { reported } from './progress.js';

/** One place to get a component from. */
export interface Source {
  /** Reads like the end of "tried …": "apt-get install postgresql". */
  title: string;
  /** Absent: instant, so not worth a line of progress. */
  expected?: string;
  /** Null: not there, or not applicable here. Throws: tried and failed. */
  get: () => Promise<string | null>;
}

export class ComponentMissing extends Error {
  override readonly name = 'ComponentMissing';

  constructor(component: string, tried: string[], install: string) {
    super(`${component} is missing, and could not be had. Tried:\n${tried.join('\n')}\nInstall it by hand: ${install}`);
  }
}

/** The first source that has it. Fails with `ComponentMissing`. */
export async function firstOf(
  component: string,
  sources: Source[],
  install: string,
  onProgress: OnProgress,
): Promise<string> {
  const tried: string[] = [];
  for (const source of sources) {
    try {
      const found = await (source.expected === undefined
        ? source.get()
        : reported(onProgress, stepOf(source.title, source.expected), source.get));
      if (found !== null) return found;
      tried.push(`  - ${source.title}: not there`);
    } catch (error) {
      tried.push(`  - ${source.title}: ${shortly(error)}`);
    }
  }
  throw new ComponentMissing(component, tried, install);
}

const stepOf = (title: string, expected: string): SetupStep => ({ title, expected });

/** The last lines of what a tool said are what explains its failure. */
function shortly(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.length <= 4 ? lines.join(' | ') : [lines[0], '…', ...lines.slice(-3)].join(' | ');
}
