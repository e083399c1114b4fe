/** Rules of a user's own in SQL, as they are written: a migration and a reconciliation have them alike. */
import { z } from 'zod';
import { label, sql } from './fields.js';
import { SEVERITIES, SIDES } from './reconciliation.js';

const SIDES_OF_RULE = z
  .array(z.enum(SIDES))
  .min(1)
  .prefault([...SIDES])
  .describe('The sides on which it must hold.');

/** @param severity how bad a broken one is that says nothing of it, in words */
export const businessRules = (severity: string) =>
  z
    .array(
      z
        .strictObject({
          name: label().describe('Name in reports.'),
          noRows: z
            .strictObject({
              sql: sql().describe('Query that must return no rows; those it returns are what is wrong.'),
              on: SIDES_OF_RULE,
            })
            .optional()
            .describe('A query that must return no rows.'),
          same: z
            .strictObject({
              sql: sql().optional().describe('Query of both sides; or source and target have one each.'),
              source: sql().optional().describe('Query of the source.'),
              target: sql().optional().describe('Query of the target.'),
              tolerance: z
                .number()
                .min(0)
                .prefault(0)
                .describe('Largest difference between two numbers that still counts as the same.'),
            })
            .optional()
            .describe('Queries that must return the same on both sides: rows and their order.'),
          within: z
            .strictObject({
              sql: sql().describe('Query that returns one number.'),
              on: SIDES_OF_RULE,
              min: z.number().optional().describe('Least that it may be.'),
              max: z.number().optional().describe('Most that it may be.'),
            })
            .optional()
            .describe('A number that must lie within bounds.'),
          severity: z.enum(SEVERITIES).optional().describe(`How bad it is when it is broken. Default: ${severity}.`),
        })
        .meta({ minProperties: 2, maxProperties: 3 })
        .describe('A rule of your own: noRows, same or within.'),
    )
    .prefault([]);

export type ParsedRule = z.output<ReturnType<typeof businessRules>>[number];
