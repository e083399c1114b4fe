/**
 * The graph of units: what must come before what. Pure, and free of Node's APIs, since workflows run it; the order of
 * its answers follows the order of its input, so that a replay sees the same.
 */

export interface GraphNode<Name extends string = string> {
  unit: Name;
  /** Units that go first. Each must be a node of the same graph. */
  dependsOn: readonly Name[];
}

/** `forward`: what is depended on goes first. `back`: it goes last, as undo needs it. */
export type Direction = 'forward' | 'back';

/** One way round, as `[a, b, a]` for "a depends on b, which depends on a"; null: there is none. */
export function findCycle<Name extends string>(nodes: readonly GraphNode<Name>[]): Name[] | null {
  const before = new Map(nodes.map((node) => [node.unit, node.dependsOn]));
  const cleared = new Set<Name>();

  const walk = (unit: Name, trail: readonly Name[]): Name[] | null => {
    const met = trail.indexOf(unit);
    if (met >= 0) return [...trail.slice(met), unit];
    if (cleared.has(unit)) return null;
    for (const next of before.get(unit) ?? []) {
      const cycle = walk(next, [...trail, unit]);
      if (cycle !== null) return cycle;
    }
    cleared.add(unit);
    return null;
  };

  for (const { unit } of nodes) {
    const cycle = walk(unit, []);
    if (cycle !== null) return cycle;
  }
  return null;
}

/** Units by wave: everything in one wave may go at once, after all waves before it. Throws on a cycle. */
export function waves<Name extends string>(
  nodes: readonly GraphNode<Name>[],
  direction: Direction = 'forward',
): Name[][] {
  const before = predecessors(nodes, direction);
  const placed = new Set<Name>();
  const result: Name[][] = [];
  while (placed.size < before.size) {
    const wave = [...before]
      .filter(([unit, needs]) => !placed.has(unit) && needs.every((need) => placed.has(need)))
      .map(([unit]) => unit);
    if (wave.length === 0) throw new Error(`the graph has a cycle: ${(findCycle(nodes) ?? []).join(' → ')}`);
    for (const unit of wave) placed.add(unit);
    result.push(wave);
  }
  return result;
}

/** All units, one after the other. Throws on a cycle. */
export function order<Name extends string>(
  nodes: readonly GraphNode<Name>[],
  direction: Direction = 'forward',
): Name[] {
  return waves(nodes, direction).flat();
}

/**
 * Visits every unit as soon as all that goes before it has been visited, at once where the graph allows: unlike
 * waves, a slow unit holds up only what depends on it. A unit whose predecessor failed isn't visited. Once nothing
 * runs any more, throws the first failure, by the order of the graph. Throws at once on a cycle.
 */
export async function visitInOrder<Name extends string>(
  nodes: readonly GraphNode<Name>[],
  direction: Direction,
  visit: (unit: Name) => Promise<void>,
): Promise<void> {
  const before = predecessors(nodes, direction);
  const visits = new Map<Name, Promise<Outcome>>();
  const sorted = order(nodes, direction);
  for (const unit of sorted) {
    // In this order every predecessor's visit is already in the map.
    const needed = (before.get(unit) ?? []).flatMap((need) => visits.get(need) ?? []);
    visits.set(
      unit,
      after(needed, () => visit(unit)),
    );
  }
  const outcomes = await Promise.all(visits.values());
  const failed = outcomes.find((outcome) => outcome.kind === 'failed');
  if (failed !== undefined) throw failed.error;
}

type Outcome = { kind: 'done' } | { kind: 'skipped' } | { kind: 'failed'; error: unknown };

async function after(needed: Promise<Outcome>[], visit: () => Promise<void>): Promise<Outcome> {
  const outcomes = await Promise.all(needed);
  if (outcomes.some((outcome) => outcome.kind !== 'done')) return { kind: 'skipped' };
  try {
    await visit();
    return { kind: 'done' };
  } catch (error) {
    return { kind: 'failed', error };
  }
}

/** Who goes right before whom, in the order of `nodes`. Units that the graph lacks are left out. */
function predecessors<Name extends string>(nodes: readonly GraphNode<Name>[], direction: Direction): Map<Name, Name[]> {
  const before = new Map(nodes.map((node): [Name, Name[]] => [node.unit, []]));
  for (const { unit, dependsOn } of nodes) {
    for (const need of dependsOn) {
      if (!before.has(need)) continue;
      if (direction === 'forward') before.get(unit)?.push(need);
      else before.get(need)?.push(unit);
    }
  }
  return before;
}
