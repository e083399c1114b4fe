/** Unlogged tables that the specification says how to carry: what that costs those who wait. */
import { carryEstimate } from '../plan/estimates.js';
import { readSize } from '../plan/size.js';
import { unloggedTables } from '../postgres/scope.js';
import { defineCheck, type Found } from './check.js';
import { bytesText, listed, secondsText } from './evidence.js';

type Id = 'unlogged-carried' | 'unlogged-over-budget';

export const carriedUnlogged = defineCheck<Id>({
  topic: 'Tables',
  on: 'source',
  rules: {
    'unlogged-carried': {
      severity: 'info',
      title: 'Unlogged tables go at the switch, while nobody writes',
      why: 'Their changes are not in the WAL: each switch, there and back, empties the new side and copies all rows anew where tables.unlogged says copy, so the write pause is as much longer. Nothing compares them, and a server that crashes empties them, as ever.',
      mend: 'Nothing, if the pause may be that long; a rehearsal measures it. Else let tables.unlogged leave them empty.',
    },
    'unlogged-over-budget': {
      severity: 'warning',
      title: 'Unlogged tables may need more time than the write pause has',
      why: 'An attempt that would take longer than cutover.maxPause undoes itself before its point of no return, each time anew.',
      mend: 'Raise cutover.maxPause, let tables.unlogged leave the large ones empty, or ALTER TABLE … SET LOGGED.',
    },
  },
  find: async (source, { move, tables }) => {
    const unlogged = unloggedTables(tables);
    if (unlogged.length === 0) return [];
    const copied = unlogged.filter((table) => table.unlogged === 'copy');
    const emptied = unlogged.filter((table) => table.unlogged === 'empty');
    const names = (some: typeof unlogged): string => listed(some.map(({ schema, name }) => `${schema}.${name}`));
    const size = await readSize(source, copied);
    const { seconds } = carryEstimate(size);
    const allowed = move.database.cutover.maxPause / 1_000;
    const cost =
      `${bytesText(size.bytes + size.indexBytes)} with indexes, about ${secondsText(seconds)} ` +
      `of the ${secondsText(allowed)} that cutover.maxPause allows`;
    const evidence = [
      ...(copied.length === 0 ? [] : [`copied: ${names(copied)}, ${cost}`]),
      ...(emptied.length === 0 ? [] : [`left empty: ${names(emptied)}`]),
    ].join('; ');
    const found: Found<Id>[] = [{ id: 'unlogged-carried', evidence, repair: [] }];
    if (seconds > allowed) {
      found.push({
        id: 'unlogged-over-budget',
        evidence: `${names(copied)}: ${cost}`,
        repair: [
          `Raise cutover.maxPause above ${secondsText(Math.ceil(seconds))}, or leave the large ones empty in tables.unlogged`,
        ],
      });
    }
    return found;
  },
});
