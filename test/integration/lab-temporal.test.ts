import { Client, Connection } from '@temporalio/client';
import { execa } from 'execa';
import { expect, inject, test } from 'vitest';
import { SEARCH_ATTRIBUTES } from '../../spec/messages.js';

test('the lab has one Temporal server with the search attributes that Godwit needs', async () => {
  const connection = await Connection.connect({ address: inject('temporalAddress') });
  const client = new Client({ connection });
  const known = await client.connection.operatorService.listSearchAttributes({ namespace: 'default' });
  expect(Object.keys(known.customAttributes)).toEqual(expect.arrayContaining(Object.values(SEARCH_ATTRIBUTES)));
  await connection.close();
});

test("Temporal's own CLI works against it", async () => {
  const env = { TEMPORAL_ADDRESS: inject('temporalAddress') };
  const { stdout } = await execa(inject('temporalBinary'), ['workflow', 'list', '--output', 'json'], { env });
  expect(JSON.parse(stdout)).toEqual(expect.any(Array));
});
