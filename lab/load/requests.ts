/** What clients ask for: each request is one statement, one transaction, one round trip. */
import type { RequestKind } from './record.js';

export interface ShopFigures {
  customers: number;
  products: number;
  accounts: number;
}

export interface Statement {
  kind: RequestKind;
  text: string;
  values: unknown[];
}

/** Shares of each kind, in any unit. */
export type Mix = Record<RequestKind, number>;

export const DEFAULT_MIX: Mix = { transfer: 45, order: 15, visit: 15, read: 25 };

const RECEIPT = 'server, (extract(epoch from at) * 1000000)::float8 as at';

/** A function that picks the next request by the mix. */
export function requestMaker(figures: ShopFigures, mix: Mix = DEFAULT_MIX): (id: string) => Statement {
  const weighted = Object.entries(mix) as [RequestKind, number][];
  const sum = weighted.reduce((total, [, weight]) => total + weight, 0);
  return (id) => {
    let point = Math.random() * sum;
    const kind = weighted.find(([, weight]) => (point -= weight) < 0)?.[0] ?? 'read';
    return MAKERS[kind](id, figures);
  };
}

const any = (count: number): number => 1 + Math.floor(Math.random() * count);

const MAKERS: Record<RequestKind, (id: string, figures: ShopFigures) => Statement> = {
  transfer: (id, { accounts }) => {
    const debtor = any(accounts);
    const creditor = 1 + (debtor % accounts);
    return {
      kind: 'transfer',
      text: `select ${RECEIPT} from shop.transfer($1, $2, $3, $4)`,
      values: [id, debtor, creditor, any(10_000) / 100],
    };
  },
  order: (id, { customers, products }) => ({
    kind: 'order',
    text: `select ${RECEIPT} from shop.place_order($1, $2, $3)`,
    values: [id, any(customers), [...new Set([any(products), any(products), any(products)])]],
  }),
  visit: (id, { customers, products }) => ({
    kind: 'visit',
    text: `select ${RECEIPT} from shop.visit($1, $2, $3)`,
    values: [id, any(customers), any(products)],
  }),
  read: (_id, { customers }) => ({ kind: 'read', text: 'select shop.browse($1)', values: [any(customers)] }),
};
