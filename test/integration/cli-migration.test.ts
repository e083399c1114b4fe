import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { run } from '../../clients/command-line.js';
import { CliWorld } from '../support/cli-world.js';
import { captureTerminal } from '../support/terminal.js';

let world: CliWorld;

beforeAll(async () => {
  world = await CliWorld.start();
});

afterAll(async () => {
  await world.stop();
});

afterEach(() => {
  world.model.findings = [];
  world.model.digest = 'sha256:model';
});

describe('a migration by command line', () => {
  test('goes from start to its end, and says at each wait what a person has to do', async () => {
    const { id, file } = await world.specification('1s');
    const started = await world.cli(['start', file, '--wait', '--task-queue', world.queues.light]);
    expect(started.exitCode).toBe(3);
    expect(started.stderr).toContain(`gate switch waits for 1 approval: godwit approve ${id} switch --confirm ${id}`);
    expect(started.stderr).toContain('validation: equal (3 tables, 30 rows)');

    const switched = await world.cli(['approve', id, 'switch', '--confirm', id, '--wait']);
    expect(switched.stdout).toContain(`approved  switch of ${id}: that is enough`);
    expect(switched.stderr).toContain('writes go to the target now; they paused for 25.0 ms');
    expect(switched.exitCode).toBe(3);

    const finalized = await world.cli(['approve', id, 'finalize', '--confirm', id, '--wait', '--reason', 'CHG-7']);
    expect(finalized.exitCode).toBe(0);
    expect(finalized.stderr).toContain(`${id}: migrated, stage finalize`);

    const watched = await world.cli(['status', id, '--watch']);
    expect(watched.exitCode).toBe(0);

    const report = join(world.folder, 'report.md');
    await world.cli(['report', id, '-o', report]);
    expect(await readFile(report, 'utf8')).toContain('| finalize | ann@ops |');
    const evidence: unknown = JSON.parse((await world.cli(['report', id, '-o', 'json'])).stdout);
    expect(evidence).toMatchObject({ migration: id, state: 'migrated', execution: 'COMPLETED' });
  });

  test('a start that is told to stop waiting says that the migration goes on', async () => {
    const { file } = await world.specification();
    const held = world.model.hold('copyRanges');
    const started = await world.cli(['start', file, '--wait', '--timeout', '1s', '--task-queue', world.queues.light]);
    held.release();
    expect(started.exitCode).toBe(1);
    expect(started.stderr).toContain('Not there after 1s;');
  });

  test('is refused a second time while it runs', async () => {
    const { id, file } = await world.specification();
    await world.cli(['start', file, '--task-queue', world.queues.light]);
    const again = await world.cli(['start', file, '--task-queue', world.queues.light]);
    expect(again.exitCode).toBe(1);
    expect(again.stderr).toContain(`\`${id}\` is running already.`);
  });

  test('pauses and resumes, and shows who asked, and why', async () => {
    const id = await world.atTheSwitch();
    const paused = await world.cli(['pause', id, '--wait', '--reason', 'release tonight']);
    expect(paused.exitCode).toBe(0);
    expect(paused.stdout).toContain(`${id} is paused`);
    expect((await world.cli(['status', id])).stdout).toMatch(/pause +ann@ops +accepted +release tonight/);
    expect((await world.cli(['resume', id])).stdout).toContain(`${id} is awaiting-approval`);
  });

  test('says in the words of the workflow why a message is refused', async () => {
    const id = await world.atTheSwitch();
    const wrongName = await world.cli(['approve', id, 'switch', '--confirm', 'orders']);
    expect(wrongName.exitCode).toBe(1);
    expect(wrongName.stderr).toContain(`refused: to confirm, type the name of the migration: ${id}`);
    expect((await world.cli(['approve', id, 'swich', '--confirm', id])).stderr).toContain('there is no gate swich');
    expect((await world.cli(['resume', id])).stderr).toContain('it is not paused');
    expect((await world.cli(['rollback', id, '--yes'])).stderr).toContain('nothing has been switched');
  });

  test('rolls back and switches again, as often as wished', async () => {
    const id = await world.switched();
    const back = await world.cli(['rollback', id, '--yes', '--wait']);
    expect(back.exitCode).toBe(0);
    expect(back.stderr).toContain('writes go to the source now');
    const again = await world.cli(['switch', id, '--wait']);
    expect(again.exitCode).toBe(3);
    await world.cli(['approve', id, 'switch', '--confirm', id]);
    expect((await world.cli(['status', id, '-o', 'json'])).stdout).toContain('"direction": "back"');
  });

  test('asks before it aborts, and does nothing without an answer', async () => {
    const id = await world.atTheSwitch();
    const nobody = await world.cli(['abort', id]);
    expect(nobody.exitCode).toBe(2);
    expect(nobody.stderr).toContain(`godwit abort ${id} --yes`);
    const no = await world.cli(['abort', id], { answers: ['no'] });
    expect(no.exitCode).toBe(1);
    expect(no.stderr).toContain('Nothing was done.');
    const yes = await world.cli(['abort', id, '--wait'], { answers: [id] });
    expect(yes.exitCode).toBe(0);
    expect(yes.stderr).toContain('undone: drop the publications');
    expect((await world.cli(['status', id, '--watch'])).exitCode).toBe(4);
  });

  test('sets parameters, all of them or none', async () => {
    const id = await world.atTheSwitch();
    const path = 'databases.orders.cutover';
    const half = await world.cli(['set', id, `${path}.maxPause=3s`, `${path}.maxPaus=1s`]);
    expect(half.exitCode).toBe(2);
    expect(half.stderr).toContain('did you mean cutover.maxPause?');
    expect((await world.status(id)).spec?.databases[0]?.cutover.maxPause).toBe(5000);
    expect((await world.cli(['set', id, `${path}.maxPause=3s`, `${path}.attempts=7`])).exitCode).toBe(0);
    expect((await world.status(id)).spec?.databases[0]?.cutover).toMatchObject({ maxPause: 3000, attempts: 7 });
  });

  test('rehearses the switch and says what the pause will be', async () => {
    const id = await world.atTheSwitch();
    const rehearsed = await world.cli(['rehearse', id]);
    expect(rehearsed.exitCode).toBe(0);
    expect(rehearsed.stdout).toContain(
      'database/orders: the switch will pause writes for about 25.0 ms (maxPause 5s).',
    );
  });

  test('says why a rehearsal was not possible', async () => {
    const id = await world.atTheSwitch();
    world.model.notNow('a long transaction is in the way');
    const rehearsed = await world.cli(['rehearse', id]);
    expect(rehearsed.exitCode).toBe(1);
    expect(rehearsed.stderr).toContain('a long transaction is in the way');
  });

  test('waits for a person when a step failed for good, and goes on by retry', async () => {
    const { id, file } = await world.specification();
    world.model.fail('createPublication', 'PermissionDenied', 'must be owner of table orders');
    const started = await world.cli(['start', file, '--wait', '--task-queue', world.queues.light]);
    expect(started.exitCode).toBe(3);
    expect(started.stderr).toContain('problem: must be owner of table orders');
    const retried = await world.cli(['retry', id, '--wait']);
    expect(retried.exitCode).toBe(3);
    expect(retried.stdout).toContain(`${id} is awaiting-approval`);
  });
});

