import { expect, test } from 'vitest';
import { fresh } from '../support/fresh-name.js';

test('who asks for a name again, as a test that is tried again does, gets another', () => {
  expect([fresh('shop'), fresh('shop'), fresh('shop')]).toEqual(['shop', 'shop_2', 'shop_3']);
});
