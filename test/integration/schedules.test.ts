/** Schedules of reconciliations on a real Temporal server, made by the command line and by Temporal's own CLI. */
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ListedSchedule, ShownSchedule } from '../../clients/schedules.js';
import { finding } from '../support/model-reconciliation.js';
import { ReconciliationLab, untilFact } from '../support/reconciliations.js';

let lab: ReconciliationLab;
const made: string[] = [];
beforeAll(async () => {
  lab = await ReconciliationLab.start();
});
afterAll(async () => {
  for (const id of made)
    await lab.client.schedule
      .getHandle(id)
      .delete()
      .catch(() => undefined);
  await lab.stop();
});

/** Once a year, so that nothing starts by itself; what a test starts, it triggers. */
const RARELY = { quick: { cron: '0 4 29 2 *', jitter: '0s' } };

async function create(file: string, name: string, ...words: string[]) {
  made.push(...['quick', 'comprehensive', 'deep', 'business', 'nightly'].map((one) => `${name}-${one}`));
  const { exitCode, stdout, stderr } = await lab.cli([
    'schedule',
    'create',
    file,
    '--task-queue',
    lab.queues.light,
    ...words,
  ]);
  expect(stderr).not.toContain('error:');
  expect(exitCode).toBe(0);
  return { stdout, stderr };
}

async function show(id: string): Promise<ShownSchedule> {
  const { stdout } = await lab.cli(['schedule', 'show', id, '-o', 'json']);
  return JSON.parse(stdout) as ShownSchedule;
}

const schedule = (id: string) => lab.client.schedule.getHandle(id);

describe.concurrent('godwit schedule create', () => {
  it('makes four rhythms where the file names none, and says that there are no business rules', async () => {
    const { file, name } = await lab.reconciliation();
    const { stderr } = await create(file, name, '--paused');
    expect(stderr).toContain('The level business has no rules to look at yet');
    const quick = await show(`${name}-quick`);
    expect(quick).toMatchObject({ rhythm: ['every 15m'], overlap: 'skip', catchUpWindow: 3_600_000, paused: true });
    expect(await show(`${name}-comprehensive`)).toMatchObject({ rhythm: ['every 4h'], jitter: '5m' });
    expect(await show(`${name}-deep`)).toMatchObject({ rhythm: ['at 0 2 * * *'], timeZone: 'UTC' });
    expect(await show(`${name}-business`)).toMatchObject({ rhythm: ['at 0 3 * * 0'] });
    const { action } = await schedule(`${name}-deep`).describe();
    expect(action).toMatchObject({ workflowType: 'reconciliation', args: [{ level: 'deep', scheduled: true }] });
  });

  it('takes calendars in their time zone, and tells the next runs', async () => {
    const spec = {
      schedules: { nightly: { level: 'deep' as const, cron: '30 2 1 * *', timeZone: 'Asia/Tokyo', jitter: '0s' } },
    };
    const { file, name } = await lab.reconciliation(spec);
    await create(file, name);
    const { next, timeZone } = await show(`${name}-nightly`);
    expect(timeZone).toBe('Asia/Tokyo');
    expect(next[0]).toMatch(/T17:30:00\.000Z$/);
    const text = await lab.cli(['schedule', 'show', `${name}-nightly`]);
    expect(text.stdout).toContain('at 30 2 1 * * (Asia/Tokyo)');
  });

  it('again brings it up to date, leaves a pause, and names what the file no longer has', async () => {
    const { file, name, document } = await lab.reconciliation({
      schedules: { quick: { every: '1h' }, deep: { every: '24h' } },
    });
    await create(file, name, '--paused');
    await untilFact('the list', async () => (await lab.cli(['schedule', 'list'])).stdout.includes(`${name}-deep`));
    const changed = {
      ...document,
      spec: { ...document.spec, schedules: { quick: { every: '2h', overlap: 'buffer-one' } } },
    };
    await writeFile(file, JSON.stringify(changed));
    const { stdout, stderr } = await create(file, name);
    expect(stdout).toMatch(/-quick +quick +paused +updated/);
    expect(stderr).toContain(`godwit schedule delete ${name}-deep`);
    expect(await show(`${name}-quick`)).toMatchObject({ rhythm: ['every 2h'], overlap: 'buffer-one', paused: true });
    const { action } = await schedule(`${name}-quick`).describe();
    expect(action.args?.[0]).toMatchObject({ document: { spec: { schedules: { quick: { every: '2h' } } } } });
  });

  it('refuses to replace a schedule of something else', async () => {
    const { file, name } = await lab.reconciliation({ schedules: RARELY });
    made.push(`${name}-quick`);
    await lab.client.schedule.create({
      scheduleId: `${name}-quick`,
      spec: {},
      action: { type: 'startWorkflow', workflowType: 'report', taskQueue: 'theirs' },
      state: { paused: true },
    });
    const refused = await lab.cli(['schedule', 'create', file]);
    expect(refused).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('starts no reconciliation') as string,
    });
    const deleted = await lab.cli(['schedule', 'delete', `${name}-quick`]);
    expect(deleted).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('there is no schedule') as string });
    expect((await schedule(`${name}-quick`).describe()).action.workflowType).toBe('report');
  });
});

