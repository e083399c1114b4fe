import { describe, expect, test } from 'vitest';
import { assemblePlan } from '../../activities/plan/assemble.js';
import type { PlanPart } from '../../activities/contract.js';
import type { NormalMigration } from '../../spec/normal.js';
import { normalizeMigration } from '../../spec/normalize.js';
import { STAGES, unitRef } from '../../spec/units.js';

function shop(gates: object = {}): NormalMigration {
  const answer = normalizeMigration({
    apiVersion: 'godwit.dev/v1alpha1',
    kind: 'Migration',
    metadata: { name: 'shop' },
    spec: {
      databases: {
        orders: { source: { url: { env: 'A' } }, target: { url: { env: 'B' } }, dependsOn: ['database/customers'] },
        customers: { source: { url: { env: 'C' } }, target: { url: { env: 'D' } } },
      },
      gates,
    },
  });
  if (!answer.ok) throw new Error('the sample is wrong');
  return answer.normal;
}

function part(
  name: string,
  change: { seconds?: number; signature?: string; system?: string; bytes?: number } = {},
): PlanPart {
  const unit = unitRef('database', name);
  const side = { systemIdentifier: change.system ?? `system-${name}`, serverVersion: '15.6', database: name };
  return {
    facts: {
      unit,
      source: side,
      target: { ...side, systemIdentifier: `target-${name}` },
      tables: 3,
      bytes: change.bytes ?? 1_000,
      rowsEstimate: 10,
      schemaSignature: change.signature ?? 'abc',
    },
    steps: [...STAGES].reverse().flatMap((stage) =>
      ['one', 'two'].map((title) => ({
        unit,
        stage,
        title: `${stage} ${title}`,
        touches: [],
        undo: stage === 'finalize' ? null : 'back',
        estimate: { seconds: change.seconds ?? 1, basis: 'measured' },
      })),
    ),
    findings: [],
  };
}

const parts = (change = {}): PlanPart[] => [part('orders', change), part('customers')];

describe('a plan', () => {
  test('goes stage by stage, what is depended on first, and keeps the order within a unit', async () => {
    const { steps } = await assemblePlan({ normal: shop(), parts: parts() });
    expect(steps.map(({ seq }) => seq)).toEqual(steps.map((_, index) => index + 1));
    expect(steps.slice(0, 4).map(({ unit, title }) => `${unit} ${title}`)).toEqual([
      'database/customers prepare one',
      'database/customers prepare two',
      'database/orders prepare one',
      'database/orders prepare two',
    ]);
    expect([...new Set(steps.map(({ stage }) => stage))]).toEqual(STAGES);
  });

  test('shows each gate once, before the first step that waits for it', async () => {
    const { steps } = await assemblePlan({
      normal: shop({ 'switch:database/orders': { approvals: 2 } }),
      parts: parts(),
    });
    const gated = steps.filter(({ gate }) => gate !== null).map(({ gate, unit, title }) => [gate, unit, title]);
    expect(gated).toEqual([
      ['switch', 'database/customers', 'switch one'],
      ['switch:database/orders', 'database/orders', 'switch one'],
      ['finalize', 'database/customers', 'finalize one'],
    ]);
  });

  test('has the same digest whenever it is made of the same, whatever the order of the parts, sizes and estimates', async () => {
    const one = await assemblePlan({ normal: shop(), parts: parts() });
    const other = await assemblePlan({ normal: shop(), parts: parts({ seconds: 99, bytes: 5 }).reverse() });
    expect(one.digest).toMatch(/^[0-9a-f]{64}$/);
    expect(other.digest).toBe(one.digest);
  });

  test.each([
    ['another spec', shop({ switch: { approvals: 3 } }), parts()],
    ['another server', shop(), parts({ system: 'elsewhere' })],
    ['another schema', shop(), parts({ signature: 'def' })],
  ])('has another digest for %s', async (_, normal, changed) => {
    const before = await assemblePlan({ normal: shop(), parts: parts() });
    expect((await assemblePlan({ normal, parts: changed })).digest).not.toBe(before.digest);
  });

  test('is refused when a unit is missing', async () => {
    await expect(assemblePlan({ normal: shop(), parts: [part('orders')] })).rejects.toThrow(
      'no part for database/customers',
    );
  });
});