describe('a gate that asks for two people', () => {
  test('is not opened by one of them, and says that another is needed', async () => {
    const { id, file } = await world.specification();
    await appendFile(file, '  gates: {switch: {approvals: 2}}\n');
    await world.cli(['start', file, '--wait', '--task-queue', world.queues.light]);
    const words = ['approve', id, 'switch', '--confirm', id];
    const first = await world.cli([...words, '--wait']);
    expect(first.exitCode).toBe(3);
    expect(first.stdout).toContain('1 approval more needed');
    expect((await world.cli(words)).stdout).toContain('1 approval more needed');
    expect((await world.cli([...words, '--by', 'bob@ops'])).stdout).toContain('that is enough');
  });
});

describe('a migration whose workflow was terminated', () => {
  test('is rolled back from what it knew, and then aborted', async () => {
    const id = await world.switched();
    await world.client.workflow.getHandle(id).terminate('by mistake');
    expect((await world.cli(['status', id])).stdout).toContain('Its workflow was terminated');
    expect((await world.cli(['pause', id])).stderr).toContain('has ended (terminated), so there is nothing to pause');
    const back = await world.cli(['rollback', id, '--yes', '--wait']);
    expect(back.stderr).toContain('bringing it back from what it knew');
    expect(back.exitCode).toBe(0);
    expect((await world.status(id)).units[0]?.primary).toBe('source');
    expect((await world.cli(['abort', id, '--yes', '--wait'])).exitCode).toBe(0);
    expect((await world.cli(['abort', id, '--yes'])).stderr).toContain('is undone already');
  });

  test('is not started anew over what it left', async () => {
    const { id, file } = await world.specification();
    await world.cli(['start', file, '--wait', '--task-queue', world.queues.light]);
    await world.client.workflow.getHandle(id).terminate('by mistake');
    const again = await world.cli(['start', file, '--task-queue', world.queues.light]);
    expect(again.exitCode).toBe(1);
    expect(again.stderr).toContain(`the last run of \`${id}\` stopped without undoing what it did.`);
    const back = await world.cli(['rollback', id, '--yes']);
    expect(back.stderr).toContain('had been switched, so there is nothing to roll back.');
    expect((await world.cli(['abort', id, '--yes', '--wait'])).exitCode).toBe(0);
  });
});

