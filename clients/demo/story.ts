/**
 * The stories that the demo tells of the whole shop, each with a load on it from the first to the last moment: `wholeShop` moves
 * everything there, back, and there again; `badGreen` has the new version turn bad on the way, and everything goes back by itself.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { DescribeListenersCommand, ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { ListResourceRecordSetsCommand, Route53Client } from '@aws-sdk/client-route-53';
import { check, switchWindows } from '../../lab/check.js';
import type { Load, LoadRecord, WindowFigures } from '../../lab/load.js';
import type { Primary, SwitchFigures } from '../../spec/status.js';
import { CliError } from '../errors.js';
import { reportOf } from '../output/report.js';
import type { MigrationView } from '../view.js';
import { answered, type Stay } from './answered.js';
import {
  evidenceOf,
  type BadGreenEvidence,
  type Evidence,
  type Measured,
  type ReconciliationEvidence,
} from './evidence.js';
import { reconciled } from './reconciled.js';
import { ID, shorten, unitOf, type Stage } from './stage.js';

/** How long everybody stays where they are before they move again. */
const STAY_MS = 3_000;
/** Until the last resolver has forgotten where users went before: TTL of the records, and the name servers' delay. */
const SETTLE_MS = 2_000;
const HOLD = '2s';
const DATABASE = 'database/shop';
const TRAFFIC = ['traffic/web', 'traffic/names'];
/** Requests that green fails once it is bad, and the step at which it becomes so. */
const BAD = { errorRate: 0.3, weight: 25 };

export async function wholeShop(stage: Stage): Promise<Evidence> {
  return new Story(stage).tell(async (story) => {
    await story.begin();
    await stage.chapter('Switch: the database, its users in steps, and its name', [
      ['approve', ID, 'switch', '--confirm', ID],
    ]);
    await story.arrived('target', 1);
    await stage.chapter('And back', [['rollback', ID, '--yes', '--wait', '--reason', 'to show that it works']]);
    await story.arrived('source', 2);
    await stage.chapter('And there again', [
      ['switch', ID],
      ['approve', ID, 'switch', '--confirm', ID],
    ]);
    await story.arrived('target', 3);
    await stage.until('the end of the watch', ({ status }) => status.stage === 'finalize');
    await stage.chapter('Finalize', [['approve', ID, 'finalize', '--confirm', ID]]);
    const end = await stage.until('the end', ({ status }) => status.state === 'migrated');
    return { end, primary: 'target', badGreen: null, promises: () => [moved(end, story.switches.length, 3)] };
  });
}

function moved({ status }: MigrationView, switches: number, expected: number): { promise: string; held: boolean } {
  return {
    promise: 'the migration came to its end, after everything had moved there, back, and there again',
    held: status.state === 'migrated' && switches === expected,
  };
}

export async function badGreen(stage: Stage): Promise<Evidence> {
  return new Story(stage).tell(async (story) => {
    const found = await inAws(stage);
    await story.begin();
    await stage.chapter(`Switch; green will turn bad at ${BAD.weight} %`, [['approve', ID, 'switch', '--confirm', ID]]);
    await stage.until(`${BAD.weight} % at green`, (view) => unitOf(view, 'traffic/web').traffic?.weight === BAD.weight);
    const turned = await story.turnGreenBad();
    const back = await stage.until('everything back', ({ status }) => status.state === 'rolled-back');
    await story.arrived('source', 2);
    await stage.chapter('Leave nothing behind', [['abort', ID, '--yes', '--wait']]);
    const end = await stage.until('the end', ({ status }) => status.state === 'undone');
    const left = await inAws(stage);
    const sentBack = unitOf(back, 'traffic/web').traffic?.log.findLast(({ weight }) => weight === 0);
    return {
      end,
      primary: 'source',
      badGreen: (record) => badGreenOf(record, turned, Date.parse(sentBack?.at ?? ''), sentBack?.why ?? ''),
      promises: () => [
        { promise: 'the migration went back by itself, its database included', held: story.switches.length === 2 },
        { promise: 'listener and records are as they were found, byte for byte', held: left === found },
      ],
    };
  });
}

function badGreenOf(record: LoadRecord, turned: number, detected: number, why: string): BadGreenEvidence {
  const since = record.requests.filter(({ startedAt }) => startedAt >= turned * 1_000);
  const last = Math.max(...since.flatMap(({ version, endedAt }) => (version === 'green' ? [endedAt] : [])));
  const failed = record.requests.filter(({ version, error }) => version === 'green' && error === 'FAULTY').length;
  return { ...BAD, detectedMs: detected - turned, goneMs: last / 1_000 - turned, why, failed };
}

/** How a story ended. */
interface Ending {
  end: MigrationView;
  primary: Primary;
  badGreen: ((record: LoadRecord) => BadGreenEvidence) | null;
  promises: () => Measured['promises'];
}

class Story {
  readonly switches: { figures: SwitchFigures; clients: WindowFigures }[] = [];
  readonly #stays: { expected: 'blue' | 'green'; stay: Stay }[] = [];
  #load: Load | null = null;
  #reconciliation: ReconciliationEvidence | null = null;

