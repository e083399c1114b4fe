/** Gates and messages: who may let a switch begin, and that nothing that is sent can harm. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultPayloadConverter } from '@temporalio/common';
import { MESSAGE_NAMES } from '../../spec/messages.js';
import { gate, Lab } from '../support/migrations.js';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
});
afterAll(async () => {
  await lab.stop();
});

describe.concurrent('a gate', () => {
  it('of two approvals needs two different people', async () => {
    const migration = await lab.migrate({ gates: [gate('switch', { approvals: 2 })] });
    await migration.reachesGate('switch');
    await migration.approve('switch', 'ana');
    await migration.approve('switch', 'ana');
    const waiting = await migration.status();
    expect(waiting.state).toBe('awaiting-approval');
    expect(waiting.gates[0]).toMatchObject({ needed: 2, confirm: 'move-shop', approvals: [{ by: 'ana' }] });
    await migration.approve('switch', 'ben');
    expect((await migration.result()).state).toBe('migrated');
  });

  it('counts approvals that came before it was reached, while they are valid', async () => {
    let lever = { reached: Promise.resolve(), release: (): void => undefined };
    const migration = await lab.migrate(
      { gates: [gate('switch')] },
      (model) => void (lever = model.hold('copyRanges')),
    );
    await lever.reached;
    await migration.approve('switch');
    lever.release();
    expect((await migration.result()).state).toBe('migrated');
  });

  it('does not count an approval that has expired', async () => {
    const migration = await lab.migrate({ gates: [gate('switch', { approvals: 2, validFor: 300 })] });
    await migration.reachesGate('switch');
    const first = await migration.approve('switch', 'ana');
    await migration.until('the expiry', () => Date.now() > Date.parse(first.at) + 400);
    await migration.approve('switch', 'ben');
    expect((await migration.status()).state).toBe('awaiting-approval');
    expect(migration.model.count('switchWrites')).toBe(0);
    await migration.send('abort');
    await migration.result();
  });

  it('refuses a wrong digest, a wrong name, an unknown gate, and one that is passed or off', async () => {
    const migration = await lab.migrate({ gates: [gate('switch'), gate('finalize', { approvals: 0 })] });
    const { planDigest } = await migration.reachesGate('switch');
    const approval = { gate: 'switch', confirm: 'move-shop', by: 'ana' };
    expect(await migration.refused('approve', { ...approval, digest: 'sha256:old' })).toContain(
      'the plan of this migration',
    );
    expect(await migration.refused('approve', { ...approval, confirm: 'yes' })).toContain('move-shop');
    expect(await migration.refused('approve', { ...approval, gate: 'lunch' })).toContain('there is no gate lunch');
    expect(await migration.refused('approve', { ...approval, gate: 'finalize' })).toContain('is off');
    expect(migration.model.count('switchWrites')).toBe(0);
    const lever = migration.model.hold('switchWrites');
    await migration.send('approve', { ...approval, digest: planDigest });
    await lever.reached;
    expect(await migration.refused('approve', approval)).toContain('has been passed');
    lever.release();
    expect((await migration.result()).state).toBe('migrated');
  });
});

describe.concurrent('a message', () => {
  const garbage: unknown[] = [7, 'now', [1, 2], { by: 5 }, { unit: {} }, { unit: 'database/nothing' }, { reason: [] }];

  for (const name of MESSAGE_NAMES) {
    it(`${name} full of garbage is noted and changes nothing`, async () => {
      const migration = await lab.migrate();
      await migration.reachesGate('switch');
      for (const payload of garbage) await migration.signal(name, payload);
      const { messages, state } = await migration.until(
        'all of it',
        (status) => status.messages.length === garbage.length,
      );
      expect(messages.every(({ outcome }) => outcome.startsWith('refused: '))).toBe(true);
      expect(state).toBe('awaiting-approval');
      await migration.send('abort');
      expect((await migration.result()).state).toBe('undone');
    });
  }

  it('whose bytes cannot be decoded, or that nobody knows, is noted and changes nothing', async () => {
    const migration = await lab.migrate();
    await migration.reachesGate('switch');
    await rawSignal(migration.id, 'abort', 'json/plain', '{"by": ');
    await rawSignal(migration.id, 'pause', 'binary/martian', 'zzz');
    await migration.handle.signal('explode', { now: true });
    const { messages, state } = await migration.until('all three', (status) => status.messages.length === 3);
    expect(messages.map(({ outcome }) => outcome)).toEqual([
      expect.stringContaining('refused'),
      expect.stringContaining('refused'),
      'refused: there is no message explode',
    ]);
    expect(state).toBe('awaiting-approval');
    await migration.send('abort');
    await migration.result();
  });

  it('that makes no sense now is refused at once with the reason', async () => {
    const migration = await lab.migrate();
    await migration.reachesGate('switch');
    expect(await migration.refused('rollback')).toBe(
      'nothing has been switched; use `abort` to undo what was prepared',
    );
    expect(await migration.refused('resume')).toContain('not paused');
    expect(await migration.refused('retry')).toBe('nothing needs attention');
    expect(await migration.refused('switch')).toContain('not rolled back');
    expect(await migration.refused('set', { path: 'spec.databases.orders.source', value: 'x' })).toContain(
      "can't be changed",
    );
    expect(await migration.refused('pause', { unit: 'database/nothing' })).toContain('there is database/orders');
    await migration.send('abort');
    await migration.result();
    await expect(migration.send('pause')).rejects.toThrow();
  });

  it('without a payload, with a null one, or repeated, is taken', async () => {
    const migration = await lab.migrate();
    await migration.reachesGate('switch');
    await migration.signal('pause');
    await migration.signal('pause', null);
    await migration.reaches('paused');
    await migration.signal('resume');
    await migration.reaches('awaiting-approval');
    await migration.signal('abort');
    await migration.signal('abort');
    expect((await migration.result()).state).toBe('undone');
  });
});

async function rawSignal(id: string, name: string, encoding: string, data: string): Promise<void> {
  const { metadata } = defaultPayloadConverter.toPayload('') ?? {};
  const payload = { metadata: { ...metadata, encoding: Buffer.from(encoding) }, data: Buffer.from(data) };
  await lab.client.workflowService.signalWorkflowExecution({
    namespace: 'default',
    workflowExecution: { workflowId: id },
    signalName: name,
    input: { payloads: [payload] },
  });
}
