/** The command line of reconciliations, over a model of the databases: runs, repairs, certificates. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certified, type RunCertificateBody } from '../../activities/reconciliation/certificate.js';
import { finding } from '../support/model-reconciliation.js';
import { ReconciliationLab, untilFact } from '../support/reconciliations.js';

let lab: ReconciliationLab;
beforeAll(async () => {
  lab = await ReconciliationLab.start();
});
afterAll(async () => {
  await lab.stop();
});

const queue = (): string[] => ['--task-queue', lab.queues.light];

describe.concurrent('godwit reconcile', () => {
  it('waits, and ends with 0 when both sides are equal', async () => {
    const { file, model } = await lab.reconciliation();
    const { exitCode, stdout, stderr } = await lab.cli(['reconcile', file, '--level', 'quick', '--full', ...queue()]);
    expect(stdout).toMatch(/^equal {2}quick: 30 rows of 3 tables, 3 kB, in 1ms \(at 0\/1, /);
    expect(stderr).toContain('started');
    expect(exitCode).toBe(0);
    expect(model.runs()).toMatchObject([{ level: 'quick', full: true, scheduled: false }]);
  });

  it('ends with 1 while differences remain, and says what to do about them', async () => {
    const { file, model, name } = await lab.reconciliation();
    model.found = [finding({ count: 1_234, severity: 'high' }), finding({ kind: 'missing', table: 'users' })];
    const { exitCode, stdout } = await lab.cli(['reconcile', 'run', file, ...queue()]);
    expect(exitCode).toBe(1);
    expect(stdout).toContain('different  comprehensive:');
    expect(stdout).toMatch(/high +changed +shop\.orders +1,234/);
    expect(stdout).toContain('1,235 findings remain; 1,235 items in the review queue');
    expect(stdout).toContain(`godwit review list -f ${file}`);
    const [run] = model.runs();
    expect(run?.workflow.startsWith(`${name}-comprehensive-`)).toBe(true);
    expect(stdout).toContain(`godwit reconcile repair ${file} ${run?.run} --all --dry-run`);
  });

  it('gives figures as JSON to scripts', async () => {
    const { file, name } = await lab.reconciliation();
    const { stdout } = await lab.cli(['reconcile', file, '-o', 'json', ...queue()]);
    expect(JSON.parse(stdout)).toMatchObject({ reconciliation: name, verdict: 'equal', rows: 30 });
  });

  it('ends with 1 when it was skipped, since nothing was compared', async () => {
    const { file, model } = await lab.reconciliation();
    model.going = 'shop-deep-1';
    const { exitCode, stdout } = await lab.cli(['reconcile', file, ...queue()]);
    expect(stdout).toBe('skipped  the run shop-deep-1 goes on\n');
    expect(exitCode).toBe(1);
  });

  it('ends with 3 when it needs a person, who retries it by its id', async () => {
    const { file, model, name } = await lab.reconciliation();
    model.fail('reconcile', 'PermissionDenied', 'the role may not read shop.orders');
    const id = `${name}-mine`;
    const { exitCode, stderr } = await lab.cli(['reconcile', file, '--id', id, ...queue()]);
    expect(exitCode).toBe(3);
    expect(stderr).toContain('the role may not read shop.orders');
    expect(stderr).toContain(`godwit retry ${id}`);
    expect((await lab.cli(['retry', id, '--wait'])).exitCode).toBe(0);
    const shown = await lab.cli(['status', id]);
    expect(shown.stdout).toContain('done');
    expect(shown.stdout).toContain('comprehensive, comparing');
    expect(shown.stdout).toContain('equal  comprehensive: 30 rows');
  });

  it('only starts it with --no-wait; it is watched, paused and aborted as a migration is', async () => {
    const { file, model, name } = await lab.reconciliation();
    const { reached } = model.hold('reconcile');
    const started = await lab.cli(['reconcile', file, '--no-wait', '-o', 'json', ...queue()]);
    const { id } = JSON.parse(started.stdout) as { id: string };
    await reached;
    expect((await lab.cli(['pause', id, '--wait'])).exitCode).toBe(0);
    expect((await lab.cli(['status', id])).stdout).toContain('paused');
    // Lists follow by a moment.
    await untilFact('its place in the list', async () =>
      (await lab.cli(['reconcile', 'list', '--running'])).stdout.includes(id),
    );
    const aborted = await lab.cli(['abort', id, '--yes', '--wait']);
    expect(aborted.stderr).toContain('aborted');
    const again = await lab.cli(['abort', id, '--yes']);
    expect(again).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('has nothing to undo') as string });
    const ended = new RegExp(`${id} +comprehensive +aborted `);
    await untilFact('the list that says it', async () =>
      ended.test((await lab.cli(['reconcile', 'status', file])).stdout),
    );
    const status = await lab.cli(['reconcile', 'status', file]);
    expect(status.stdout).toContain(`${name}  no run has ended yet`);
  });

  it('refuses a migration, and says what takes one', async () => {
    const { exitCode, stderr } = await lab.cli(['reconcile', 'examples/minimal.yaml']);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('examples/minimal.yaml:4:7 kind: expected Reconciliation, found Migration; godwit start');
  });

  it('shows runs, schedules and why the review can not be read, in one page', async () => {
    const { file, model, name } = await lab.reconciliation();
    model.found = [finding()];
    await lab.cli(['reconcile', file, ...queue()]);
    const [run] = model.runs();
    await untilFact('the list that has the run', async () =>
      (await lab.cli(['reconcile', 'list', '-o', 'json', '--limit', '100'])).stdout.includes(`"${run?.run}"`),
    );
    const { exitCode, stdout } = await lab.cli(['reconcile', 'status', file]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`${name}  different`);
    expect(stdout).toContain(`no schedules: godwit schedule create ${file}`);
    expect(stdout).toContain("what waits for a person can't be told from here");
    const listed = await lab.cli(['reconcile', 'list', '-o', 'json', '--limit', '100']);
    const runs = JSON.parse(listed.stdout) as { run: string }[];
    expect(runs.map((one) => one.run)).toContain(run?.run);
  });
});

describe.concurrent('godwit reconcile repair', () => {
  it('asks for the name, and then mends and says how it is taken back', async () => {
    const { file, model, name } = await lab.reconciliation();
    model.mends = 3;
    const unasked = await lab.cli(['reconcile', 'repair', file, 'the-run', '--all', ...queue()]);
    expect(unasked).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(`--confirm ${name}`) as string });
    const wrong = await lab.cli(['reconcile', 'repair', file, 'the-run', '--confirm', 'shop', ...queue()]);
    expect(wrong).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('is not its name') as string });
    expect(model.repairs()).toEqual([]);
    const words = ['reconcile', 'repair', file, 'the-run', '--all', '--delete', '--confirm', name, ...queue()];
    const { exitCode, stdout, stderr } = await lab.cli(words);
    const [repair] = model.repairs();
    expect(repair).toMatchObject({ run: 'the-run', what: 'all', deletions: true, by: 'ann@ops' });
    expect(stdout).toContain(`repaired  0 inserted, 3 updated, 0 deleted; in 1ms (repair ${repair?.repair})`);
    expect(stderr).toContain(`godwit reconcile undo ${file} ${repair?.repair}`);
    expect(exitCode).toBe(0);
    const undone = await lab.cli(['reconcile', 'undo', file, repair?.repair ?? '', ...queue()]);
    expect(undone).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('taken back') as string });
  });

  it('mends what the review decided unless it is told to mend all', async () => {
    const { file, model, name } = await lab.reconciliation();
    await lab.cli(['reconcile', 'repair', file, 'the-run', '--confirm', name, ...queue()]);
    expect(model.repairs()).toMatchObject([{ what: 'review', deletions: false }]);
  });

  it('is forgotten with all that is kept, but not while schedules go on', async () => {
    const { file, model, name } = await lab.reconciliation();
    await lab.cli(['schedule', 'create', file, '--paused', ...queue()]);
    const words = ['reconcile', 'forget', file, '--confirm', name, ...queue()];
    // The list of schedules follows their making by a moment.
    while (!(await lab.cli(['schedule', 'list'])).stdout.includes(`${name}-quick`)) continue;
    const refused = await lab.cli(words);
    expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('godwit schedule delete') as string });
    const ids = ['quick', 'comprehensive', 'deep', 'business'].map((level) => `${name}-${level}`);
    await lab.cli(['schedule', 'delete', ...ids]);
    while ((await lab.cli(['schedule', 'list'])).stdout.includes(name)) continue;
    expect((await lab.cli(words)).exitCode).toBe(0);
    expect(model.calls.map(({ activity }) => activity)).toEqual(['forgetReconciliation']);
  });
});

describe('godwit reconcile verify', () => {
  const server = { version: '15.1', systemIdentifier: '7', timeline: 1 };
  const body = {
    kind: 'ReconciliationCertificate',
    version: 1,
    run: 'shop-deep-1',
    reconciliation: 'shop',
    level: 'deep',
    verdict: 'equal',
    primary: 'source',
    lsn: '0/1',
    at: '2026-05-01T02:00:00.000Z',
    tookMs: 1_000,
    proof: 'nothing flows',
    servers: { source: server, target: server },
    settings: {},
    tables: [],
    found: [],
    notChecked: [],
    exclusions: { columns: [], rowFilters: {} },
  } as unknown as RunCertificateBody;

  const fileWith = async (name: string, document: unknown): Promise<string> => {
    const file = join(lab.folder, name);
    await writeFile(file, typeof document === 'string' ? document : JSON.stringify(document, null, 2));
    return file;
  };

  it('says that one is intact, whatever its white space', async () => {
    const file = await fileWith('intact.json', certified(body));
    const { exitCode, stdout } = await lab.cli(['reconcile', 'verify', file]);
    expect(stdout).toContain('intact  equal at 2026-05-01T02:00:00.000Z, LSN 0/1 (run shop-deep-1, ');
    expect(exitCode).toBe(0);
  });

  it.each([
    ['changed', { verdict: 'different' }],
    ['added to', { remark: 'all is well' }],
  ])('finds one that was %s', async (_, change) => {
    const file = await fileWith('changed.json', { ...certified(body), ...change });
    const { exitCode, stdout } = await lab.cli(['reconcile', 'verify', file]);
    expect(stdout).toContain('changed  ');
    expect(exitCode).toBe(1);
  });

  it.each(['{}', 'equal', '[1]'])('refuses what is none: %s', async (text) => {
    const { exitCode, stderr } = await lab.cli(['reconcile', 'verify', await fileWith('none.json', text)]);
    expect(stderr).toContain('is no certificate of a reconciliation');
    expect(exitCode).toBe(2);
  });
});
