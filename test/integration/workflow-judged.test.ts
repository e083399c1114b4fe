/** What metrics decide about a switched database: its probation, and the watch after it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JudgeInput } from '../../spec/verdict.js';
import { gateOf } from '../support/gates.js';
import { Lab, NO_GATES, type Migration, type TestDocument } from '../support/migrations.js';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
});
afterAll(async () => {
  await lab.stop();
});

const GATE = gateOf({ errorRatio: {} });
const LONG_WATCH = { for: 3_600_000, every: 20, validateEvery: null, onFailure: 'hold' } as const;
const CUTOVER = { maxPause: 5_000, maxLag: 5_000, attempts: 3, waitBetweenAttempts: 20, window: null };

/** One database whose switch is on trial for `trial` milliseconds. */
const onTrial = (trial: number, gate = GATE): TestDocument => ({
  ...NO_GATES,
  databases: [
    { name: 'orders', watch: LONG_WATCH, cutover: { ...CUTOVER, probation: { for: trial, every: 20, gates: [gate] } } },
  ],
});

/** Without trial. */
const watched = (gate = GATE): TestDocument => ({
  ...NO_GATES,
  databases: [{ name: 'orders', watch: { ...LONG_WATCH, gates: [gate] } }],
});

const abort = async (migration: Migration): Promise<void> => {
  await migration.send('abort');
  expect((await migration.result()).state).toBe('undone');
  expect(migration.model.broken).toEqual([]);
  expect(migration.model.primaries).toEqual(['source']);
};

describe.concurrent('a probation', () => {
  it('lets the migration go on once the gates were seen to hold for its time', async () => {
    const migration = await lab.migrate(onTrial(60));
    const { units } = await migration.until('watch', ({ stage }) => stage === 'watch');
    expect(units[0]).toMatchObject({ primary: 'target', verdicts: [{ gate: 'error-ratio', decision: 'pass' }] });
    expect(migration.model.count('judge')).toBeGreaterThanOrEqual(3);
    const [call] = migration.model.calls.filter(({ activity }) => activity === 'judge');
    const { at, since, baseline } = call?.input as JudgeInput;
    expect(at).toBeGreaterThan(since);
    expect(baseline?.to).toBeLessThanOrEqual(since - 5_000);
    await abort(migration);
  });

  it('sends the writes back by itself at a breach, and says why', async () => {
    const migration = await lab.migrate(onTrial(600_000), (model) => void (model.judged = 'fail'));
    const { units, messages } = await migration.reaches('rolled-back');
    expect(migration.model.primaries).toEqual(['source']);
    expect(messages.at(-1)).toMatchObject({
      name: 'rollback',
      by: 'cutover.probation',
      reason: 'error-ratio: the model says: fail',
    });
    expect(units[0]).toMatchObject({ primary: 'source', verdicts: [{ decision: 'fail' }] });

    migration.model.judged = 'pass';
    await migration.send('set', { path: 'databases.orders.cutover.probation.for', value: '20ms' });
    await migration.send('switch');
    await migration.until('watch', ({ stage }) => stage === 'watch');
    expect(migration.model.primaries).toEqual(['target']);
    await abort(migration);
  });

  it('without evidence neither goes on nor back, until a person says so', async () => {
    const migration = await lab.migrate(onTrial(60), (model) => void (model.judged = 'hold'));
    await migration.until('the note', ({ reason }) => reason?.includes('is not proven: error-ratio') === true);
    const looks = migration.model.count('judge');
    await migration.untilFact('more looks', () => Promise.resolve(migration.model.count('judge') > looks + 5), 30_000);
    expect((await migration.status()).stage).toBe('switch');
    expect(migration.model.primaries).toEqual(['target']);
    await migration.send('set', { path: 'databases.orders.cutover.probation.for', value: '0s' });
    await migration.until('watch', ({ stage }) => stage === 'watch');
    await abort(migration);
  });

  it('whose gate says hold asks a person, and goes on by itself once it passes', async () => {
    const holding = { ...GATE, onFailure: 'hold' } as const;
    const migration = await lab.migrate(onTrial(60, holding), (model) => void (model.judged = 'fail'));
    const { units } = await migration.reaches('needs-attention');
    expect(units[0]?.problem).toMatchObject({ type: 'GateFailed', message: 'error-ratio: the model says: fail' });
    expect(migration.model.primaries).toEqual(['target']);
    migration.model.judged = 'pass';
    await migration.until('watch', ({ stage, state }) => stage === 'watch' && state === 'running');
    await abort(migration);
  });

  it('can be aborted and rolled back like everything else', async () => {
    const migration = await lab.migrate(onTrial(600_000));
    await migration.until('the trial', ({ units }) => units[0]?.phase === 'probation');
    await migration.send('rollback', { by: 'ana' });
    await migration.reaches('rolled-back');
    await abort(migration);
  });

  it('outlives a judge that can not be reached', async () => {
    const migration = await lab.migrate(onTrial(60), (model) => model.fail('judge', 'InvalidSpec', 'no judge', 3));
    await migration.until('watch', ({ stage }) => stage === 'watch');
    expect(migration.model.count('judge')).toBeGreaterThanOrEqual(6);
    await abort(migration);
  });
});

describe.concurrent('the gates of a watch', () => {
  it('send the writes back at a breach', async () => {
    const migration = await lab.migrate(watched());
    await migration.until('watch', ({ units }) => units[0]?.verdicts !== undefined);
    migration.model.judged = 'fail';
    const { messages } = await migration.reaches('rolled-back');
    expect(messages.at(-1)).toMatchObject({ name: 'rollback', by: 'watch.gates' });
    expect(migration.model.primaries).toEqual(['source']);
    await abort(migration);
  });

  it('that hold wait for a person, and go on by themselves', async () => {
    const migration = await lab.migrate(watched({ ...GATE, onFailure: 'hold' }));
    await migration.until('watch', ({ stage }) => stage === 'watch');
    migration.model.judged = 'fail';
    expect((await migration.reaches('needs-attention')).units[0]?.problem?.type).toBe('GateFailed');
    migration.model.judged = 'pass';
    await migration.reaches('running');
    await abort(migration);
  });

  it('without evidence make no time count as watched', async () => {
    const document = watched();
    const [orders] = document.databases ?? [];
    if (orders !== undefined) orders.watch = { ...LONG_WATCH, for: 60, gates: [GATE] };
    const migration = await lab.migrate(document, (model) => void (model.judged = 'hold'));
    await migration.until('the note', ({ reason }) => reason?.includes('is not proven') === true);
    const looks = migration.model.count('judge');
    await migration.untilFact('more looks', () => Promise.resolve(migration.model.count('judge') > looks + 5), 30_000);
    expect((await migration.status()).stage).toBe('watch');
    migration.model.judged = 'pass';
    expect((await migration.result()).state).toBe('migrated');
  });
});
