/** Shell completion by @bomb.sh/tab, which reads commands and options from commander and knows the shells. */
import root, { type Argument, type Option } from '@bomb.sh/tab';
import tab from '@bomb.sh/tab/commander';
import { candidates, fileCandidates, type Candidate } from '../completion/candidates.js';
import type { ConnectionFlags } from '../connection.js';
import { EXIT, type ExitCode } from '../exit.js';
import { commandsOf } from '../program.js';
import type { Terminal } from '../terminal.js';

export function completion(shell: string): ExitCode {
  root.setup('godwit', 'godwit', shell);
  return EXIT.done;
}

/** @param words what is on the command line behind `godwit`, the last one unfinished and perhaps empty */
export async function complete(terminal: Terminal, words: string[]): Promise<ExitCode> {
  tab(commandsOf({ terminal, finish: () => undefined }), { completionCommandName: 'completion' });
  const [first = '', second = ''] = words;
  const command = root.commands.get(`${first} ${second}`) ?? root.commands.get(first);
  const takesId = command?.arguments.has('id') === true;
  if (takesId) {
    const [id = null] = words.slice(1, -1).filter((word) => !word.startsWith('-'));
    const known = await candidates(terminal.env, connectionFlags(words), id);
    offer(command.arguments.get('id'), () => known.ids);
    offer(command.arguments.get('gate'), () => known.gates);
    offer(command.options.get('unit'), () => known.units);
    offer(command.options.get('confirm'), () => (id === null ? [] : [{ value: id, description: '' }]));
  }
  offer(command?.arguments.get('file'), () => fileCandidates(words.at(-1) ?? ''));
  offer(command?.options.get('plan'), () => fileCandidates(words.at(-1) ?? ''));
  root.parse(words);
  return EXIT.done;
}

function offer(place: Argument | Option | undefined, what: () => Candidate[]): void {
  if (place === undefined) return;
  place.handler = (complete) => {
    for (const { value, description } of what()) complete(value, description);
  };
}

function connectionFlags(words: string[]): ConnectionFlags {
  const valueOf = (flag: string) => {
    const at = words.indexOf(flag);
    return at >= 0 ? words[at + 1] : undefined;
  };
  const [address, namespace, profile] = ['--address', '--namespace', '--profile'].map(valueOf);
  return {
    ...(address === undefined ? {} : { address }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(profile === undefined ? {} : { profile }),
  };
}
