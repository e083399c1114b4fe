/** Entry point: another process that starts the application, says its pid, and waits to be killed. Arguments: folder, database. */
import { AppProcess } from '../../lab/app/app-process.js';

const [folder = '', database = ''] = process.argv.slice(2);
const app = await AppProcess.start(folder, { version: 'orphan', database });
process.send?.(app.process.pid);
setInterval(() => undefined, 1_000);