describe('preflight and plan', () => {
  const inTheWay = {
    id: 'wal-level',
    severity: 'error' as const,
    unit: 'database/orders' as const,
    side: 'source' as const,
    title: 'wal_level is replica',
    evidence: 'expected logical',
    repair: ['alter system set wal_level = logical'],
  };

  test('preflight exits 1 with what repairs each error, and 0 when nothing is in the way', async () => {
    const { file } = await world.specification();
    const words = ['preflight', file, '--task-queue', world.queues.light];
    expect((await world.cli(words)).exitCode).toBe(0);
    world.model.findings = [inTheWay];
    const found = await world.cli(words);
    expect(found.exitCode).toBe(1);
    expect(found.stdout).toContain('→ alter system set wal_level = logical');
    expect(JSON.parse((await world.cli([...words, '-o', 'json'])).stdout)).toMatchObject([{ id: 'wal-level' }]);
  });

  test('a plan in a file is what is started, and one that no longer fits is refused', async () => {
    const { id, file } = await world.specification();
    const plan = join(world.folder, 'move.plan');
    const made = await world.cli(['plan', file, '-o', plan, '--task-queue', world.queues.light]);
    expect(made.exitCode).toBe(0);
    expect(made.stderr).toContain(`start it with: godwit start --plan ${plan}`);

    const other = await world.cli(['start', '--plan', plan, '--id', 'other']);
    expect(other.exitCode).toBe(2);
    expect(other.stderr).toContain(`is for \`${id}\`, not for \`other\``);

    world.model.digest = 'sha256:changed';
    const started = await world.cli(['start', '--plan', plan, '--wait', '--task-queue', world.queues.light]);
    expect(started.exitCode).toBe(3);
    expect(started.stderr).toContain('the plan that was approved is sha256:model');
  });

  test('--detailed-exitcode says whether there are errors', async () => {
    const { file } = await world.specification();
    const words = ['plan', file, '--detailed-exitcode', '--task-queue', world.queues.light];
    expect((await world.cli(words)).exitCode).toBe(0);
    world.model.findings = [inTheWay];
    expect((await world.cli(words)).exitCode).toBe(1);
  });
});

