/** Entry point: another process that starts a lab, then exits, waits, or ends when it is told to. Arguments: folder, then mode. */
import { Lab } from '../../lab/lab.js';
import { SMALL_SIZE } from '../../lab/shop/create.js';

const [folder, mode] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: lab-child FOLDER leave|hold|crash');

const lab = await Lab.up({ folder, size: SMALL_SIZE });
if (mode !== 'leave') lab.endWithUs();
process.send?.('up');
if (mode === 'hold') setInterval(() => undefined, 1_000);
if (mode === 'crash') {
  process.once('message', () => {
    throw new Error('a bug');
  });
}
if (mode === 'leave') process.disconnect();
