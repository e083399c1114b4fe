/** What a run found, as a document, a page and a text. */
import type { NormalReconciliation } from '../../../spec/reconciliation.js';
import { failure } from '../../failure.js';

export interface RunReport {
  run: string;
}

const unbuilt = (): never => {
  throw failure('Unexpected', 'not built yet');
};

export const runReport: (normal: NormalReconciliation, run: string | null) => Promise<RunReport> = unbuilt;

export const markdownReport: (report: RunReport) => string = unbuilt;

export const htmlReport: (report: RunReport) => string = unbuilt;

/** @param day as in 2026-05-01, UTC */
export const dailySummary: (normal: NormalReconciliation, day: string) => Promise<string> = unbuilt;
