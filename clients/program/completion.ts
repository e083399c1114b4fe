/** Shell completion: the script for a shell, and the hidden command that it calls for each TAB. */
import { Argument, type Command } from 'commander';
import type { Invocation } from '../program.js';
import { examples } from './options.js';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;

export function addCompletionCommands(program: Command, { terminal, finish }: Invocation): void {
  program
    .command('completion')
    .summary('complete commands, migrations, gates and units in your shell')
    .description(
      'Prints the completion script of a shell. It completes commands, options, migrations, gates and units.',
    )
    .addArgument(new Argument('<shell>', 'your shell').choices(SHELLS))
    .addHelpText(
      'after',
      examples(
        'source <(godwit completion bash)    needs the package bash-completion',
        'source <(godwit completion zsh)',
        'godwit completion fish > ~/.config/fish/completions/godwit.fish',
      ),
    )
    .action(async (shell: (typeof SHELLS)[number]) => {
      finish((await import('../commands/completion.js')).completion(shell));
    });

  program
    .command('complete', { hidden: true })
    .argument('[words...]')
    .allowUnknownOption()
    .helpOption(false)
    .action(async (words: string[]) => {
      finish(await (await import('../commands/completion.js')).complete(terminal, words));
    });
}
