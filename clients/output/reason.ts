/** Why a migration waits or stopped. */
import type { StatusDocument } from '../../spec/status.js';

/** Its lines without those that only repeat the problem of a unit, which is shown where the unit is. */
export function reasonLines(status: StatusDocument): string[] {
  const problems = status.units.flatMap(({ problem }) => (problem === null ? [] : [problem.message]));
  const lines = status.reason === null ? [] : status.reason.split('\n');
  return lines.filter((line) => !problems.some((message) => line.includes(message)));
}
