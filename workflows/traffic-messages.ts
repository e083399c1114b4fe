/** What a shift tells its migration. */
import { defineSignal } from '@temporalio/workflow';
import type { TrafficStatus } from '../spec/status.js';
import type { UnitRef } from '../spec/units.js';

export interface ShiftReport {
  unit: UnitRef;
  traffic: TrafficStatus;
  /** Why it waits; null: it doesn't. */
  note: string | null;
}

export const shiftSignal = defineSignal<[ShiftReport]>('godwit-shift');
