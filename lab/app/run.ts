/** Entry point of the application's own process. APP_OPTIONS: `AppOptions` as JSON. */
import { endWithParent } from '../end-with-parent.js';
import { SampleApp, type AppOptions } from './app.js';

endWithParent();
const app = await SampleApp.start(JSON.parse(process.env['APP_OPTIONS'] ?? '') as AppOptions);
console.log(`serving on ${app.address}, control: ${app.controlUrl}`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void app.stop().then(() => process.exit()));
}
