/**
 * Temporal's own converter, except that what can't be decoded is a text that says so. The SDK decodes a signal before
 * any handler sees it: one with broken JSON or an unknown encoding failed every task of the workflow from then on, and no
 * message could reach it any more. As a text it is refused and noted, like other garbage.
 */
import { defaultPayloadConverter, type Payload, type PayloadConverter } from '@temporalio/common';

export const payloadConverter: PayloadConverter = {
  toPayload: (value) => defaultPayloadConverter.toPayload(value),
  fromPayload<T>(payload: Payload): T {
    try {
      return defaultPayloadConverter.fromPayload<T>(payload);
    } catch {
      const undecodable: unknown = 'a payload that could not be decoded';
      return undecodable as T;
    }
  },
};
