/** What the refresh of materialized views says to its migration. */
import { defineSignal } from '@temporalio/workflow';
import type { Primary } from '../spec/status.js';
import type { UnitRef } from '../spec/units.js';

export interface ViewsReport {
  unit: UnitRef;
  side: Primary;
  /** Each with its reason; empty: all are as fresh as can be. */
  failed: string[];
}

export const viewsSignal = defineSignal<[ViewsReport]>('godwit-views');
