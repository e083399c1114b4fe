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

/** Two works at once; a failure is told when neither has anything under way any more. */
export async function bothOver<A, B>(one: Promise<A>, other: Promise<B>): Promise<[A, B]> {
  const [first, second] = await Promise.allSettled([one, other]);
  if (first.status === 'rejected') throw first.reason;
  if (second.status === 'rejected') throw second.reason;
  return [first.value, second.value];
}

/** Work on both sides at once, as `bothOver`. */
export async function eachSide<T>(work: (side: Primary) => Promise<T>): Promise<Record<Primary, T>> {
  const [source, target] = await bothOver(work('source'), work('target'));
  return { source, target };
}

/** All that is being opened, closed all at once; if some of it can't be opened, the rest is closed again. */
export async function allOpen<T extends AsyncDisposable[]>(opening: {
  [I in keyof T]: Promise<T[I]>;
}): Promise<T & AsyncDisposable> {
  const opened = await Promise.allSettled<AsyncDisposable>(opening);
  const failed = opened.find((one) => one.status === 'rejected');
  if (failed !== undefined) {
    await closeAll(opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])));
    throw failed.reason;
  }
  const all = await Promise.all(opening);
  return Object.assign(all, { [Symbol.asyncDispose]: () => closeAll(all) });
}

async function closeAll(all: AsyncDisposable[]): Promise<void> {
  await Promise.all(all.map(async (one) => one[Symbol.asyncDispose]()));
}

export async function bothSides(pair: Pair, purpose: string): Promise<Sides> {
  const options = { purpose: `${pair.key} ${purpose}` };
  const [source, target] = await allOpen<[Session, Session]>([
    Session.open('source', pair.database.source, options),
    Session.open('target', pair.database.target, options),
  ]);
  return new Sides(source, target);
}
