/** Which checks belong to which level. */
import type { Level } from '../../../spec/reconciliation.js';
import type { Check } from '../findings.js';
import { business } from './business.js';
import { deep } from './deep.js';
import { duplicates } from './duplicates.js';
import { sequences } from './sequences.js';
import { structure } from './structure.js';
import { temporal } from './temporal.js';

const CHECKS: Record<Level, Check[]> = {
  quick: [structure, sequences],
  comprehensive: [],
  deep: [structure, sequences, deep, temporal, duplicates],
  business: [business],
};

export const checksOf = (level: Level): Check[] => CHECKS[level];

/** Whether tables that only one side has are found by a check. */
export const looksAtStructure = (level: Level): boolean => checksOf(level).includes(structure);
