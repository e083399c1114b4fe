/**
 * `npm run sample`: makes a sample on two servers, with the file of its migration, and writes to it until Ctrl-C, as its clients
 * would. The servers are those of GODWIT_SOURCE_URL and GODWIT_TARGET_URL, as a lab's `environment` has them.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, Option } from 'commander';
import pg from 'pg';
import { SampleClients } from './clients.js';
import { connected } from './sample.js';
import { SAMPLES, type SampleName } from './samples.js';

const NAMES = Object.keys(SAMPLES);
const SIDES = ['source', 'target'] as const;

const folder = resolve('.godwit', 'samples');

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const isSample = (name: string): name is SampleName => Object.hasOwn(SAMPLES, name);

function sampleOf(name: string): SampleName {
  if (isSample(name)) return name;
  throw new Error(`there is no sample ${name}; there are ${NAMES.join(', ')}`);
}

/** A name that nobody's own database has by chance. */
const databaseOf = (sample: SampleName): string => `sample_${sample}`;

/** URL of a database on the server of one side. */
function urlOf(side: (typeof SIDES)[number], database: string): string {
  const variable = `GODWIT_${side.toUpperCase()}_URL`;
  const given = process.env[variable];
  if (given === undefined)
    throw new Error(`${variable} is not set: the URL of a superuser; those of a lab are in .godwit/lab/environment`);
  const url = new URL(given);
  url.pathname = `/${database}`;
  return url.href;
}

/** The database on both servers, its tables and rows on the source, and what `godwit start` takes. */
async function make(sample: SampleName, scale: number): Promise<void> {
  const database = databaseOf(sample);
  for (const side of SIDES) {
    await connected(urlOf(side, 'postgres'), async (client) => {
      const { rowCount } = await client.query('select from pg_database where datname = $1', [database]);
      if (rowCount !== 0) throw new Error(`the ${side} has a database ${database} already; drop it, or use it`);
    });
  }
  for (const side of SIDES) {
    await connected(urlOf(side, 'postgres'), (client) =>
      client.query(`create database ${pg.escapeIdentifier(database)}`),
    );
  }
  await SAMPLES[sample].fill(urlOf('source', database), scale);

  await mkdir(folder, { recursive: true });
  for (const side of SIDES) {
    await writeFile(join(folder, `${sample}.${side}`), `${urlOf(side, database)}\n`, { mode: 0o600 });
  }
  const file = join(folder, `${sample}.yaml`);
  await writeFile(file, migrationOf(sample));
  say(`made ${database}: ${SAMPLES[sample].about}`);
  say(`its migration: ${file}`);
}

const migrationOf = (sample: SampleName): string => `\
apiVersion: godwit.dev/v1alpha1
kind: Migration
metadata:
  name: ${sample}
spec:
  databases:
    ${sample}:
      source: { url: { file: ${JSON.stringify(join(folder, `${sample}.source`))} } }
      target: { url: { file: ${JSON.stringify(join(folder, `${sample}.target`))} } }
      watch: { for: 1h }
`;

const REPORT_MS = 1_000;

/** Writes until it is told to stop, then says what became of it. Answers whether all was kept. */
async function load(sample: SampleName, count: number): Promise<boolean> {
  const database = databaseOf(sample);
  const clients = SampleClients.start(SAMPLES[sample], [urlOf('source', database), urlOf('target', database)], count);
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());
  for (let before = 0; !stopping.signal.aborted; before = clients.acknowledged) {
    await sleep(REPORT_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
    const where = SIDES[clients.accepting ?? 0] ?? '';
    say(`${clients.acknowledged - before} transactions, the last on the ${where}`);
  }
  await clients.stop();
  const { acknowledged, lost, broken, unexpected, handovers } = await clients.report(clients.accepting ?? 0);
  say(
    `${acknowledged} acknowledged, ${lost.length} of them lost; ${handovers} changes of the server; ${unexpected.length} unexpected errors`,
  );
  for (const problem of new Set(unexpected)) say(`✗ ${problem}`);
  for (const promise of Object.keys(SAMPLES[sample].promises))
    say(`${broken.includes(promise) ? '✗' : '✓'} ${promise}`);
  return lost.length + broken.length + unexpected.length === 0;
}

const program = new Command('npm run sample --').description('Sample databases to migrate, and their clients.');
program
  .command('make')
  .argument('<name>', NAMES.join(', '))
  .addOption(new Option('--scale <times>', 'as many times the rows').default(1).argParser(Number))
  .action((name: string, { scale }: { scale: number }) => make(sampleOf(name), scale));
program
  .command('load')
  .argument('<name>', NAMES.join(', '))
  .addOption(new Option('--clients <count>', 'that write at once').default(4).argParser(Number))
  .action(async (name: string, { clients }: { clients: number }) => {
    if (!(await load(sampleOf(name), clients))) process.exitCode = 1;
  });

await program.parseAsync().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
