/** The two databases of a reconciliation: as a pair to open, and by which of them takes the writes. */
import type { NormalReconciliation } from '../../spec/reconciliation.js';
import { otherSide, type Pair, type Sides } from '../postgres/sides.js';
import type { Ends } from '../postgres/validation/proof.js';

export const pairOf = ({ name, source, target }: NormalReconciliation): Pair => ({
  key: name,
  database: { source: source.url, target: target.url },
});

export const endsOf = (sides: Sides, { primary }: NormalReconciliation): Ends => ({
  primary: sides.of(primary),
  standby: sides.of(otherSide(primary)),
});
