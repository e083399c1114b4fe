/** docs/cli.md: every command as its own help shows it, so that page and program can't differ. */
import type { Command } from 'commander';
import { godwit } from './program.js';
import { mutedTerminal } from './terminal.js';

const HEAD = `# Command line

Made from the help of the program itself (\`npm run cli-page\`); the same text is what \`godwit COMMAND --help\` prints.

## Where it connects

As Temporal's own tools do: \`TEMPORAL_ADDRESS\`, \`TEMPORAL_NAMESPACE\`, \`TEMPORAL_API_KEY\`, \`TEMPORAL_TLS_*\`, the profile
\`TEMPORAL_PROFILE\` of the file \`TEMPORAL_CONFIG_FILE\`; the flags \`--address\`, \`--namespace\` and \`--profile\` win over all
of them. The command line needs a way to Temporal only: whatever touches a database is done by workers. The exceptions say so in
their help: rows never travel through Temporal, so \`godwit review\`, reports, certificates and the dry run of a repair are read
from the databases by the command itself.

## Exit codes

| code | meaning                                                                  |
| ---- | ------------------------------------------------------------------------ |
| 0    | what was asked is done                                                   |
| 1    | it failed, or errors or differences were found, or \`--timeout\` passed    |
| 2    | wrong usage or a wrong specification; nothing was begun                  |
| 3    | it waits for a person: an approval, a pause, a step that needs attention |
| 4    | it was undone                                                            |

Codes 3 and 4 come from commands that wait (\`--wait\`, \`status --watch\`) and from \`plan --detailed-exitcode\`. A command
that was asked to undo and did (\`abort --wait\`, \`rollback --wait\`) ends with 0.

## Output for scripts

\`-o json\` and \`-o yaml\` print one document on stdout, with stable keys; progress, hints and errors go to stderr.
\`godwit status ID --watch -o json\` prints a line of JSON whenever something changes.

## Commands`;

export function cliPage(): string {
  const program = godwit({ terminal: mutedTerminal(), finish: () => undefined });
  const own = visible(program).filter((command) => command.name() !== 'help');
  return `${[HEAD, ...own.flatMap((command) => sections(command, 'godwit'))].join('\n\n')}\n`;
}

function sections(command: Command, above: string): string[] {
  const name = `${above} ${command.name()}`;
  const below = visible(command).filter((one) => one.name() !== 'help');
  const section = `### ${name}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\``;
  return [section, ...below.flatMap((one) => sections(one, name))];
}

function visible(command: Command): Command[] {
  return command.createHelp().visibleCommands(command);
}

/** With what `addHelpText` adds, which `helpInformation` leaves out. */
function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (more) => (text += more) }).outputHelp();
  return text.trim();
}
