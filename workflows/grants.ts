import { PLATFORMS, type Platform, type SideGrants } from '../spec/grants.js';
import { sideGrants } from './inspection.js';
import { invalid } from './phase.js';
import { reading } from './reading.js';

/** Input: the document, or `{document, migration?, platform?}`. Reads only: what an administrator runs on each side. */
export async function grants(input: unknown): Promise<SideGrants[]> {
  const platform = platformIn(input);
  return reading(input, (control) => sideGrants(control, platform));
}

function platformIn(input: unknown): Platform | null {
  if (typeof input !== 'object' || input === null || !('platform' in input)) return null;
  const known = PLATFORMS.find((one) => one === input.platform);
  if (known === undefined) throw invalid(`expected one of ${PLATFORMS.join(', ')} as platform`);
  return known;
}
