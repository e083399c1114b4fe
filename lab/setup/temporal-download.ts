/** Entry point: lets Temporal's SDK download its dev server. Arguments: folder, version. */
import { TestWorkflowEnvironment } from '@temporalio/testing';

const [folder, version] = process.argv.slice(2);
if (folder === undefined || version === undefined) throw new Error('usage: temporal-download FOLDER VERSION');

const environment = await TestWorkflowEnvironment.createLocal({
  server: { executable: { type: 'cached-download', downloadDir: folder, version: `v${version}`, ttl: '1 day' } },
});
await environment.teardown();
