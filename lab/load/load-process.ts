/** Entry point of a load's own process, so that nobody else's work on the event loop counts as a client's latency. */
import { runLoad, type RunningLoad } from './clients.js';
import { runHttpLoad } from './http-clients.js';
import type { LoadAnswer, LoadMessage, LoadQuestion, LoadReply } from './protocol.js';

let load: RunningLoad | null = null;

const reply = (message: LoadReply): void => {
  process.send?.(message);
};

async function answer(question: LoadQuestion): Promise<LoadAnswer> {
  if (question.ask === 'start') {
    const { settings } = question;
    load = await (settings.url.startsWith('http:') ? runHttpLoad(settings) : runLoad(settings));
    return { answer: 'started', run: load.run };
  }
  if (load === null) throw new Error('the load was not started');
  switch (question.ask) {
    case 'snapshot':
      return { answer: 'snapshot', snapshot: load.snapshot() };
    case 'within':
      return { answer: 'within', figures: load.within(question.from, question.to) };
    case 'stop':
      return { answer: 'stopped', snapshot: await load.stop() };
  }
}

process.on('message', ({ id, question }: LoadMessage) => {
  answer(question).then(
    (value) => reply({ id, ok: true, value }),
    (error: unknown) => reply({ id, ok: false, error: error instanceof Error ? error.message : String(error) }),
  );
});

// Whoever started us is gone: no load without somebody who stops it.
process.on('disconnect', () => {
  void (load?.stop() ?? Promise.resolve()).finally(() => process.exit());
});

// A Ctrl-C in the terminal reaches the whole group; the parent decides when the load ends.
process.on('SIGINT', () => undefined);