  constructor(readonly stage: Stage) {}

  async tell(plot: (story: Story) => Promise<Ending>): Promise<Evidence> {
    const { stage } = this;
    const began = performance.now();
    const load = await stage.startLoad();
    this.#load = load;
    try {
      const { end, primary, promises, badGreen } = await plot(this);
      const snapshot = await load.stop();
      const record = await load.record();
      const database = unitOf(end, DATABASE);
      const { GODWIT_SOURCE_URL: source, GODWIT_TARGET_URL: target } = stage.lab.environment;
      const verdict = await check({
        record,
        primary: primary === 'source' ? source : target,
        switches: switchWindows(this.switches.map(({ figures }) => figures)),
      });
      return evidenceOf({
        tookMs: performance.now() - began,
        state: end.status.state,
        database,
        switches: this.switches,
        traffic: TRAFFIC.map((unit) => ({ unit, moves: unitOf(end, unit).traffic?.log ?? [] })),
        badGreen: badGreen === null ? null : badGreen(record),
        reconciliation: this.#compared(),
        stays: this.#stays.map(({ expected, stay }) => ({ expected, answered: answered(record, stay) })),
        verdict,
        loadSeconds: snapshot.seconds,
        historyEvents: reportOf(end).historyEvents,
        report: await stage.report(),
        promises: promises(),
      });
    } catch (error) {
      await load.kill();
      throw error;
    }
  }

  #compared(): ReconciliationEvidence {
    if (this.#reconciliation === null) throw new CliError('the story ended before its databases were compared.');
    return this.#reconciliation;
  }

  /** Until the switch may begin. */
  async begin(): Promise<void> {
    const { stage } = this;
    const file = await stage.specification((document) => shorten(document, HOLD));
    await stage.chapter('Ready?', [
      ['validate', file],
      ['namespace', 'setup'],
      ['plan', file, '-o', stage.plan],
    ]);
    await stage.chapter('Replicate, copy and compare, attach the new version, while the shop is open', [
      ['start', '--plan', stage.plan, '--wait'],
      ['rehearse', ID],
    ]);
    this.#reconciliation = await reconciled(stage);
  }

  /** Waits for the writes to arrive on a side, and all users with them; takes what clients saw meanwhile. */
  async arrived(side: Primary, switches: number): Promise<void> {
    const weight = side === 'target' ? 100 : 0;
    const view = await this.stage.until(
      `everything on the ${side}`,
      (seen) =>
        unitOf(seen, DATABASE).primary === side &&
        unitOf(seen, DATABASE).switches.length === switches &&
        TRAFFIC.every((unit) => (unitOf(seen, unit).traffic?.weight ?? 0) === weight) &&
        (side === 'source' || ['watch', 'finalize'].includes(seen.status.stage)),
    );
    const figures = unitOf(view, DATABASE).switches;
    const windows = switchWindows(figures);
    for (const [index, one] of figures.entries()) {
      const window = windows[index];
      if (index < this.switches.length || window === undefined || this.#load === null) continue;
      this.switches.push({ figures: one, clients: await this.#load.within(window) });
    }
    await sleep(SETTLE_MS);
    const from = Date.now();
    await sleep(STAY_MS);
    this.#stays.push({ expected: side === 'target' ? 'green' : 'blue', stay: { from, to: Date.now() } });
  }

  /** Answers when, in milliseconds since the epoch. */
  async turnGreenBad(): Promise<number> {
    const { lab, terminal } = this.stage;
    const url = `${lab.environment.GREEN_CONTROL_URL}/behaviour`;
    const body = JSON.stringify({ errorRate: BAD.errorRate });
    terminal.note(terminal.colours.cyan(`$ curl -X PUT ${url} -d '${body}'`));
    const response = await fetch(url, { method: 'PUT', body });
    if (!response.ok) throw new CliError(`green refused to turn bad: ${await response.text()}`);
    return Date.now();
  }
}

/** Everything that the steps change, as the API says it. */
async function inAws({ lab }: Stage): Promise<string> {
  const { AWS_ENDPOINT_URL: endpoint, AWS_REGION: region, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = lab.environment;
  const credentials = { accessKeyId: AWS_ACCESS_KEY_ID ?? '', secretAccessKey: AWS_SECRET_ACCESS_KEY ?? '' };
  const settings = { endpoint: endpoint ?? '', region: region ?? '', credentials };
  const [elb, route53] = [new ElasticLoadBalancingV2Client(settings), new Route53Client(settings)];
  try {
    const { listener, zone } = lab.traffic?.estate ?? { listener: '', zone: '' };
    const { Listeners } = await elb.send(new DescribeListenersCommand({ ListenerArns: [listener] }));
    const { ResourceRecordSets } = await route53.send(new ListResourceRecordSetsCommand({ HostedZoneId: zone }));
    return JSON.stringify({ Listeners, ResourceRecordSets });
  } finally {
    elb.destroy();
    route53.destroy();
  }
}
