import { expect, test } from 'vitest';
import { fresh } from '../support/fresh-name.js';

const names: string[] = [];
test('a test that is tried again gets another name', { retry: 2 }, () => {
  names.push(fresh('shop'));
  expect(names).toEqual(['shop', 'shop_2', 'shop_3']);
});
