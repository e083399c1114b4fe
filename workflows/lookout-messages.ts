/** What a migration and the lookouts of its databases say to each other. */
import { defineSignal } from '@temporalio/workflow';
import type { DatabaseMove } from '../activities/contract.js';
import type { UnitRef } from '../spec/units.js';
import type { Concern } from './judgement.js';

/** Look at once, with the settings of now; `remedy`: a person said `retry`. */
export const lookSignal = defineSignal<[{ move: DatabaseMove; remedy: boolean }]>('godwit-look');

export interface LookoutReport {
  unit: UnitRef;
  concern: Concern | null;
  warnings: string[];
  /** A person has agreed to what the concern needs; the migration does the rest. */
  then: 'nothing' | 'resync' | 'revalidate';
  /** Copying on would be in vain. */
  stop: boolean;
}

export const reportSignal = defineSignal<[LookoutReport]>('godwit-lookout');
