/**
 * Entry point: everything that traffic moves through, for a lab that stands for a while. TRAFFIC_OPTIONS: `TrafficWorldOptions`
 * as JSON; TRAFFIC_PLACES: the file in which `TrafficPlaces` are written once all of it answers.
 */
import { rename, writeFile } from 'node:fs/promises';
import { TrafficWorld, type TrafficWorldOptions } from '../traffic-world.js';

const file = process.env['TRAFFIC_PLACES'];
if (!file) throw new Error('TRAFFIC_PLACES is not set: in which file shall it be said where everything is?');

const world = await TrafficWorld.start(JSON.parse(process.env['TRAFFIC_OPTIONS'] ?? '') as TrafficWorldOptions);
// Whole or not at all: it is waited for.
await writeFile(`${file}.new`, JSON.stringify(world.places, null, 2));
await rename(`${file}.new`, file);
console.log(`serving ${world.places.url}`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void world.stop().then(() => process.exit()));
}
