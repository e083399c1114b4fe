/** Both databases of one move, open at once. */
import type { SecretReference } from '../../spec/normal.js';
import type { Primary } from '../../spec/status.js';
import { Session } from './session.js';

/** Two databases, and the name that sessions on them carry in pg_stat_activity. */
export interface Pair {
  key: string;
  database: Record<Primary, SecretReference>;
}

export class Sides {
  constructor(
    readonly source: Session,
    readonly target: Session,
  ) {}

  of(side: Primary): Session {
    return side === 'source' ? this.source : this.target;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.source.close(), this.target.close()]);
  }
}

export const otherSide = (side: Primary): Primary => (side === 'source' ? 'target' : 'source');

/** Opens both sides; if one can't be reached, the other is closed again. */
export async function bothSides(pair: Pair, purpose: string): Promise<Sides> {
  const options = { purpose: `${pair.key} ${purpose}` };
  const [source, target] = await Promise.allSettled([
    Session.open('source', pair.database.source, options),
    Session.open('target', pair.database.target, options),
  ]);
  if (source.status === 'fulfilled' && target.status === 'fulfilled') return new Sides(source.value, target.value);
  if (source.status === 'fulfilled') await source.value.close();
  if (target.status === 'fulfilled') await target.value.close();
  throw source.status === 'rejected' ? source.reason : (target as PromiseRejectedResult).reason;
}