describe('what an administrator runs', () => {
  test('plan --grants prints SQL that psql takes, with its reasons in comments', async () => {
    const { file } = await world.specification();
    const words = ['plan', file, '--grants', '--task-queue', world.queues.light];
    const printed = await world.cli(words);
    expect(printed).toMatchObject({ exitCode: 0, stderr: '' });
    expect(printed.stdout).toContain('-- Makes slots.\nALTER ROLE "mover" REPLICATION;');
    expect(printed.stdout).toContain('-- wal_level is replica, and has to be logical: a flag');
    const statements = printed.stdout.split('\n').filter((line) => line !== '' && !line.startsWith('--'));
    expect(statements).toEqual(['ALTER ROLE "mover" REPLICATION;', 'GRANT pg_create_subscription TO "mover";']);
    expect((await world.cli([...words, '--platform', 'rds'])).stdout).toContain('Amazon RDS');
    expect(JSON.parse((await world.cli([...words, '-o', 'json'])).stdout)).toMatchObject([{ role: 'mover' }]);
  });

  test('its detailed exit code tells what is missing from what is impossible', async () => {
    const { file } = await world.specification();
    const words = ['plan', file, '--grants', '--detailed-exitcode', '--task-queue', world.queues.light];
    expect((await world.cli(words)).exitCode).toBe(3);
    const whole = world.model.grants;
    world.model.grants = { ...whole, settings: [], statements: whole.statements.filter(({ held }) => held) };
    expect((await world.cli(words)).exitCode).toBe(0);
    world.model.grants = { ...whole, impossible: ['before version 16 only a superuser makes subscriptions'] };
    expect((await world.cli(words)).exitCode).toBe(1);
    world.model.grants = whole;
  });

  test('a file for a plan is refused, since none is made', async () => {
    const { file } = await world.specification();
    expect((await world.cli(['plan', file, '--grants', '-o', 'move.plan'])).exitCode).toBe(2);
    expect((await world.cli(['plan', file, '--platform', 'rds'])).exitCode).toBe(2);
  });
});

describe('finding migrations', () => {
  test('list shows them by state', async () => {
    const id = await world.atTheSwitch();
    await expect
      .poll(async () => (await world.cli(['list', '--state', 'awaiting-approval'])).stdout, { timeout: 60_000 })
      .toMatch(new RegExp(`${id} +awaiting-approval +switch`));
    expect((await world.cli(['list', '--state', 'failed'])).stdout).not.toContain(id);
  });

  test('a wrong id is answered with the one that was probably meant', async () => {
    const id = await world.atTheSwitch();
    await expect
      .poll(async () => (await world.cli(['status', id.slice(0, -1)])).stderr, { timeout: 60_000 })
      .toContain(`did you mean \`${id}\``);
  });
});

describe('completion', () => {
  async function completed(...words: string[]): Promise<string> {
    // The library writes to the console itself.
    const written: string[] = [];
    const log = vi.spyOn(console, 'log').mockImplementation((line: string) => void written.push(line));
    try {
      await run(['complete', '--', ...words], captureTerminal({ env: { TEMPORAL_ADDRESS: world.address } }));
    } finally {
      log.mockRestore();
    }
    return written.join('\n');
  }

  test('offers migrations, their gates and units', async () => {
    const id = await world.atTheSwitch();
    await expect.poll(() => completed('status', ''), { timeout: 60_000 }).toContain(`${id}\tawaiting-approval`);
    expect(await completed('approve', id, '')).toContain('switch\topen');
    expect(await completed('pause', id, '--unit', '')).toContain('database/orders');
  });

  test('offers commands and options without asking any server', async () => {
    expect(await completed('roll')).toContain('rollback\t');
    expect(await completed('list', '--state', '')).toContain('needs-attention');
    expect(await completed('validate', 'examples/m')).toContain('examples/minimal.yaml');
  });
});
