/** `npm run schema`: writes the files that are made from the schema. */
import { writeFile } from 'node:fs/promises';
import { generatedFiles } from './generated.js';

for (const { path, text } of await generatedFiles()) {
  await writeFile(path, text);
  console.log(`wrote ${path}`);
}
