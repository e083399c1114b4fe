/** `npm run cli-page`: writes docs/cli.md. */
import { writeFile } from 'node:fs/promises';
import { cliPage } from './cli-page.js';

await writeFile(new URL('../docs/cli.md', import.meta.url), cliPage());
console.log('wrote docs/cli.md');
