/** What waits for a person: listed, shown with both versions side by side, decided. */
import type { FindingKind, FindingSeverity, NormalReconciliation } from '../../spec/reconciliation.js';
import type { Primary } from '../../spec/status.js';
import { failure } from '../failure.js';

export const REVIEW_STATES = ['waiting', 'accepted', 'rejected', 'repair', 'repaired', 'gone'] as const;
export type ReviewState = (typeof REVIEW_STATES)[number];
export type ReviewDecision = 'accept' | 'reject' | 'repair';

export interface ReviewItem {
  id: number;
  run: string;
  state: ReviewState;
  kind: FindingKind;
  severity: FindingSeverity;
  schema: string;
  table: string;
  key: string[] | null;
  /** Of what has changed. */
  columns: string[] | null;
  why: string;
  truth: Primary;
  createdAt: string;
  expiresAt: string | null;
  decidedAt: string | null;
  decidedBy: string | null;
  reason: string | null;
}

export interface ShownItem {
  item: ReviewItem;
  source: Record<string, string | null> | null;
  target: Record<string, string | null> | null;
  columns: string[];
}

const unbuilt = (): never => {
  throw failure('Unexpected', 'not built yet');
};

export const listReview: (normal: NormalReconciliation, options?: { states?: ReviewState[] }) => Promise<ReviewItem[]> =
  unbuilt;

export const showReview: (normal: NormalReconciliation, id: number) => Promise<ShownItem> = unbuilt;

/** Answers how many were decided. */
export const decideReview: (
  normal: NormalReconciliation,
  ids: number[],
  decision: ReviewDecision,
  by: string,
  reason: string | null,
) => Promise<number> = unbuilt;
