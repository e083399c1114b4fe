/** A load on the shop, as seen by who starts it. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { forkOf } from './module-command.js';
import type { Window, WindowFigures } from './load/figures.js';
import type { LoadAnswer, LoadMessage, LoadQuestion, LoadReply, LoadSettings, LoadSnapshot } from './load/protocol.js';
import { readRecord, type LoadRecord } from './load/record.js';
import { DEFAULT_MIX } from './load/requests.js';

export type { Window, WindowFigures } from './load/figures.js';
export type { LoadSnapshot } from './load/protocol.js';
export type { LoadRecord, RecordedRequest } from './load/record.js';

export type LoadOptions = Pick<LoadSettings, 'url' | 'record'> & Partial<LoadSettings>;

type AnswerTo<Q extends LoadAnswer['answer']> = Extract<LoadAnswer, { answer: Q }>;

interface Waiting {
  resolve: (answer: LoadAnswer) => void;
  reject: (error: Error) => void;
}

export class Load {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #asked = 0;

  private constructor(
    child: ChildProcess,
    readonly settings: LoadSettings,
  ) {
    this.#child = child;
    child.on('message', (reply: LoadReply) => this.#hear(reply));
    child.on('exit', () => this.#gone());
  }

  /**
   * Requests flow when this answers. By default 8 clients and at most 2,000 requests a second, a quarter of them reads.
   * Fails if the shop can't be reached.
   */
  static async start(options: LoadOptions): Promise<Load> {
    const settings: LoadSettings = { clients: 8, rate: 2_000, mix: DEFAULT_MIX, most: null, dns: null, ...options };
    const { file, execArgv } = forkOf(import.meta.url, './load/load-process');
    const load = new Load(fork(file, [], { execArgv, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }), settings);
    try {
      await load.#ask('started', { ask: 'start', settings });
    } catch (error) {
      await load.kill();
      throw error;
    }
    return load;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  async snapshot(): Promise<LoadSnapshot> {
    return (await this.#ask('snapshot', { ask: 'snapshot' })).snapshot;
  }

  /** What clients saw so far in a window of time, at most 5 minutes ago. */
  async within({ from, to }: Window): Promise<WindowFigures> {
    return (await this.#ask('within', { ask: 'within', from, to })).figures;
  }

  /** Lets the requests under way end. The record is whole afterwards. */
  async stop(): Promise<LoadSnapshot> {
    const { snapshot } = await this.#ask('stopped', { ask: 'stop' });
    const ended = this.#ended();
    this.#child.disconnect();
    await ended;
    return snapshot;
  }

  /** At once; the record ends where it is. */
  async kill(): Promise<void> {
    const ended = this.#ended();
    this.#child.kill('SIGKILL');
    await ended;
  }

  /** What it wrote down; whole only after `stop`. */
  async record(): Promise<LoadRecord> {
    if (this.settings.record === null) throw new Error('this load keeps no record');
    return readRecord(this.settings.record);
  }

  async #ended(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }

  async #ask<A extends LoadAnswer['answer']>(expected: A, question: LoadQuestion): Promise<AnswerTo<A>> {
    const answer = await new Promise<LoadAnswer>((resolve, reject) => {
      if (!this.#child.connected) {
        reject(new Error('the process of the load has ended'));
        return;
      }
      const message: LoadMessage = { id: (this.#asked += 1), question };
      this.#waiting.set(message.id, { resolve, reject });
      this.#child.send(message);
    });
    if (!isAnswer(answer, expected)) throw new Error(`the load answered ${answer.answer}, not ${expected}`);
    return answer;
  }

  #hear(reply: LoadReply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (reply.ok) waiting?.resolve(reply.value);
    else waiting?.reject(new Error(reply.error));
  }

  #gone(): void {
    for (const { reject } of this.#waiting.values()) reject(new Error('the process of the load has ended'));
    this.#waiting.clear();
  }
}

function isAnswer<A extends LoadAnswer['answer']>(answer: LoadAnswer, expected: A): answer is AnswerTo<A> {
  return answer.answer === expected;
}