describe.concurrent('a schedule', () => {
  it('triggers runs that wait for nobody, and shows what they came to', async () => {
    const { file, name, model } = await lab.reconciliation({ schedules: RARELY });
    await create(file, name);
    model.found = [finding({ count: 7 })];
    const id = `${name}-quick`;
    await lab.cli(['schedule', 'trigger', id]);
    await untilFact('its outcome', async () => (await show(id)).runs[0]?.summary !== null && model.runs().length > 0);
    expect(model.runs()).toMatchObject([{ level: 'quick', scheduled: true }]);
    model.fail('reconcile', 'PermissionDenied', 'the role may not read shop.orders');
    await lab.cli(['schedule', 'trigger', id]);
    await untilFact('its failure', async () => (await show(id)).runs[0]?.failure !== null && model.runs().length > 1);
    const [failed, first] = (await show(id)).runs;
    expect(failed).toMatchObject({ execution: 'FAILED', failure: 'the role may not read shop.orders' });
    expect(first).toMatchObject({ execution: 'COMPLETED', summary: { verdict: 'different', remaining: 7 } });
    const text = await lab.cli(['schedule', 'show', id]);
    expect(text.stdout).toMatch(/failed: the role may not read shop\.orders/);
    expect(text.stdout).toContain('2 started, 0 skipped');
    await untilFact('the list', async () => {
      const { stdout } = await lab.cli(['schedule', 'list', '-o', 'json']);
      const mine = (JSON.parse(stdout) as ListedSchedule[]).find((one) => one.id === id);
      return mine?.last?.failure === 'the role may not read shop.orders' && mine.reconciliation === name;
    });
  });

  it('skips a run while the last one goes on', async () => {
    const { file, name, model } = await lab.reconciliation({ schedules: RARELY });
    await create(file, name);
    const id = `${name}-quick`;
    const { reached, release } = model.hold('reconcile');
    await lab.cli(['schedule', 'trigger', id]);
    await reached;
    await lab.cli(['schedule', 'trigger', id]);
    await untilFact('the skip', async () => (await show(id)).counts.skipped === 1);
    release();
    await untilFact('its end', async () => (await show(id)).runs[0]?.execution === 'COMPLETED');
    expect(model.runs()).toHaveLength(1);
  });

  it('starts one more when the last ends, with overlap: buffer-one', async () => {
    const { file, name, model } = await lab.reconciliation({
      schedules: { quick: { ...RARELY.quick, overlap: 'buffer-one' } },
    });
    await create(file, name);
    const id = `${name}-quick`;
    const { reached, release } = model.hold('reconcile');
    await lab.cli(['schedule', 'trigger', id]);
    await reached;
    await lab.cli(['schedule', 'trigger', id]);
    await lab.cli(['schedule', 'trigger', id]);
    await untilFact('one buffered, and one too many', async () => (await show(id)).counts.skipped === 1);
    release();
    await untilFact('the second', async () => {
      const { runs, counts } = await show(id);
      return counts.started === 2 && runs.every(({ execution }) => execution === 'COMPLETED');
    });
    expect(model.runs()).toHaveLength(2);
    expect(new Set(model.runs().map(({ run }) => run)).size).toBe(2);
  });

  it('pauses with a reason, resumes, and is deleted', async () => {
    const { file, name } = await lab.reconciliation({ schedules: { quick: { every: '1h' } } });
    await create(file, name);
    const id = `${name}-quick`;
    expect((await lab.cli(['schedule', 'pause', id, 'nowhere', '--reason', 'release'])).exitCode).toBe(1);
    expect(await show(id)).toMatchObject({ paused: true, note: 'paused by ann@ops: release', next: [] });
    await lab.cli(['schedule', 'resume', id]);
    const resumed = await show(id);
    expect(resumed.paused).toBe(false);
    expect(resumed.next.length).toBeGreaterThan(0);
    expect((await lab.cli(['schedule', 'delete', id])).exitCode).toBe(0);
    expect((await lab.cli(['schedule', 'show', id])).stderr).toContain('there is no schedule');
  });

  it('makes up for a time that has passed', async () => {
    const { file, name, model } = await lab.reconciliation({ schedules: { quick: { every: '1h', jitter: '0s' } } });
    await create(file, name, '--paused');
    const id = `${name}-quick`;
    const to = new Date().toISOString();
    expect((await lab.cli(['schedule', 'backfill', id, '--from', to, '--to', '2h'])).exitCode).toBe(2);
    // Exactly three hours: what `3h` means begins when it is asked, and the fourth full hour may pass meanwhile.
    const from = new Date(Date.parse(to) - 3 * 3_600_000).toISOString();
    await lab.cli(['schedule', 'backfill', id, '--from', from, '--to', to, '--overlap', 'buffer-all']);
    await untilFact('all three', () => model.runs().length === 3);
    expect(model.runs().every(({ scheduled }) => scheduled)).toBe(true);
  });
});

describe("one made by Temporal's own CLI", () => {
  it('starts the same runs, which know that a schedule has started them, and is listed', async () => {
    const { file, name, model } = await lab.reconciliation();
    const id = `theirs-${randomUUID().slice(0, 8)}`;
    made.push(id);
    const input = JSON.stringify({ document: JSON.parse(await readFile(file, 'utf8')) as unknown, level: 'quick' });
    const { light } = lab.queues;
    const action = [
      '--workflow-id',
      `${name}-quick`,
      '--type',
      'reconciliation',
      '--task-queue',
      light,
      '--input',
      input,
    ];
    await lab.temporal(
      'schedule',
      'create',
      '--schedule-id',
      id,
      '--interval',
      '24h',
      '--overlap-policy',
      'Skip',
      ...action,
    );
    await lab.temporal('schedule', 'trigger', '--schedule-id', id);
    await untilFact('a run', () => model.runs().length === 1);
    expect(model.runs()).toMatchObject([{ level: 'quick', scheduled: true }]);
    await untilFact('its outcome', async () => (await show(id)).runs[0]?.summary?.verdict === 'equal');
    expect(await show(id)).toMatchObject({ reconciliation: null, rhythm: ['every 24h'], overlap: 'skip' });
    await untilFact('the list', async () => (await lab.cli(['schedule', 'list'])).stdout.includes(id));
  });
});
