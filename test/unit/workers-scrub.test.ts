import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { failure } from '../../activities/failure.js';
import { scrubError, scrubText } from '../../workers/scrub.js';

describe('what leaves an activity', () => {
  it.each([
    ['could not connect to postgres://godwit:s3cr/et@db:5432/shop', 's3cr/et'],
    ['host=db password=hunter2 dbname=shop', 'hunter2'],
    ["host=db password='hunter 2' dbname=shop", 'hunter 2'],
    ['invalid input syntax for type integer: "eve@example.com"', 'eve'],
    ['new row violates check\nDETAIL: Failing row contains (1, eve, 99).', 'eve'],
    ['duplicate key\nKey (email)=(eve@example.com) already exists.', 'eve'],
    ['failed\nCONTEXT:  COPY customers, line 3, column name: "eve"', 'eve'],
  ])('holds no secret and no row: %s', (message, secret) => {
    expect(scrubText(message)).not.toContain(secret);
  });

  it('is a failure of the closed list as it was, without cause, stack and details but the SQLSTATE', () => {
    const thrown = ApplicationFailure.create({
      type: 'PermissionDenied',
      message: 'must be owner of table orders',
      nonRetryable: true,
      details: [{ sqlState: '42501', row: 'eve' }],
      cause: new Error('eve'),
    });
    const scrubbed = scrubError(thrown, 'claim');
    expect(scrubbed).toMatchObject({
      type: 'PermissionDenied',
      message: 'must be owner of table orders',
      nonRetryable: true,
    });
    expect(scrubbed.details).toEqual([{ sqlState: '42501' }].map((detail) => detail));
    expect(scrubbed.cause).toBeUndefined();
    expect(scrubbed.stack).toBe('');
  });

  it('keeps whether Temporal tries again', () => {
    expect(scrubError(failure('DatabaseUnreachable', 'refused'), 'claim').nonRetryable).toBe(false);
    expect(scrubError(failure('ScopeTaken', 'taken'), 'claim').nonRetryable).toBe(true);
  });

  it('is Unexpected, with a name but no quoted value, for all else', () => {
    const scrubbed = scrubError(new SyntaxError('Unexpected token e, "eve@example" is not valid JSON'), 'claim');
    expect(scrubbed).toMatchObject({
      type: 'Unexpected',
      message: 'claim ended in SyntaxError: Unexpected token e, "…" is not valid JSON',
    });
    expect(scrubError('eve', 'claim').message).toBe('claim ended in an error');
  });
});
