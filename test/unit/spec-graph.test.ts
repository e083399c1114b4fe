import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findCycle, order, visitInOrder, waves, type GraphNode } from '../../spec/graph.js';

/** customers ← orders ← reports, and search beside them. */
const SHOP: GraphNode[] = [
  { unit: 'reports', dependsOn: ['orders', 'customers'] },
  { unit: 'orders', dependsOn: ['customers'] },
  { unit: 'search', dependsOn: [] },
  { unit: 'customers', dependsOn: [] },
];

/** Any graph whose edges lead from later to earlier numbers, shuffled: without a cycle by construction. */
const acyclic = fc
  .integer({ min: 1, max: 12 })
  .chain((size) => {
    const nodes = Array.from({ length: size }, (_, index) =>
      fc
        .subarray(Array.from({ length: index }, (_, earlier) => `u${earlier}`))
        .map((dependsOn) => ({ unit: `u${index}`, dependsOn })),
    );
    return fc.tuple(...nodes);
  })
  .chain((nodes) => fc.shuffledSubarray(nodes, { minLength: nodes.length }));

describe('the graph of units', () => {
  test('what is depended on goes first, and what is independent goes at once', () => {
    expect(waves(SHOP)).toEqual([['search', 'customers'], ['orders'], ['reports']]);
  });

  test('undo goes the other way round', () => {
    expect(waves(SHOP, 'back')).toEqual([['reports', 'search'], ['orders'], ['customers']]);
  });

  test('a circle is found and named in the order of its links', () => {
    const nodes = [
      { unit: 'a', dependsOn: ['b'] },
      { unit: 'b', dependsOn: ['c'] },
      { unit: 'c', dependsOn: ['b'] },
    ];
    expect(findCycle(nodes)).toEqual(['b', 'c', 'b']);
    expect(() => waves(nodes)).toThrow('b → c → b');
  });

  test('in every graph without a circle, every unit comes once, after all it depends on, and before them going back', () => {
    fc.assert(
      fc.property(acyclic, (nodes) => {
        expect(findCycle(nodes)).toBeNull();
        const [forward, back] = [order(nodes), order(nodes, 'back')];
        expect([...forward].sort()).toEqual(nodes.map(({ unit }) => unit).sort());
        expect([...back].sort()).toEqual([...forward].sort());
        for (const { unit, dependsOn } of nodes) {
          for (const need of dependsOn) {
            expect(forward.indexOf(need)).toBeLessThan(forward.indexOf(unit));
            expect(back.indexOf(need)).toBeGreaterThan(back.indexOf(unit));
          }
        }
      }),
    );
  });

  test('in every wave no unit depends on another of the same wave', () => {
    fc.assert(
      fc.property(acyclic, (nodes) => {
        const needs = new Map(nodes.map(({ unit, dependsOn }) => [unit, dependsOn]));
        for (const wave of waves(nodes)) {
          expect(wave.some((unit) => needs.get(unit)?.some((need) => wave.includes(need)))).toBe(false);
        }
      }),
    );
  });

  test('a graph with one link turned round has a circle', () => {
    fc.assert(
      fc.property(acyclic, (nodes) => {
        const linked = nodes.find(({ dependsOn }) => dependsOn.length > 0);
        fc.pre(linked !== undefined);
        const [need] = linked?.dependsOn ?? [];
        const turned = nodes.map((node) =>
          node.unit === need ? { ...node, dependsOn: [...node.dependsOn, linked?.unit ?? ''] } : node,
        );
        const cycle = findCycle(turned);
        expect(cycle?.[0]).toBe(cycle?.at(-1));
        expect(cycle?.length).toBeGreaterThan(1);
      }),
    );
  });

  test('a visit begins as soon as all before it are done, without waiting for a slow neighbour', async () => {
    const seen: string[] = [];
    const slow = deferred();
    await visitInOrder(SHOP, 'forward', async (unit) => {
      if (unit === 'search') await slow.promise;
      seen.push(unit);
      if (unit === 'reports') slow.resolve();
    });
    expect(seen).toEqual(['customers', 'orders', 'reports', 'search']);
  });

  test('what depends on a failed unit is not visited, the rest is, and the failure is thrown once all is quiet', async () => {
    const seen: string[] = [];
    const visits = visitInOrder(SHOP, 'forward', async (unit) => {
      await Promise.resolve();
      if (unit === 'orders') throw new Error('orders failed');
      seen.push(unit);
    });
    await expect(visits).rejects.toThrow('orders failed');
    expect(seen.sort()).toEqual(['customers', 'search']);
  });
});

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
